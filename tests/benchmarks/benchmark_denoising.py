"""Time per denoising step: Concat-ID with 0, 1 and 3 references against diffusers' plain Wan pipeline.

    python -m tests.benchmarks.benchmark_denoising

Random weights of the embedded model's size; a transformer's time does not depend on its weights. The runs are
interleaved, and each figure is the fastest of its rounds: other load on the machine only adds to it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from diffusers import DiffusionPipeline, FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel

from concat_id import ConcatIDWanPipeline, ConcatIDWanTransformer3DModel

CONFIG = {
    "num_attention_heads": 4,
    "attention_head_dim": 64,
    "num_layers": 8,
    "ffn_dim": 1024,
    "in_channels": 24,
    "out_channels": 24,
    "text_dim": 192,
}
TEXT_TOKENS = 64
REFERENCES = (0, 1, 3)


def build_pipelines() -> dict[str, DiffusionPipeline]:
    """The pipelines to compare, without text encoder and autoencoder."""
    torch.manual_seed(0)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=5.0)
    stock = WanTransformer3DModel(**CONFIG).eval()
    pipelines = {"Wan": WanPipeline(None, None, None, scheduler, stock)}
    for variant, reference_adaln in (("plain", False), ("AdaLN", True)):
        transformer = ConcatIDWanTransformer3DModel(**CONFIG, reference_adaln=reference_adaln).eval()
        pipelines[f"Concat-ID {variant}"] = ConcatIDWanPipeline(transformer, scheduler)
    for pipeline in pipelines.values():
        pipeline.set_progress_bar_config(disable=True)
    return pipelines


def make_run(
    pipeline: DiffusionPipeline, references: int, options: argparse.Namespace
) -> Callable[[], object]:
    """A call that denoises a video."""
    frames, height, width = (options.num_frames - 1) // 4 + 1, options.height // 8, options.width // 8
    inputs = {
        "latents": torch.randn(1, CONFIG["in_channels"], frames, height, width),
        "prompt_embeds": torch.randn(1, TEXT_TOKENS, CONFIG["text_dim"]),
        "negative_prompt_embeds": torch.randn(1, TEXT_TOKENS, CONFIG["text_dim"]),
        "num_inference_steps": options.steps,
        "guidance_scale": options.guidance_scale,
        "output_type": "latent",
    }
    if references:
        inputs["reference_latents"] = torch.randn(1, CONFIG["in_channels"], references, height, width)
    return lambda: pipeline(
        height=options.height, width=options.width, num_frames=options.num_frames, **inputs
    )


def measure(runs: dict[str, Callable[[], object]], rounds: int, steps: int) -> dict[str, float]:
    """Seconds per step of each run, the fastest of the rounds after one to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            seconds[name].append((time.perf_counter() - started) / steps)
    return {name: min(values[1:]) for name, values in seconds.items()}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--num-frames", type=int, default=17)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--guidance-scale", type=float, default=5.0)
    options = parser.parse_args()
    pipelines = build_pipelines()
    runs = {"Wan": make_run(pipelines.pop("Wan"), 0, options)}
    tokens = {"Wan": 1.0}
    latent_frames = (options.num_frames - 1) // 4 + 1
    for name, pipeline in pipelines.items():
        for count in REFERENCES:
            label = f"{name}, {count} reference{'' if count == 1 else 's'}"
            runs[label] = make_run(pipeline, count, options)
            tokens[label] = 1 + count / latent_frames
    seconds = measure(runs, options.rounds, options.steps)
    size = f"{options.num_frames} frames of {options.width} x {options.height}"
    print(f"{size}, guidance {options.guidance_scale}, {torch.get_num_threads()} threads")
    print(f"{'':<30}{'ms a step':>10}{'ratio':>8}{'tokens':>8}")
    for name, value in seconds.items():
        print(f"{name:<30}{1000 * value:>10.1f}{value / seconds['Wan']:>8.2f}{tokens[name]:>8.2f}")


if __name__ == "__main__":
    main()
