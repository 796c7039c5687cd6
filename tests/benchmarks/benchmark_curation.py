"""Curation against the truth: `python -m tests.benchmarks.benchmark_curation --folder .train/footage`.

Renders footage, 300 films of 60 people and every unpleasant file, unless it is there; looks at it with one
worker and with two; and prints how much faster two are, and the workers' peak memory on a tenth, a half and
all of the films. Starting Ray is not counted. How right the pairs are is printed by `train.measure.curation`.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import time
from pathlib import Path

import psutil

from train.curation.engine import compose, started_ray
from train.curation.job import Job
from train.curation.models import find_preset
from train.curation.rendered_footage import Plan, film_footage
from train.curation.rules import Rules
from train.curation.sources import Source, read_sources
from train.curation.work import Work, tag_steps


def look(sources: list[Source], output: Path, workers: int) -> tuple[float, float]:
    """Seconds that the workers took, from the first video's end to the last's, and their peak in MB."""
    shutil.rmtree(output, ignore_errors=True)
    rules = Rules()
    tags = tag_steps(rules, find_preset("embedded").names())
    job = Job(output, rules, "embedded", "cpu", Work(output / "work", tags))
    peak, start, done = 0.0, 0.0, 0
    with started_ray(workers, None):
        for batch in compose(sources, job, workers, 0.0).iter_batches(batch_size=None):
            start = start or time.perf_counter()
            done += int(batch["done"].sum())
            peak = max(peak, *(memory_of_workers() or [0.0]))
    assert done == len(sources)
    return time.perf_counter() - start, peak


def memory_of_workers() -> list[float]:
    """Resident memory in MB of every process of Ray's that looks at clips."""
    found = []
    for process in psutil.process_iter(["cmdline", "memory_info"]):
        command = " ".join(process.info["cmdline"] or [])
        if "MapWorker" in command and process.info["memory_info"] is not None:
            found.append(process.info["memory_info"].rss / 2**20)
    return found


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path(".train/footage"))
    parser.add_argument("--films", type=int, default=300)
    parser.add_argument("--people", type=int, default=60)
    options = parser.parse_args()
    videos, truth = options.folder / "videos", options.folder / "truth.json"
    if not videos.exists():
        film_footage(videos, truth, Plan(films=options.films, people=options.people))
    sources = read_sources(videos)
    print(f"{'videos':>8}{'workers':>9}{'seconds':>9}{'peak of a worker, MB':>22}")
    seconds = {}
    for share, workers in ((0.1, 1), (0.5, 1), (1.0, 1), (1.0, 2)):
        part = sources[: round(share * len(sources))]
        seconds[workers], peak = look(part, options.folder / "timed", workers)
        print(f"{len(part):>8}{workers:>9}{seconds[workers]:>9.1f}{peak:>22.0f}", flush=True)
    print(f"two workers are {seconds[1] / seconds[2]:.2f} times as fast as one")
    print(f"this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:.0f} MB")


if __name__ == "__main__":
    main()
