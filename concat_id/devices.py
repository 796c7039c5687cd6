"""Where a pipeline runs, in which precision, and how it fits a small GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from concat_id.errors import InvalidJob

if TYPE_CHECKING:
    import torch

    from concat_id.pipelines.pipeline import ConcatIDPipeline

# A 24 GB card holds the weights of a real preset, but not also what decoding a video at full size takes.
ROOMY_GPU_BYTES = 30 * 10**9


def choose_device(device: str | None) -> str:
    """The device to run on, as torch names it; refuses one that this machine lacks."""
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device is None:
        return next(kind for kind, there in available.items() if there)
    kind, _, index = device.partition(":")
    there = available.get(kind, False) and (not index or index.isdecimal())
    if there and index and kind == "cuda":
        there = int(index) < torch.cuda.device_count()
    if not there:
        usable = " or ".join(f"'{kind}'" for kind, there in available.items() if there)
        raise InvalidJob(f"device '{device}' is not on this machine; choose {usable}.")
    return device


def choose_dtype(device: str) -> torch.dtype:
    """bfloat16 where the device computes in it; emulated it would be several times slower than float32."""
    import torch

    capabilities = torch.cpu.get_capabilities()
    native = device.startswith("cuda") or capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return torch.bfloat16 if native else torch.float32


def is_short_of_memory(device: str) -> bool:
    """Whether a GPU cannot hold all of a real preset at work; its text encoder alone takes 11 GB."""
    import torch

    return (
        device.startswith("cuda") and torch.cuda.get_device_properties(device).total_memory < ROOMY_GPU_BYTES
    )


def save_memory(pipeline: ConcatIDPipeline, device: str) -> None:
    """Make a pipeline fit a small GPU: the text encoder passes through it layer by layer, decoding is tiled.

    Only transformer and autoencoder stay there, 3.5 GB for the 1.3B model.
    """
    import torch
    from diffusers.hooks import apply_group_offloading

    apply_group_offloading(pipeline.text_encoder, torch.device(device), offload_type="leaf_level")
    pipeline.vae.enable_tiling()
