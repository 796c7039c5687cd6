"""What a video will take is foretold from what the last one took."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from toys import make_transformer, run

from concat_id.job import Job
from concat_id.loading.weights import cache_folder
from concat_id.pace import Pace, count_attention_tokens, count_previews, forecast, remember
from concat_id.settings import Settings

pytestmark = pytest.mark.usefixtures("known_toy")
ROOT = Path(__file__).resolve().parent.parent
PIXELS = 9 * 64 * 64


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing has run yet."""
    monkeypatch.setenv("CONCAT_ID_CACHE", str(tmp_path / "cache"))


def ask(job: Job, **settings: float) -> Job:
    """The job with a size that can be reckoned with, resolved."""
    own = {"num_frames": 9, "height": 64, "width": 64, "guidance_scale": 1.0, "reference_guidance_scale": 1.0}
    own["speed"] = "exact"
    return replace(job, settings=Settings(seed=7, **own | {"num_inference_steps": 10} | settings)).resolve()


def test_it_is_reckoned_part_by_part(job: Job) -> None:
    assert forecast(ask(job), preview_every=2) is None
    # 2 x 2 tokens in each of 3 latent frames and the reference's.
    pace = Pace(2.0, 0.01, 16.0, 1 / PIXELS, 3 / PIXELS, 10**9, 100.0)
    remember(ask(job), "cpu", None, pace)

    def seconds(every: int = 0, **settings: float) -> float:
        return forecast(ask(job, **settings), preview_every=every).seconds

    # At as many tokens as attention's, a pass takes twice as long as without it.
    assert seconds() == pytest.approx(2 + 10 * 16 * 0.01 * 2 + 3)
    assert seconds(every=2) == pytest.approx(seconds() + 5)
    assert seconds(guidance_scale=3) - 5 == pytest.approx(2 * (seconds() - 5))
    assert seconds(guidance_scale=3, reference_guidance_scale=2) - 5 == pytest.approx(3 * (seconds() - 5))
    assert seconds(num_inference_steps=20) - 5 == pytest.approx(2 * (seconds() - 5))
    assert seconds(speed="balanced") - 5 == pytest.approx(6 / 10 * (seconds() - 5))
    # Twice as wide: twice the tokens, three times the work of each two before, and twice the pixels.
    assert seconds(width=128) == pytest.approx(2 + 10 * 32 * 0.01 * 3 + 6)
    assert forecast(ask(job, width=128), preview_every=0).memory_bytes == 10**9 + 2 * 100 * PIXELS
    # What was measured elsewhere says nothing here.
    assert forecast(ask(job), preview_every=0, memory="8gb") is None


def test_a_run_teaches_it(job: Job, tmp_path: Path) -> None:
    job = replace(job, settings=replace(job.settings, num_inference_steps=3))
    run(job, tmp_path / "first")
    began = time.monotonic()
    run(job, tmp_path / "second")
    took = time.monotonic() - began
    expected = forecast(job.resolve(), preview_every=2)
    assert took / 4 < expected.seconds < 4 * took  # other work shares the machine
    assert expected.memory_bytes is None or expected.memory_bytes > 10**8
    longer = replace(job, settings=replace(job.settings, num_inference_steps=60)).resolve()
    assert forecast(longer, preview_every=2).seconds > expected.seconds


def test_of_a_single_step_nothing_is_told(job: Job, tmp_path: Path) -> None:
    job = replace(job, settings=replace(job.settings, num_inference_steps=1))
    run(job, tmp_path / "out")
    assert forecast(job.resolve(), preview_every=2) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"a": 1}', '{"a": {"speed": 1}}', "\0"])
def test_a_damaged_file_is_no_forecast_and_no_error(job: Job, text: str) -> None:
    cache_folder().mkdir(parents=True)
    (cache_folder() / "pace.json").write_text(text)
    assert forecast(ask(job), preview_every=2) is None
    remember(ask(job), "cpu", None, Pace(1.0, 0.01, 64.0, 0.0, 0.0))
    assert forecast(ask(job), preview_every=2).memory_bytes is None


def test_where_nothing_can_be_kept_the_run_is_not_lost(job: Job, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    remember(ask(job), "cpu", None, Pace(1.0, 0.01, 64.0, 0.0, 0.0))
    assert forecast(ask(job), preview_every=2) is None


def test_previews_are_counted_as_they_are_shown() -> None:
    assert [count_previews(steps, 2) for steps in (1, 2, 3, 4, 15)] == [0, 1, 1, 2, 7]
    assert count_previews(50, 0) == 0


def test_attention_counts_from_a_width_on() -> None:
    transformer = make_transformer(num_layers=3)
    parameters = sum(parameter.numel() for parameter in transformer.parameters())
    assert count_attention_tokens(transformer) == parameters / (2 * 24 * 3)


WATCH = """
import numpy as np
from concat_id.loading.peak_memory import MemoryWatch

watch = MemoryWatch("cpu")
if watch.read() is None:
    raise SystemExit
np.ones(200 * 2**20, np.uint8).sum()
for seen in (watch.read(), MemoryWatch("cpu").read()):
    print(seen.peak - seen.held)
"""


def test_the_peak_is_that_of_what_is_watched() -> None:
    # In a process of its own: what others of this one's threads give back meanwhile is not counted.
    run = subprocess.run([sys.executable, "-c", WATCH], cwd=ROOT, capture_output=True, text=True, check=True)
    if not run.stdout:
        pytest.skip("this system does not tell a process's peak")
    first, second = map(int, run.stdout.split())
    assert 160 * 2**20 < first < 600 * 2**20 and second < 100 * 2**20
