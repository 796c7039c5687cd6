"""What a model lacks is fetched before a run of it begins, and whatever happens, the next run can begin."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from hub import Hub
from studio import PacedRuns

from concat_id.generation import Progress, Result
from concat_id.job import Job
from concat_id.limits import Limits
from concat_id.loading.load import Loading
from concat_id.loading.weights import Fetching
from concat_id.references.reference import Reference
from concat_id.settings import Settings
from concat_id.studio.runs import Library
from concat_id.ui.events import Event, Runner


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """Runs jobs without any pause, each for a second at most."""
    runs = PacedRuns(step_s=0.0)
    return Runner(runs.generate, "embedded", Library(tmp_path / "runs"), Limits(run_seconds=1))


def run(runner: Runner, picture: Path, preset: str) -> Iterator[Event]:
    """The events of a short run."""
    settings = Settings(num_inference_steps=2, num_frames=5, seed=1)
    return runner.run(Job("single", (Reference("face", str(picture)),), "waving", settings, preset).resolve())


def kinds(events: Iterator[Event]) -> list[type]:
    """What they are, briefly."""
    return [Progress if isinstance(event, Progress) else type(event) for event in events]


def test_a_model_is_fetched_before_its_first_run(hub: Hub, runner: Runner, people: dict[str, Path]) -> None:
    events = run(runner, people["one"], "far")
    assert isinstance(next(events), Fetching)
    time.sleep(1.1)  # fetching takes longer than a run may take
    assert isinstance(next(events), Fetching)
    assert next(events) == Loading("From afar") and hub.given == ["a.bin", "b.bin"]
    assert kinds(events) == [Progress, Progress, Result]
    # Then it is there; the page's own one was there from the start, but gave way.
    assert kinds(run(runner, people["one"], "far")) == [Progress, Progress, Result]
    assert kinds(run(runner, people["one"], "embedded")) == [Loading, Progress, Progress, Result]
    assert len(hub.given) == 2


def test_the_pages_own_model_is_there(runner: Runner, people: dict[str, Path]) -> None:
    assert kinds(run(runner, people["one"], "embedded")) == [Progress, Progress, Result]


def test_a_run_without_its_model_leaves_nothing_behind(
    hub: Hub, runner: Runner, people: dict[str, Path]
) -> None:
    hub.repositories.clear()
    with pytest.raises(gr.Error, match="'some/clip' is not on this machine .* run `hf download some/clip`"):
        list(run(runner, people["one"], "far"))
    assert not runner.library.outputs.exists()
    assert kinds(run(runner, people["one"], "embedded")) == [Progress, Progress, Result]


def test_fetching_is_stopped_between_two_files(hub: Hub, runner: Runner, people: dict[str, Path]) -> None:
    events = run(runner, people["one"], "far")
    next(events), next(events)
    events.close()
    assert hub.given == ["a.bin"] and not runner.library.outputs.exists()
    again = run(runner, people["one"], "far")
    assert kinds(again) == [Fetching, Loading, Progress, Progress, Result]
    assert hub.given == ["a.bin", "b.bin"]
