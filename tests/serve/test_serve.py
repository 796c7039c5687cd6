"""Two replicas of the embedded model behind one address: what a client sees of jobs, Stop and deaths."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from backend import serve_embedded
from toys import landscape

from concat_id.errors import InvalidJob, NoFaceFound
from concat_id.generation import Preview, Progress, Result, generate
from concat_id.job import Job
from concat_id.limits import Limits
from concat_id.loading.presets import PRESETS
from concat_id.output.provenance import verify
from concat_id.output.video import read_video
from concat_id.references.reference import Reference
from concat_id.serve.client import Backend
from concat_id.serve.messages import Waiting
from concat_id.settings import Settings
from concat_id.studio.runs import Library
from concat_id.ui.events import Runner

EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"
PATIENCE_S = 60
SMALL = Settings(seed=7, num_inference_steps=3, num_frames=5, width=128, height=128)
JOB = Job("single", (Reference("face", str(EXAMPLES / "anna.png")),), "a person waving", SMALL)
ENDLESS = replace(JOB, settings=replace(SMALL, num_inference_steps=200, width=256, height=256))


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with serve_embedded(replicas=2) as url:
        yield Backend.connect(url, "embedded")


@pytest.fixture(scope="module")
def made_here(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The same video by this process."""
    *_, result = generate(JOB, tmp_path_factory.mktemp("here") / "out.mp4", preview_every=0, device="cpu")
    return result


def read_queue(backend: Backend) -> dict[str, int]:
    return httpx.get(f"{backend.url}/queue").json()


