"""What each speed saves and costs: the same videos at every speed, beside the exact ones.

    python -m concat_id evaluate --speeds --videos 12

Below the output folder: `PRESET/prices.json`, see `concat_id.evaluation.prices`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from concat_id.evaluation.evaluate import Plan, list_cases, read_benchmark
from concat_id.evaluation.judges import load_judges
from concat_id.evaluation.metrics import PROTOCOLS, measure
from concat_id.evaluation.prices import EXACT, FIGURES, FILE
from concat_id.evaluation.run import Progress
from concat_id.files.atomic import replacing
from concat_id.generation import decode_frames, prepare_picture, stream_job
from concat_id.job import Job
from concat_id.loading.load import load_pipeline
from concat_id.pipelines.pipeline import ConcatIDPipeline
from concat_id.references.prepare import PreparedReference
from concat_id.references.roles import load_reference
from concat_id.speed import SPEEDS, Speed

# Each of what a speed leaves out, by itself; then what the product offers.
OPTIONS: dict[str, Speed] = {
    EXACT: SPEEDS[EXACT],
    "every 3rd step": Speed(step_interval=3),
    "every 4th step": Speed(step_interval=4),
    "references at every 2nd step": Speed(reference_interval=2),
    "references at every 3rd step": Speed(reference_interval=3),
    **SPEEDS,
}


def measure_speeds(plan: Plan, report_progress: Callable[[Progress], None]) -> Path:
    """Make videos of one person at every speed, measure and time them. Returns the JSON file.

    Args:
        report_progress: called when a case is done.
    """
    benchmark, judges = read_benchmark(plan.benchmark, plan.people), load_judges(plan.preset)
    cases = list_cases(benchmark, plan.preset, plan.videos)["single"]
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in OPTIONS}
    pipeline = load_pipeline(plan.preset, plan.device, memory=plan.memory)
    for number, case in enumerate(cases, start=1):
        job = case.job(plan.preset).resolve()
        prepared = [prepare_picture(one, load_reference(one), plan.preset) for one in job.references]
        if number == 1:  # the first run of a process is slower
            _make(pipeline, job, prepared, SPEEDS[EXACT])
        for name, speed in OPTIONS.items():
            frames, seconds = _make(pipeline, job, prepared, speed)
            if name == EXACT:  # the first of them
                exact = frames
            values = measure(
                case, frames, judges, protocol=PROTOCOLS[plan.protocol], galleries=benchmark.galleries
            ).values
            figures = {figure: values[figure] for figure in FIGURES if figure in values}
            rows[name].append({"seconds": seconds, "squares": mean_square(frames, exact), **figures})
        report_progress(Progress(case, number, len(cases), error=None))
    report = {
        "command": f"{plan.command} --speeds",
        "videos": len(cases),
        "speeds": {name: summarize(entries) for name, entries in rows.items()},
    }
    path = plan.folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return path


def _make(
    pipeline: ConcatIDPipeline, job: Job, prepared: list[PreparedReference], speed: Speed
) -> tuple[np.ndarray, float]:
    """A job's frames (T, H, W, 3) uint8, and what denoising and decoding them took, in seconds."""
    began = time.perf_counter()
    for step in stream_job(pipeline, job, prepared, speed):
        latents = step.latents
    frames = decode_frames(pipeline, latents)
    return frames, time.perf_counter() - began


def mean_square(frames: np.ndarray, exact: np.ndarray) -> float:
    """Mean squared difference of frames of 0 to 255, as of values in [0, 1]."""
    return float(np.square((frames.astype(np.float32) - exact) / 255).mean())


def summarize(entries: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means over videos; `psnr`, dB, is of all their pixels, and missing where nothing differs."""
    names = {name: None for entry in entries for name in entry}
    means = {name: float(np.mean([entry[name] for entry in entries if name in entry])) for name in names}
    squares = means.pop("squares")
    return means | ({"psnr": float(-10 * np.log10(squares))} if squares else {})
