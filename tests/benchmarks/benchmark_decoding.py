"""The embedded model's decoder and whole runs, with diffusers' layers and with the faster ones, in pairs.

    python -m tests.benchmarks.benchmark_decoding

A round decodes a video and makes one, previewed, scored and written, both ways; ratios are of the medians.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from diffusers import AutoencoderKLWan

from concat_id import Job, generate
from concat_id.loading.load import load_pipeline
from concat_id.loading.presets import EMBEDDED
from concat_id.references.reference import Reference
from concat_id.settings import Settings


def seconds(call: Callable[[], object]) -> float:
    """Processor seconds of a call, of all threads: unlike the clock's, other load hardly changes them."""
    began = time.process_time()
    call()
    return time.process_time() - began


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="of a run; default: the preset's")
    options = parser.parse_args()
    pipeline = load_pipeline("embedded", "cpu", torch.float32)
    plain = AutoencoderKLWan.from_pretrained(EMBEDDED / "vae", dtype=torch.float32)
    autoencoders = {"diffusers' layers": plain, "faster layers": pipeline.vae}
    latents = torch.randn(1, 24, 5, 16, 16)
    face = Reference("face", "assets/examples/fay.png")
    decoding, running = ({name: [] for name in autoencoders} for _ in range(2))
    with tempfile.TemporaryDirectory() as folder:
        for index in range(options.rounds + 1):  # the first warms up
            settings = Settings(seed=index, num_inference_steps=options.steps if index else 1)
            job = Job("single", (face,), "a person laughing on a beach", settings, "embedded")
            for name, pipeline.vae in autoencoders.items():
                decoding[name].append(seconds(lambda: pipeline.decode_latents(latents)))
                running[name].append(seconds(lambda job=job: list(generate(job, Path(folder), device="cpu"))))
    print(f"{torch.get_num_threads()} threads, {options.rounds} rounds")
    print(f"{'processor seconds':<20}{'decoding':>10}{'a run':>8}")
    table = {name: (median(decoding[name][1:]), median(running[name][1:])) for name in autoencoders}
    for name, (decode, run) in table.items():
        print(f"{name:<20}{decode:>10.2f}{run:>8.2f}")
    slow, fast = table.values()
    print(f"{'ratio':<20}{slow[0] / fast[0]:>10.2f}{slow[1] / fast[1]:>8.2f}")


if __name__ == "__main__":
    main()
