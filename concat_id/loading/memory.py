"""How a pipeline fits a GPU: what stays there, what passes through it part by part, and what works in tiles.

A mode is how much of the GPU a pipeline may count on; `CONCAT_ID_MEMORY` sets it where nothing else does.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from concat_id.errors import InvalidJob

if TYPE_CHECKING:
    from diffusers import ModelMixin

    from concat_id.pipelines.pipeline import ConcatIDPipeline

MemoryMode = Literal["auto", "8gb", "12gb", "16gb", "24gb"]

VARIABLE = "CONCAT_ID_MEMORY"
# A 24 GB card holds the weights of a real preset, but not also what decoding a video at full size takes.
ROOMY_GPU_BYTES = 30 * 10**9
# What else is there while it denoises, and what decoding takes afterwards, needs the other half.
TRANSFORMER_SHARE = 0.5


@dataclass(frozen=True)
class MemoryPlan:
    """What a pipeline does to need less of a GPU.

    Attributes:
        is_short: the text encoder passes through the GPU layer by layer, and videos are decoded in tiles.
        stream_transformer: the transformer passes through it, too, block by block, in every pass.
    """

    is_short: bool = False
    stream_transformer: bool = False


def plan_memory(mode: str | None, device: str, transformer_folder: Path) -> MemoryPlan:
    """What a mode means for a transformer of this size on a device.

    Args:
        mode: one of `MemoryMode`; None: what the environment says, else "auto", which asks the GPU.
        device: as torch names it.
        transformer_folder: whose weights' size counts.
    """
    import torch

    mode = mode or os.environ.get(VARIABLE) or "auto"
    if mode not in get_args(MemoryMode):
        raise InvalidJob(f"memory is '{mode}'; choose {' or '.join(get_args(MemoryMode))}.")
    if not device.startswith("cuda"):
        if mode != "auto":
            raise InvalidJob(f"memory is '{mode}', which is about GPUs; leave it out on '{device}'.")
        return MemoryPlan()
    if mode == "auto":
        budget = torch.cuda.get_device_properties(device).total_memory
    else:
        budget = int(mode.removesuffix("gb")) * 10**9
    weights = sum(path.stat().st_size for path in transformer_folder.glob("*.safetensors"))
    return MemoryPlan(budget < ROOMY_GPU_BYTES, weights > TRANSFORMER_SHARE * budget)


def place(pipeline: ConcatIDPipeline, device: str, plan: MemoryPlan) -> ConcatIDPipeline:
    """Put a pipeline on a device, as far as it is to stay there."""
    import torch
    from diffusers.hooks import apply_group_offloading

    if plan.is_short:
        apply_group_offloading(pipeline.text_encoder, torch.device(device), offload_type="leaf_level")
        pipeline.vae.enable_tiling()
    else:
        pipeline.text_encoder.to(device)
    pipeline.vae.to(device)
    place_transformer(pipeline.transformer, device, plan)
    return pipeline


def place_transformer(transformer: ModelMixin, device: str, plan: MemoryPlan) -> None:
    """Put a transformer on a device, or have its blocks pass through it."""
    import torch

    if not plan.stream_transformer:
        transformer.to(device)
        return
    # On a GPU, the next block is on its way while one computes.
    ahead = {"use_stream": True, "low_cpu_mem_usage": True} if device.startswith("cuda") else {}
    transformer.enable_group_offload(
        torch.device(device), offload_type="block_level", num_blocks_per_group=1, **ahead
    )
