"""Frames per second of the renderer: `python -m tests.benchmarks.benchmark_renderer [--device cuda]`."""

from __future__ import annotations

import argparse
import time

import torch

from concat_id.people import render, sample_scenes

SETTINGS = ((8, 1, 128), (8, 2, 128), (8, 3, 128), (4, 1, 256))
NUM_FRAMES = 17


def frames_per_second(
    clips: int, num_people: int, size: int, device: str, repeats: int
) -> tuple[float, float]:
    """By the clock, and per second of processor time; the best of several runs, truth included."""
    best_wall = best_cpu = float("inf")
    for seed in range(repeats + 1):
        scenes = sample_scenes(seed, clips, num_people=num_people, num_frames=NUM_FRAMES, device=device)
        wall, cpu = time.perf_counter(), time.process_time()
        render(scenes, size, size).labels.sum().item()
        if seed > 0:  # the first run warms up
            best_wall, best_cpu = (
                min(best_wall, time.perf_counter() - wall),
                min(best_cpu, time.process_time() - cpu),
            )
    return clips * NUM_FRAMES / best_wall, clips * NUM_FRAMES / best_cpu


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"{'clips':>6}{'people':>8}{'pixels':>8}{'frames/s':>10}{'frames/CPU-s':>14}")
    for clips, num_people, size in SETTINGS:
        wall, cpu = frames_per_second(clips, num_people, size, args.device, args.repeats)
        print(f"{clips:>6}{num_people:>8}{size:>8}{wall:>10.1f}{cpu:>14.1f}")


if __name__ == "__main__":
    main()
