"""Seconds per step, share of the roofline and peak memory: Concat-ID's pipelines beside diffusers' own.

    python -m tests.benchmarks.benchmark_pipelines                  # toy size, on a processor
    python -m tests.benchmarks.benchmark_pipelines --scale full --device cuda \\
        --height 480 --width 832 --num-frames 81

Ours with 0, 1 and 3 references, at each speed, and with what speeds leave out by itself.

Random weights: a transformer's time does not depend on them. Text is given as embeddings, and autoencoders
serve only those pipelines that ask for pictures. Each row's pipeline has a process of its own.
Seconds are the mean of a run's steps but the first, of the fastest run after one to warm up; on a processor
they are its own time, of all threads, which other load on the machine adds least to. Operations are counted
in the run that warms up. The roofline is what a product of large matrices reaches in the same process.
Memory is what the process holds at most, less what it held before: weights, and what steps take; of VACE and
ConsisID also what encoding their pictures does.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    AutoencoderKLWan,
    CogVideoXDPMScheduler,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    ConsisIDPipeline,
    ConsisIDTransformer3DModel,
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    WanPipeline,
    WanTransformer3DModel,
    WanVACEPipeline,
    WanVACETransformer3DModel,
)
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from concat_id import (
    ConcatIDCogVideoXPipeline,
    ConcatIDCogVideoXTransformer3DModel,
    ConcatIDWanPipeline,
    ConcatIDWanTransformer3DModel,
)
from concat_id.loading.peak_memory import MemoryWatch
from concat_id.models.checkpoint_cogvideox import SCHEDULE
from concat_id.speed import SPEEDS, Speed, at_speed

GB = 10**9
CHANNELS = 16
# What ConsisID is told of a face: values of two recognisers, and as many hidden states of one of them.
FACE_VALUES, FACE_STATES = 1280, 5


@dataclass(frozen=True)
class Scale:
    """Sizes of the models; of those that are left out, diffusers' defaults are the released models'."""

    wan: dict[str, Any]
    vace: dict[str, Any]
    cogvideox: dict[str, Any]
    consisid: dict[str, Any]
    wan_vae: dict[str, Any]
    cogvideox_vae: dict[str, Any]
    text: dict[str, tuple[int, int]]  # by family, tokens and width
    face_tokens: int  # of the states that ConsisID is told


_TOY_WAN = {"num_attention_heads": 4, "attention_head_dim": 64, "num_layers": 8, "ffn_dim": 1024}
_TOY_WAN |= {"text_dim": 192}
_WAN_1_3B = {"num_attention_heads": 12, "attention_head_dim": 128, "num_layers": 30, "ffn_dim": 8960}
_TOY_COGVIDEOX = {"num_attention_heads": 4, "attention_head_dim": 64, "num_layers": 8}
_TOY_COGVIDEOX |= {"text_embed_dim": 192, "time_embed_dim": 256, "max_text_seq_length": 64}
_COGVIDEOX_5B = {"num_attention_heads": 48, "num_layers": 42}
SCALES = {
    "toy": Scale(
        wan=_TOY_WAN,
        vace=_TOY_WAN | {"vace_layers": [0, 2, 4, 6]},
        cogvideox=_TOY_COGVIDEOX,
        # What is told of the face is a third as wide as the transformer, and two thirds where it is taken in.
        consisid=_TOY_COGVIDEOX
        | {"LFE_vit_dim": 80, "LFE_dim_head": 16, "LFE_num_heads": 5, "LFE_output_dim": 170}
        | {"cross_attn_dim_head": 64, "cross_attn_num_heads": 4},
        wan_vae={"base_dim": 8},
        cogvideox_vae={"block_out_channels": (8, 8, 8, 8), "norm_num_groups": 2, "layers_per_block": 1},
        text={"wan": (64, 192), "cogvideox": (64, 192)},
        face_tokens=37,
    ),
    "full": Scale(
        wan=_WAN_1_3B,
        vace=_WAN_1_3B | {"vace_layers": list(range(0, 30, 2))},
        cogvideox=_COGVIDEOX_5B,
        consisid=_COGVIDEOX_5B,
        wan_vae={},
        cogvideox_vae={},
        text={"wan": (512, 4096), "cogvideox": (226, 4096)},
        face_tokens=577,
    ),
}


# A pipeline, and what it takes besides the inputs that all share.
Built = tuple[DiffusionPipeline, dict[str, Any]]


@dataclass(frozen=True)
class Row:
    """A pipeline with a number of references."""

    name: str
    family: str
    references: int
    build: Callable[[Scale, int, argparse.Namespace], Built]
    speed: Speed = SPEEDS["exact"]


def _build_wan(scale: Scale, _: int, options: argparse.Namespace) -> Built:
    transformer = WanTransformer3DModel(**scale.wan)
    return WanPipeline(None, None, None, _wan_scheduler(), transformer), {}


def _build_our_wan(scale: Scale, references: int, options: argparse.Namespace) -> Built:
    transformer = ConcatIDWanTransformer3DModel(**scale.wan, reference_adaln=True)
    return ConcatIDWanPipeline(transformer, _wan_scheduler()), _reference_latents(references, options)


def _build_vace(scale: Scale, references: int, options: argparse.Namespace) -> Built:
    transformer, vae = WanVACETransformer3DModel(**scale.vace), AutoencoderKLWan(**scale.wan_vae)
    pipeline = WanVACEPipeline(None, None, vae, _wan_scheduler(), transformer)
    return pipeline, {"reference_images": [_picture(options)] * references}


def _build_cogvideox(scale: Scale, _: int, options: argparse.Namespace) -> Built:
    transformer = CogVideoXTransformer3DModel(**scale.cogvideox, **_rotary(options))
    return CogVideoXPipeline(None, None, None, transformer, CogVideoXDPMScheduler(**SCHEDULE)), {}


def _build_our_cogvideox(scale: Scale, references: int, options: argparse.Namespace) -> Built:
    transformer = ConcatIDCogVideoXTransformer3DModel(**scale.cogvideox, **_rotary(options))
    pipeline = ConcatIDCogVideoXPipeline(transformer, CogVideoXDPMScheduler(**SCHEDULE))
    return pipeline, _reference_latents(references, options)


def _build_consisid(scale: Scale, _: int, options: argparse.Namespace) -> Built:
    face = {"in_channels": 2 * CHANNELS, "is_train_face": True}
    transformer = ConsisIDTransformer3DModel(**scale.consisid, **face, **_rotary(options))
    vae = AutoencoderKLCogVideoX(**scale.cogvideox_vae)
    pipeline = ConsisIDPipeline(None, None, vae, transformer, CogVideoXDPMScheduler(**SCHEDULE))
    shape = (1, scale.face_tokens, transformer.config.LFE_vit_dim)
    return pipeline, {
        "image": _picture(options),
        "id_cond": torch.randn(1, FACE_VALUES),
        "id_vit_hidden": [torch.randn(shape) for _ in range(FACE_STATES)],
    }


FEWER_REFERENCES = Speed(reference_interval=3)
ROWS = (
    Row("diffusers Wan", "wan", 0, _build_wan),
    *(Row("Concat-ID Wan", "wan", count, _build_our_wan) for count in (0, 1, 3)),
    *(Row("... fewer references", "wan", count, _build_our_wan, FEWER_REFERENCES) for count in (1, 3)),
    *(Row(f"... {name}", "wan", 1, _build_our_wan, SPEEDS[name]) for name in ("balanced", "fast")),
    *(Row("diffusers Wan VACE", "wan", count, _build_vace) for count in (1, 3)),
    Row("diffusers CogVideoX", "cogvideox", 0, _build_cogvideox),
    *(Row("Concat-ID CogVideoX", "cogvideox", count, _build_our_cogvideox) for count in (0, 1, 3)),
    *(Row("... fewer references", "cogvideox", n, _build_our_cogvideox, FEWER_REFERENCES) for n in (1, 3)),
    *(
        Row(f"... {name}", "cogvideox", 1, _build_our_cogvideox, SPEEDS[name])
        for name in ("balanced", "fast")
    ),
    Row("diffusers ConsisID", "cogvideox", 1, _build_consisid),
)


def _wan_scheduler() -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(shift=5.0)


def _rotary(options: argparse.Namespace) -> dict[str, Any]:
    """The positions of a model that was trained on videos of this size."""
    return {
        "use_rotary_positional_embeddings": True,
        "sample_height": options.height // 8,
        "sample_width": options.width // 8,
        "sample_frames": options.num_frames,
    }


def _reference_latents(references: int, options: argparse.Namespace) -> dict[str, torch.Tensor]:
    if not references:
        return {}
    shape = (1, CHANNELS, references, options.height // 8, options.width // 8)
    return {"reference_latents": torch.randn(shape)}


def _picture(options: argparse.Namespace) -> Image.Image:
    return Image.new("RGB", (options.width, options.height), "grey")


def measure_roofline(device: torch.device, dtype: torch.dtype, side: int = 2048) -> float:
    """Operations a second that a product of two square matrices reaches; on a processor of its own time."""
    a, b = (torch.randn(side, side).to(device, dtype) for _ in range(2))
    best = float("inf")
    for _ in range(5):
        began = _now(device)
        a @ b
        best = min(best, _now(device) - began)
    return 2 * side**3 / best


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.process_time() if device.type == "cpu" else time.perf_counter()


def measure(row: Row, options: argparse.Namespace) -> tuple[float, float, int | None]:
    """Seconds a step, the share of the roofline, and bytes at the peak; None where nothing tells it."""
    torch.manual_seed(0)
    device, scale = torch.device(options.device), SCALES[options.scale]
    watch = MemoryWatch(options.device)
    dtype = getattr(torch, options.dtype)
    torch.set_default_dtype(dtype)  # weights of full size are never held in more bits than asked for
    pipeline, inputs = row.build(scale, row.references, options)
    torch.set_default_dtype(torch.float32)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.to(device).eval()
    pipeline.set_progress_bar_config(disable=True)
    tokens, width = scale.text[row.family]
    texts = {name: torch.randn(1, tokens, width).to(device, dtype) for name in ("prompt", "negative_prompt")}
    ends: list[float] = []

    def note(_: DiffusionPipeline, index: int, timestep: torch.Tensor, tensors: dict) -> dict:
        ends.append(_now(device))
        return {}

    def run() -> float:
        """Seconds a step."""
        ends.clear()
        with at_speed(pipeline.transformer, row.speed):
            pipeline(
                height=options.height,
                width=options.width,
                num_frames=options.num_frames,
                num_inference_steps=options.steps,
                guidance_scale=options.guidance_scale,
                max_sequence_length=tokens,
                generator=torch.Generator().manual_seed(0),
                output_type="latent",
                callback_on_step_end=note,
                **{f"{name}_embeds": embeds for name, embeds in texts.items()},
                **inputs,
            )
        return (ends[-1] - ends[0]) / (len(ends) - 1)

    with FlopCounterMode(display=False) as counter:
        run()
    seconds = min(run() for _ in range(options.rounds))
    found = watch.read()
    share = counter.get_total_flops() / options.steps / seconds / measure_roofline(device, dtype)
    return seconds, share, found.peak - found.held if found else None


def main() -> None:
    """Measure row by row and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", choices=SCALES, default="toy", help="of the models")
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--num-frames", type=int, default=17)
    parser.add_argument("--steps", type=int, default=12, help="of a run, 2 or more")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--guidance-scale", type=float, default=5.0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default=None, help="default: float32 on a processor, else bfloat16")
    options = parser.parse_args()
    options.dtype = options.dtype or ("float32" if options.device == "cpu" else "bfloat16")
    size = f"{options.num_frames} frames of {options.width} x {options.height}"
    where = f"{options.device}, {options.dtype}, {torch.get_num_threads()} threads"
    print(f"{options.scale}: {size}, guidance {options.guidance_scale:g}, {where}")
    print(f"{'':<24}{'references':>11}{'s a step':>10}{'ratio':>7}{'roofline':>10}{'GB':>8}")
    plain: dict[str, float] = {}
    for row in ROWS:
        # A process each: what one row leaves behind is not another one's memory.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seconds, share, peak = pool.apply(measure, (row, options))
            pool.close()
            pool.join()
        ratio = seconds / plain.setdefault(row.family, seconds)
        memory = f"{peak / GB:.2f}" if peak is not None else "-"
        print(
            f"{row.name:<24}{row.references:>11}{seconds:>10.3f}{ratio:>7.2f}{share:>10.0%}{memory:>8}",
            flush=True,
        )


if __name__ == "__main__":
    main()
