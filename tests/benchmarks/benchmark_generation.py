"""Seconds of a whole run, previewed, scored and written: `python -m tests.benchmarks.benchmark_generation`.

The first run loads the models; the others are what a visitor waits for.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from concat_id import Job, generate
from concat_id.loading.presets import DEFAULT_PRESET, PRESETS
from concat_id.references.reference import Reference
from concat_id.settings import Settings


def time_run(preset: str, seed: int, output: Path) -> tuple[float, float]:
    """From the start to the first preview, and to the result."""
    face = Reference("face", "assets/examples/fay.png")
    job = Job("single", (face,), "a person laughing on a beach", Settings(seed=seed), preset)
    began = time.perf_counter()
    times = [time.perf_counter() - began for _ in generate(job, output)]
    return times[0], times[-1]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", choices=PRESETS, default=DEFAULT_PRESET)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    print(f"{'run':>8}{'first preview':>15}{'result':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(args.repeats + 1):
            preview, result = time_run(args.preset, seed, Path(folder))
            print(f"{f'warm {seed}' if seed else 'cold':>8}{preview:>15.2f}{result:>9.2f}")


if __name__ == "__main__":
    main()
