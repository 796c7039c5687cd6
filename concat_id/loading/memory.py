"""How a pipeline fits a GPU and the system's memory: what stays there, and what passes through part by part.

A mode is how much of the GPU a pipeline may count on; `CONCAT_ID_MEMORY` sets it where nothing else does.
Modes without a number of bits give the results of having room for everything, but for the decoder's tiles.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from concat_id.errors import InvalidJob

if TYPE_CHECKING:
    import torch
    from diffusers import ModelMixin

    from concat_id.pipelines.pipeline import ConcatIDPipeline

MemoryMode = Literal["auto", "8gb", "12gb", "16gb", "24gb", "8gb-4bit", "12gb-4bit", "16gb-8bit"]
# whole: on the device. layers: in system memory, from where one layer after the other passes through the GPU.
# files: nowhere; a layer is read when its turn comes. 8bit, 4bit: on the device, in fewer bits.
TextEncoderForm = Literal["whole", "layers", "files", "8bit", "4bit"]

VARIABLE = "CONCAT_ID_MEMORY"
GB = 10**9
# A 24 GB card holds the weights of a real preset, but not also what decoding a video at full size takes.
ROOMY_GPU_BYTES = 30 * GB
# What else is there while it denoises, and what decoding takes afterwards, needs the other half.
TRANSFORMER_SHARE = 0.5
# Of the system's memory: the rest is for the other parts, and for what loading takes besides the weights.
TEXT_ENCODER_SHARE = 0.6
# Of a GPU, what a step's passes may take as one batch, and how much a token takes: its feed-forward layer's
# width and some eight times its own, in float32 as the norms between them compute.
BATCH_SHARE = 0.2
BYTES_PER_VALUE, WIDTHS_PER_TOKEN = 4, 8


@dataclass(frozen=True)
class MemoryPlan:
    """What a pipeline does to need less memory.

    Attributes:
        text_encoder: where it is, and in how many bits.
        is_tiled: videos are decoded in tiles.
        stream_transformer: the transformer passes through the GPU block by block, in every pass.
        store_float8: its weights are kept in 8 bits, and computed with in 16.
        gpu_bytes: how much of a GPU it may count on; 0 without one.
    """

    text_encoder: TextEncoderForm = "whole"
    is_tiled: bool = False
    stream_transformer: bool = False
    store_float8: bool = False
    gpu_bytes: int = 0


def plan_memory(mode: str | None, device: str, folder: Path) -> MemoryPlan:
    """What a mode means for a pipeline on a device.

    Args:
        mode: one of `MemoryMode`; None: what the environment says, else "auto", which asks the GPU.
        device: as torch names it.
        folder: of the pipeline, whose weights' sizes count.
    """
    mode = mode or os.environ.get(VARIABLE) or "auto"
    if mode not in get_args(MemoryMode):
        raise InvalidJob(f"memory is '{mode}'; choose {' or '.join(get_args(MemoryMode))}.")
    is_large = measure_weights(folder / "text_encoder") > TEXT_ENCODER_SHARE * read_system_bytes()
    if not device.startswith("cuda"):
        if mode != "auto":
            raise InvalidJob(f"memory is '{mode}', which is about GPUs; leave it out on '{device}'.")
        return MemoryPlan("files" if is_large else "whole")
    size, _, bits = mode.partition("-")
    budget = _read_gpu_bytes(device) if size == "auto" else int(size.removesuffix("gb")) * GB
    short, transformer = budget < ROOMY_GPU_BYTES, measure_weights(folder / "transformer")
    # In half the bits where that makes it fit; where it fits as it is, or not even so, they are left alone.
    in_float8 = bool(bits) and transformer / 2 <= TRANSFORMER_SHARE * budget < transformer
    return MemoryPlan(
        text_encoder=bits or ("files" if is_large else "layers" if short else "whole"),
        is_tiled=short,
        stream_transformer=transformer > TRANSFORMER_SHARE * budget and not in_float8,
        store_float8=in_float8,
        gpu_bytes=budget,
    )


def read_bits(mode: str | None) -> str:
    """In how many bits a mode has the text encoder, "8bit" or "4bit"; empty where nothing is changed.

    Args:
        mode: as of `plan_memory`.
    """
    return (mode or os.environ.get(VARIABLE) or "").partition("-")[2]


def describe_bits(mode: str | None) -> list[str]:
    """What the user should know of a mode, in sentences."""
    bits = read_bits(mode).removesuffix("bit")
    said = (
        "The text encoder has {} bits: the video differs a little from what the same settings give elsewhere."
    )
    return [said.format(bits)] if bits else []


def measure_weights(folder: Path) -> int:
    """Bytes of a model's weights in 16 bits, whatever its files have: released text encoders have 32."""
    from safetensors import safe_open

    values = 0
    for path in folder.glob("[!.]*.safetensors"):
        with safe_open(path, "np") as file:
            names = file.keys()
            values += sum(math.prod(file.get_slice(name).get_shape()) for name in names)
    return 2 * values