def wait_for_queue(backend: Backend, **wanted: int) -> None:
    """Wait until so many jobs wait, and run."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := read_queue(backend)) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def read_metrics(backend: Backend) -> dict[str, float]:
    text = httpx.get(f"{backend.url}/metrics").text
    return {name: float(value) for name, value in re.findall(r"^(concat_id_\S+) (\S+)$", text, re.MULTILINE)}


def post(backend: Backend, job: Any, *pictures: bytes) -> httpx.Response:
    """Send a job as another program would, and wait for its last line."""
    files = [("pictures", ("../../picture", picture)) for picture in pictures]
    given = {"job": job if isinstance(job, str) else json.dumps(job)}
    return httpx.post(f"{backend.url}/jobs", data=given, files=files, timeout=PATIENCE_S)


def test_health_names_presets_and_replicas(backend: Backend) -> None:
    assert backend.presets == ("embedded", "embedded-draft") and backend.replicas == 2
    report = httpx.get(f"{backend.url}/health").json()
    assert report == {"presets": ["embedded", "embedded-draft"], "replicas": 2, "replicas_up": 2}


def test_the_video_is_the_one_that_is_made_here(backend: Backend, made_here: Result, tmp_path: Path) -> None:
    *steps, result = backend.generate(JOB, tmp_path / "out.mp4")
    assert [type(step) for step in steps] == [Preview, Progress, Progress]
    assert [(step.index, step.total) for step in steps] == [(0, 3), (1, 3), (2, 3)]
    preview = steps[0]
    assert preview.frames.shape == (5, 128, 128, 3) and preview.frames.std() > 10 and preview.scores
    assert np.array_equal(result.frames, read_video(made_here.video).frames)
    assert result.scores == made_here.scores and result.notes == made_here.notes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out-reference-1.png", "out.json", "out.mp4"]
    sidecar, here = (json.loads(one.sidecar.read_text()) for one in (result, made_here))
    assert sidecar["seconds"] == pytest.approx(result.seconds, abs=1e-3)
    assert {**sidecar, "seconds": 0} == {**here, "seconds": 0}
    assert Job.load(result.sidecar) == result.job and verify(result.video).is_ours


def test_draft_and_quality_are_at_hand(backend: Backend, tmp_path: Path) -> None:
    *_, result = backend.generate(replace(JOB, preset="embedded-draft"), tmp_path)
    assert json.loads(result.sidecar.read_text())["model"]["title"] == PRESETS["embedded-draft"].title


def test_stop_frees_a_replica_for_who_waits(backend: Backend, tmp_path: Path) -> None:
    stopped = read_metrics(backend)['concat_id_jobs_total{outcome="stopped"}']
    with closing(backend.generate(ENDLESS, tmp_path / "a")) as first:
        with closing(backend.generate(ENDLESS, tmp_path / "b")) as second:
            assert isinstance(next(first), Preview) and isinstance(next(second), Preview)
            third = backend.generate(JOB, tmp_path / "c")
            waiting = next(third)
            assert isinstance(waiting, Waiting) and waiting.ahead == 0
            assert read_queue(backend) == {"waiting": 1, "running": 2}
        *_, result = third
        assert isinstance(result, Result) and read_queue(backend) == {"waiting": 0, "running": 1}
    wait_for_queue(backend, waiting=0, running=0)
    assert read_metrics(backend)['concat_id_jobs_total{outcome="stopped"}'] == stopped + 2
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_who_waits_can_leave(backend: Backend, tmp_path: Path) -> None:
    with (
        closing(backend.generate(ENDLESS, tmp_path)) as first,
        closing(backend.generate(ENDLESS, tmp_path)) as second,
        closing(backend.generate(ENDLESS, tmp_path)) as third,
    ):
        next(first), next(second), next(third)
        third.close()
        wait_for_queue(backend, waiting=0, running=2)
    wait_for_queue(backend, waiting=0, running=0)


def test_what_is_wrong_with_a_job_is_said(backend: Backend, tmp_path: Path) -> None:
    picture = (EXAMPLES / "anna.png").read_bytes()
    job = JOB.to_dict()
    for given, pictures, error, said in (
        ("{", [picture], "InvalidJob", "the job is no JSON"),
        ("[1]", [picture], "InvalidJob", "job must be an object"),
        (job | {"task": "dance"}, [picture], "InvalidJob", "task is 'dance'"),
        (job | {"preset": "consisid-5b"}, [picture], "InvalidJob", "this backend makes videos of 'embedded'"),
        (job, [picture, picture], "InvalidJob", "pictures are 2 and references 1"),
        (job, [b"\x80\x04K\x01."], "UnreadablePicture", "is not a readable picture"),
    ):
        answer = post(backend, given, *pictures)
        assert answer.status_code == 400 and answer.json()["error"] == error, answer.text
        assert said in answer.json()["message"]
    landscape().save(tmp_path / "place.png")
    nobody = replace(JOB, references=(Reference("face", str(tmp_path / "place.png")),))
    with pytest.raises(NoFaceFound, match="This model knows drawn people only"):
        list(backend.generate(nobody, tmp_path / "out"))
    with pytest.raises(InvalidJob, match="leave memory out"):
        next(backend.generate(JOB, tmp_path / "out", memory="8gb"))
    assert not (tmp_path / "out").exists()
    assert read_queue(backend) == {"waiting": 0, "running": 0}


def test_the_studio_runs_as_many_jobs_as_there_are_replicas(backend: Backend, tmp_path: Path) -> None:
    library = Library(tmp_path / "runs")
    runner = Runner(backend.generate, "embedded", library, Limits(), backend.replicas)
    assert runner.queue["concurrency_limit"] == 2
    with closing(runner.run(ENDLESS, "0" * 32)) as first:
        assert isinstance(next(first), Preview)
        *_, result = runner.run(replace(JOB, preset="embedded-draft"), "0" * 32)
    (run,) = library.list("0" * 32)
    assert run.video == result.video and run.scores == result.scores


def test_what_became_of_jobs_is_counted(backend: Backend, tmp_path: Path) -> None:
    before = read_metrics(backend)
    *_, result = backend.generate(JOB, tmp_path)
    assert post(backend, "{").status_code == 400
    after = read_metrics(backend)
    changes = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    jobs, seconds = "concat_id_jobs_total{{outcome={}}}".format, "concat_id_job_seconds"
    counts = {name: 1 for name in (jobs('"done"'), jobs('"refused"'), f"{seconds}_count")}
    assert counts.items() <= changes.items()
    assert changes[f"{seconds}_sum"] >= result.seconds
    assert after["concat_id_waiting_jobs"] == after["concat_id_running_jobs"] == 0


# Last: the replica that takes the dead one's place loads its models for some seconds.
def test_a_killed_replica_loses_no_job(backend: Backend, made_here: Result, tmp_path: Path) -> None:
    job = JOB.resolve().to_dict()
    files = {"pictures": (EXAMPLES / "anna.png").read_bytes()}
    told, processes = [], []
    with httpx.stream(
        "POST", f"{backend.url}/jobs", data={"job": json.dumps(job)}, files=files, timeout=PATIENCE_S
    ) as answer:
        for message in map(json.loads, filter(None, answer.iter_lines())):
            told.append(message["event"])
            if message["event"] == "started":
                processes.append(message["process"])
            if message["event"] == "preview" and len(processes) == 1:
                os.kill(processes[0], signal.SIGKILL)
    assert told.count("started") == 2 and len(set(processes)) == 2
    assert told[-5:] == ["started", "preview", "progress", "progress", "result"]
    assert message["sidecar"]["scores"] == json.loads(json.dumps(made_here.scores.to_dict()))
    metrics = read_metrics(backend)
    assert metrics["concat_id_restarts_total"] == 1 and metrics["concat_id_running_jobs"] == 0
