"""Jobs a minute of one replica and of two, one thread each: `python -m tests.benchmarks.benchmark_serve`.

As many clients as there are replicas send jobs, one after the other each. Give it as many idle cores as the
largest number of replicas; a job before the clock starts warms each replica up.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from concat_id.job import Job
from concat_id.references.reference import Reference
from concat_id.serve.client import Backend
from concat_id.settings import Settings
from tests.serve.backend import serve_embedded


def make(backend: Backend, seed: int, folder: Path) -> None:
    """One video as the app asks for it, with previews and scores."""
    face = Reference("face", "assets/examples/fay.png")
    job = Job("single", (face,), "a person laughing on a beach", Settings(seed=seed))
    *_, result = backend.generate(job, folder)
    assert result.video.is_file()


def measure(replicas: int, jobs: int, folder: Path) -> float:
    """Jobs a minute."""
    with serve_embedded(replicas) as url, ThreadPoolExecutor(replicas) as clients:
        backend = Backend.connect(url, "embedded")
        list(clients.map(lambda seed: make(backend, seed, folder), range(replicas)))
        began = time.perf_counter()
        list(clients.map(lambda seed: make(backend, seed, folder), range(jobs)))
        return 60 * jobs / (time.perf_counter() - began)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=24)
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    print(f"{'replicas':>8}{'jobs':>6}{'jobs / min':>12}{'ratio':>7}")
    first = None
    with tempfile.TemporaryDirectory() as folder:
        for replicas in args.replicas:
            rate = measure(replicas, args.jobs, Path(folder))
            first = first or rate
            print(f"{replicas:>8}{args.jobs:>6}{rate:>12.2f}{rate / first:>7.2f}", flush=True)


if __name__ == "__main__":
    main()
