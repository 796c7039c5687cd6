"""Where a pipeline runs, and in which precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from concat_id.errors import InvalidJob

if TYPE_CHECKING:
    import torch


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
