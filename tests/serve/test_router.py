"""The router and the start, without Ray: what is kept from replicas, and what is not left to them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from ray.exceptions import ActorDiedError

import app
from concat_id import ui
from concat_id.__main__ import main
from concat_id.errors import BackendFailed, BackendUnavailable, InputError, NoFaceFound
from concat_id.job import Job
from concat_id.limits import Limits
from concat_id.references.reference import Reference
from concat_id.serve.client import Backend
from concat_id.serve.messages import Message, pack_error, unpack_error
from concat_id.serve.router import ATTEMPTS, Router

PICTURE = (Path(__file__).parents[2] / "assets" / "examples" / "anna.png").read_bytes()
JOB = Job("single", (Reference("face", "picture"),), "a person waving").resolve()
STARTED: Message = {"event": "started", "process": 1}
RESULT: Message = {"event": "result", "seconds": 1.0, "notes": [], "sidecar": {}, "video": ""}


class Replicas:
    """Stands for a deployment's handle: each call gives the next list of messages, or what is raised."""

    def __init__(self, *calls: Sequence[Message | Exception]) -> None:
        self.calls = list(calls)
        self.jobs: list[Job] = []
        self.run = self

    def options(self, *, stream: bool) -> Replicas:
        assert stream
        return self

    def remote(self, job: Job, pictures: list[bytes]) -> Call:
        assert pictures == [PICTURE]
        self.jobs.append(job)
        return Call(self.calls.pop(0))


class Call:
    """Messages as Ray Serve gives them."""

    def __init__(self, messages: Sequence[Message | Exception]) -> None:
        self._messages = self._give(messages)

    async def _give(self, messages: Sequence[Message | Exception]) -> AsyncIterator[Message]:
        for message in messages:
            if isinstance(message, Exception):
                raise message
            yield message

    def __anext__(self) -> Any:
        return anext(self._messages)

    def cancel(self) -> None:
        """It would have to stop."""


