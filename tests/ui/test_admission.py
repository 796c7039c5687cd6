"""Runs that are refused are told so, those that wait keep their order, and nobody gets past the queue."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from gradio_client import Client, handle_file
from gradio_client.client import Job
from gradio_client.exceptions import AppError
from playwright.sync_api import Page, expect
from studio import Studio, serve_studio, wait_for_video

from concat_id.errors import QueueFull, TooManyRuns
from concat_id.limits import Limits
from concat_id.ui.server.admission import Admission, name_visitor

Serve = Callable[..., Studio]


@pytest.fixture
def serve(tmp_path: Path, people: dict[str, Path]) -> Iterator[Serve]:
    """Serves a page with limits."""
    served = []

    def serve(**limits: int) -> Studio:
        served.append(serve_studio(tmp_path, people, "embedded", Limits(**limits)))
        studio = served[-1].__enter__()
        studio.runs.step_s = 0.0
        return studio

    yield serve
    for studio in served:
        studio.__exit__(None, None, None)


def ask(studio: Studio, picture: Path, *, steps: int = 1, times: int = 1) -> list[tuple | str]:
    """Ask for videos as a program does, all at once; gives each answer, or the sentence instead."""
    client = Client(studio.url, verbose=False, analytics_enabled=False, httpx_kwargs={"timeout": 60})
    values = {"picture": handle_file(picture), "prompt": "waving", "steps": steps}
    jobs = [client.submit(**values, seed=seed, api_name="/generate") for seed in range(times)]
    return [wait(job) for job in jobs]


def wait(job: Job) -> tuple | str:
    """What a program's job comes to."""
    try:
        return job.result()
    except AppError as error:
        return error.message


def test_the_next_hour_brings_new_runs() -> None:
    admission = Admission(Limits(runs_per_hour=2))
    for now in (0.0, 1800.0):
        admission.admit("ann", [], now)
    with pytest.raises(TooManyRuns, match="for 2 runs within an hour, .* again in 30 minutes"):
        admission.admit("ann", [], 1800.0)
    with pytest.raises(TooManyRuns, match="again in 1 minute\\."):
        admission.admit("ann", [], 3599.0)
    admission.admit("bob", [], 1800.0)
    admission.admit("ann", [], 3601.0)
    with pytest.raises(TooManyRuns):
        admission.admit("ann", [], 3602.0)
    admission.admit("bob", [], 9000.0)
    assert set(admission.asked) == {"bob"}


def test_places_in_the_queue_are_limited() -> None:
    admission = Admission(Limits(queue_length=3, waiting_per_visitor=1, runs_per_hour=1))
    admission.admit("ann", ["bob", "cy"], 0.0)
    with pytest.raises(QueueFull, match="1 of your own are waiting"):
        admission.admit("bob", ["bob", "cy"], 0.0)
    with pytest.raises(QueueFull, match="3 runs are waiting, as many as may wait here"):
        admission.admit("dan", ["bob", "cy", "ann"], 0.0)
    # What was refused does not count.
    admission.admit("dan", [], 0.0)


@pytest.mark.parametrize(
    ("host", "visitor"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("2001:db8::17", "2001:db8::/64"),
        ("2001:db8::2:1", "2001:db8::/64"),
        ("no:address", "no:address"),
        ("", ""),
    ],
)
def test_a_visitor_is_an_address(host: str, visitor: str) -> None:
    assert name_visitor(SimpleNamespace(client=SimpleNamespace(host=host))) == visitor
    assert name_visitor(SimpleNamespace(client=None)) == ""


def test_a_visitor_has_so_many_runs_in_an_hour(serve: Serve, people: dict[str, Path]) -> None:
    studio = serve(runs_per_hour=2)
    *made, refused = sorted(ask(studio, people["one"], times=3), key=str)
    assert "ou asked for 2 runs within an hour" in refused and len(made) == 2
    assert len(studio.runs.started) == 2


def test_a_full_queue_says_so_and_loses_nobody(serve: Serve, people: dict[str, Path]) -> None:
    studio = serve(queue_length=2)
    studio.runs.step_s = 1.0
    answers = ask(studio, people["one"], steps=3, times=8)
    made = [answer for answer in answers if isinstance(answer, tuple)]
    refused = [answer for answer in answers if isinstance(answer, str)]
    assert len(made) == len(studio.runs.started) >= 3 and len(refused) == 8 - len(made) >= 1
    assert all(said.startswith("2 runs are waiting, as many as may wait here") for said in refused)
    assert studio.runs.most_at_once == 1


def test_a_run_that_takes_too_long_is_stopped(serve: Serve, people: dict[str, Path]) -> None:
    studio = serve(run_seconds=1)
    studio.runs.step_s = 0.4
    (said,) = ask(studio, people["one"], steps=50)
    assert re.match(r"The run was stopped after \d+ s; 1 s are allowed here. Take fewer steps", said)
    assert studio.runs.closed == [1] and not studio.runs_folder.exists()
    studio.runs.step_s = 0.0
    assert isinstance(*ask(studio, people["one"]), tuple)


def test_old_runs_go_before_the_next(serve: Serve, people: dict[str, Path]) -> None:
    studio = serve(output_bytes=1)
    for _ in range(3):
        assert isinstance(*ask(studio, people["one"]), tuple)
        assert len(list(studio.runs_folder.iterdir())) == 1


def test_nobody_gets_past_the_queue(studio: Studio) -> None:
    request = urllib.request.Request(
        f"{studio.url}gradio_api/run/generate",
        json.dumps({"data": []}).encode(),
        {"Content-Type": "application/json"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=20)
    assert refused.value.code == 404 and b"join the queue" in refused.value.read()


def test_only_runs_are_served(studio: Studio, people: dict[str, Path]) -> None:
    studio.runs.step_s = 0.0
    ask(studio, people["one"])
    (video,) = studio.runs_folder.glob("*/*.mp4")
    assert fetch(studio, video) == video.read_bytes()
    outputs = studio.outputs
    for name in (
        "evaluation/a.mp4",
        "votes/votes.sqlite3",
        "20260101-000000-seed-7.mp4",
        "runs.mp4",
    ):
        path = outputs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"private")
        for spelling in (path, studio.runs_folder / ".." / name, outputs / "RUNS" / ".." / name):
            assert fetch(studio, spelling) == 403
    for folder in (outputs, studio.runs_folder, video.parent):
        assert fetch(studio, folder) == 403


def fetch(studio: Studio, path: Path) -> bytes | int:
    """What the page serves for a path; the status where it serves nothing."""
    try:
        with urllib.request.urlopen(f"{studio.url}gradio_api/file={quote(str(path))}", timeout=20) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        return error.code


def test_the_page_says_why_and_goes_on(serve: Serve, open_page: Callable[..., Page], people: dict) -> None:
    studio = serve(runs_per_hour=1)
    page = open_page(studio.url)
    page.locator("#picture input[type=file]").first.set_input_files(people["one"])
    page.wait_for_selector("#seen [data-state=ready]", timeout=60_000)
    page.fill("#prompt textarea", "waving")
    page.click("#generate")
    wait_for_video(page)
    page.click("#generate")
    expect(page.locator(".toast-body")).to_contain_text("You asked for 1 run within an hour", timeout=60_000)
    expect(page.locator("#generate")).to_be_visible()
    expect(page.locator("#stop")).to_be_hidden()
    assert len(studio.runs.started) == 1