def read_system_bytes() -> int:
    """The system's memory, or what this container may take of it.

    All of it, not what is free: a pipeline that is loaded must not change what the next one is planned to be.
    """
    import psutil

    total = psutil.virtual_memory().total
    try:
        return min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # another system, or "max": no limit
        return total


def _read_gpu_bytes(device: str) -> int:
    import torch

    return torch.cuda.get_device_properties(device).total_memory


def place(
    pipeline: ConcatIDPipeline, device: str, plan: MemoryPlan, compute: torch.dtype
) -> ConcatIDPipeline:
    """Put a pipeline on a device, as far as it is to stay there.

    Args:
        compute: see `place_transformer`.
    """
    import torch
    from diffusers.hooks import apply_group_offloading

    if plan.text_encoder == "layers":
        apply_group_offloading(pipeline.text_encoder, torch.device(device), offload_type="leaf_level")
    elif plan.text_encoder == "whole":
        pipeline.text_encoder.to(device)
    if plan.is_tiled:
        pipeline.vae.enable_tiling()
    pipeline.vae.to(device)
    if hasattr(pipeline, "face_encoder"):
        pipeline.face_encoder.to(device)
    place_transformer(pipeline.transformer, device, plan, compute)
    if plan.gpu_bytes:
        tokens = plan.gpu_bytes * BATCH_SHARE / (BYTES_PER_VALUE * _count_values(pipeline.transformer))
        pipeline.max_batched_tokens = max(pipeline.max_batched_tokens, int(tokens))
    return pipeline


def _count_values(transformer: ModelMixin) -> int:
    """How many values a token takes at once."""
    config = transformer.config
    width = config.num_attention_heads * config.attention_head_dim
    return config.get("ffn_dim", 4 * width) + WIDTHS_PER_TOKEN * width


def place_transformer(transformer: ModelMixin, device: str, plan: MemoryPlan, compute: torch.dtype) -> None:
    """Put a transformer on a device, or have its blocks pass through it.

    Args:
        compute: in which type, if its weights have another one.
    """
    import torch

    weights = transformer.dtype
    storage = torch.float8_e4m3fn if plan.store_float8 else weights
    if storage != compute:
        transformer.enable_layerwise_casting(storage_dtype=storage, compute_dtype=compute)
        for module in transformer.modules():  # layers that it leaves alone, such as norms
            for weight in () if hasattr(module, "_diffusers_hook") else module.parameters(recurse=False):
                weight.data = weight.data.to(compute if weight.dtype == weights else weight.dtype)
    if not plan.stream_transformer:
        transformer.to(device)
        return
    # On a GPU, the next block is on its way while one computes.
    ahead = {"use_stream": True, "low_cpu_mem_usage": True} if device.startswith("cuda") else {}
    transformer.enable_group_offload(
        torch.device(device), offload_type="block_level", num_blocks_per_group=1, **ahead
    )