def ask(router: Router, path: str = "/jobs", **given: Any) -> httpx.Response:
    """What a router answers."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(router.__serve_build_asgi_app__())
        async with httpx.AsyncClient(transport=transport, base_url="http://router") as client:
            return await (client.post(path, **given) if given else client.get(path))

    # In a thread of its own: in this one, another test's browser may keep a loop running.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, send()).result()


def send_job(router: Router) -> httpx.Response:
    return ask(router, data={"job": json.dumps(JOB.to_dict())}, files={"pictures": PICTURE})


def read_last(answer: httpx.Response) -> Message:
    return json.loads(answer.text.splitlines()[-1])


def test_a_job_begins_anew_as_the_same_until_it_was_tried_often_enough() -> None:
    died = [STARTED, ActorDiedError()]
    replicas = Replicas(*[died] * (ATTEMPTS - 1), [STARTED, RESULT])
    router = Router(replicas, ["embedded"], 1)
    assert read_last(send_job(router)) == RESULT
    assert replicas.jobs == [replicas.jobs[0]] * ATTEMPTS and replicas.jobs[0].settings == JOB.settings
    replicas.calls = [died] * ATTEMPTS
    last = read_last(send_job(router))
    assert last["error"] == "BackendFailed" and f"ended {ATTEMPTS} times" in last["message"]
    figures = ask(router, "/metrics").text
    assert f"concat_id_restarts_total {2 * (ATTEMPTS - 1)}.0" in figures
    assert 'concat_id_jobs_total{outcome="failed"} 1.0' in figures
    assert ask(router, "/queue").json() == {"waiting": 0, "running": 0}


def test_what_went_wrong_in_a_replica_is_not_tried_again_nor_told() -> None:
    router = Router(Replicas([STARTED, RuntimeError("/secret/path")]), ["embedded"], 1)
    last = read_last(send_job(router))
    assert last["error"] == "BackendFailed" and "secret" not in last["message"]


def test_no_more_is_taken_than_limits_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("concat_id.serve.router.read_limits", lambda: Limits(picture_bytes=1))
    router = Router(Replicas(), ["embedded"], 1)
    large = ask(router, data={"job": "{}"}, files={"pictures": bytes(2**21)})
    assert large.status_code == 413 and large.json()["error"] == "PictureTooLarge"
    many = ask(router, data={"job": "{}"}, files=[("pictures", PICTURE[:9])] * 4)
    assert many.status_code == 400 and "up to 3 files" in many.json()["message"]
    router._limits = Limits(queue_length=1)
    router._tally.waiting.append(object())
    full = send_job(router)
    assert full.status_code == 503 and full.json()["error"] == "QueueFull"


@pytest.mark.parametrize(
    "given", [{"data": {"job": "{}"}}, {"json": {}}, {"files": {"job": b"{}"}}, {"files": {"pictures": b""}}]
)
def test_what_is_no_form_with_a_job_is_refused(given: dict[str, Any]) -> None:
    answer = ask(Router(Replicas(), ["embedded"], 1), **given)
    assert answer.status_code == 400 and answer.json()["error"] == "InvalidJob"


def test_errors_keep_their_names_and_no_other_name_is_one() -> None:
    there_and_back = unpack_error(pack_error(NoFaceFound("no face.")))
    assert type(there_and_back) is NoFaceFound and str(there_and_back) == "no face."
    for name in ("ValueError", "annotations", "", None, 1):
        assert type(unpack_error({"error": name, "message": "it failed."})) is BackendFailed
    assert issubclass(BackendFailed, InputError)


def test_a_backend_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for url in ("http://127.0.0.1:9", "127.0.0.1:9", "http://[", "backend"):
        with pytest.raises(BackendUnavailable, match="there is no backend at"):
            Backend.connect(url, "embedded")
    with pytest.raises(BackendUnavailable, match="the connection was lost"):
        path = str(Path(__file__).parents[2] / "assets" / "examples" / "anna.png")
        list(Backend("http://127.0.0.1:9", ("embedded",), 1).generate(JOB.with_pictures([path]), Path("out")))
    assert app.main(["--backend", "http://127.0.0.1:9"]) == 2
    assert "start one by `python -m concat_id serve`" in capsys.readouterr().err


def test_the_app_shows_what_its_backend_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Backend("http://127.0.0.1:9", ("embedded", "embedded-draft"), 3)
    asked, built = [], {}

    def answer(url: str, **_: Any) -> httpx.Response:
        asked.append(url)
        report = {"presets": backend.presets, "replicas": backend.replicas, "replicas_up": 3}
        return httpx.Response(200, json=report, request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx, "get", answer)
    monkeypatch.setattr(ui, "build_demo", lambda *given, **options: built.update(options, generate=given[0]))
    monkeypatch.setattr(ui, "launch_demo", lambda *_, **__: None)
    monkeypatch.setattr(app, "warm", lambda preset, with_model: built.update(with_model=with_model))
    assert app.main(["--backend", f"{backend.url}/"]) == 0
    assert asked == [f"{backend.url}/health"] and built["generate"].__self__ == backend
    assert built["models"] == ["embedded", "embedded-draft"] and built["replicas"] == 3
    assert not built["with_model"]
    assert app.main(["--backend", backend.url, "--preset", "consisid-5b"]) == 2


def test_what_cannot_be_served_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())  # it is set for Ray
    for options, said in (
        (["--replicas", "0"], "replicas must be a whole number from 1"),
        (["--threads", "0"], "threads must be a whole number from 1"),
        (["--port", "70000"], "nothing can be served at 127.0.0.1:70000"),
        (["--host", "192.0.2.77"], "give another --port or --host"),
        (["--device", "cpu", "--memory", "8gb"], "which is about GPUs"),
    ):
        assert main(["serve", *options]) == 2
        assert said in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["serve"]) == 2
    assert "pip install -r concat_id/serve/requirements.txt" in capsys.readouterr().err
