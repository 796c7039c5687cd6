"""Runs that nobody waits for any longer: they end within a step, and the next visitor's begins."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx
from gradio_client import Client, handle_file
from gradio_client.utils import Status
from playwright.sync_api import Page, expect
from studio import Studio

STEP_S = 0.5
PATIENCE_MS = 60_000


def begin(studio: Studio, picture: Path) -> tuple[Client, object]:
    """A run that is under way."""
    studio.runs.step_s = STEP_S
    client = Client(studio.url, verbose=False, analytics_enabled=False, httpx_kwargs={"timeout": 120})
    job = client.submit(picture=handle_file(picture), prompt="laughing", steps=100, api_name="/generate")
    wait_until(lambda: studio.runs.steps >= 3)
    return client, job


def wait_until(reached: Callable[[], bool], limit_s: float = 30) -> None:
    """Wait for something that other threads bring about."""
    deadline = time.monotonic() + limit_s
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_cancelled_run_ends_within_a_step(studio: Studio, people: dict[str, Path]) -> None:
    _, job = begin(studio, people["one"])
    steps = studio.runs.steps
    assert job.cancel()
    wait_until(lambda: studio.runs.closed == [1], limit_s=10)
    assert studio.runs.steps <= steps + 1


def test_the_next_run_waits_until_the_cancelled_one_has_ended(
    studio: Studio, people: dict[str, Path]
) -> None:
    client, job = begin(studio, people["one"])
    after = client.submit(picture=handle_file(people["one"]), prompt="waving", steps=2, api_name="/generate")
    wait_until(lambda: after.status().code is Status.IN_QUEUE)
    job.cancel()
    *_, report = after.result(timeout=200)
    assert report["scores"] and studio.runs.closed == [1, 2]
    assert studio.runs.most_at_once == 1


def test_a_dropped_connection_ends_the_run(studio: Studio, people: dict[str, Path]) -> None:
    studio.runs.step_s = STEP_S
    client = Client(studio.url, verbose=False, analytics_enabled=False, httpx_kwargs={"timeout": 120})
    url = f"{studio.url}gradio_api"
    with people["one"].open("rb") as file:
        (path,) = httpx.post(f"{url}/upload", files={"files": file}).json()
    picture = {"path": path, "meta": {"_type": "gradio.FileData"}}
    values = [picture, "laughing", "", None, 60, 2.5, 1, "embedded", None, False, *[None] * 6]
    event = httpx.post(f"{url}/call/generate", json={"data": values}).json()["event_id"]
    with httpx.stream("GET", f"{url}/call/generate/{event}") as stream:
        lines = stream.iter_lines()
        while studio.runs.steps < 3:
            next(lines)
    steps = studio.runs.steps
    wait_until(lambda: studio.runs.closed == [1], limit_s=10)
    assert studio.runs.steps <= steps + 2
    studio.runs.step_s = 0.0
    given = {"picture": handle_file(people["one"]), "prompt": "waving", "steps": 2}
    *_, report = client.predict(**given, api_name="/generate")
    assert report["scores"] and studio.runs.most_at_once == 1


def test_a_visitor_sees_the_place_in_the_queue_and_ends_the_run_by_leaving(
    studio: Studio, people: dict[str, Path], open_page: Callable[..., Page]
) -> None:
    page = open_page(studio.url)
    page.locator("#people button.gallery-item").first.click()
    page.wait_for_selector("#seen [data-state=ready]", timeout=PATIENCE_MS)
    page.fill("#prompt textarea", "waving")
    _, job = begin(studio, people["one"])
    page.click("#generate")
    expect(page.locator("#stage").get_by_text("queue: 1/1")).to_be_visible(timeout=PATIENCE_MS)
    # What cuts off what hangs over is as high as the stage.
    assert page.locator("#stage .wrap").bounding_box()["height"] > 200
    job.cancel()
    page.wait_for_selector("#stage [data-state=running] img", timeout=PATIENCE_MS)
    steps = studio.runs.steps
    page.close()
    wait_until(lambda: studio.runs.closed == [1, 2])
    assert len(studio.runs.started) == 2 and studio.runs.steps < steps + 10
