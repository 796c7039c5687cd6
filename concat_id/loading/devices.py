"""Where a pipeline runs, and in which precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from concat_id.errors import InvalidJob

if TYPE_CHECKING:
    import torch

    from concat_id.loading.presets import Backbone

BFLOAT16_CAPABILITY = (8, 0)  # CUDA's, from which on cards compute in bfloat16


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


@dataclass(frozen=True)
class Precision:
    """In which types a pipeline's weights are kept, and its transformer computes."""

    transformer: torch.dtype
    compute: torch.dtype
    text_encoder: torch.dtype
    autoencoder: torch.dtype


def choose_precision(device: str, backbone: Backbone, dtype: torch.dtype | None = None) -> Precision:
    """The fastest types in which a backbone's values stay finite on a device.

    Wan's transformer computes in float16 where a card has no bfloat16, as T4 and 20xx; CogVideoX 5B overflows
    in it (its model card: "not supported") and computes in float32 there, with weights kept in bfloat16. So
    does a text encoder: such cards emulate it, slowly, but it computes once.

    Args:
        dtype: of all but an autoencoder in float32; None: the device's.
    """
    import torch

    own = dtype or choose_dtype(device)
    # On a GPU the autoencoder can afford float32, as Wan has it; on a processor it takes most of the time.
    in_float32 = device.startswith("cuda") and backbone == "wan"
    if dtype is None and own == torch.float16:
        weights, compute = (own, own) if backbone == "wan" else (torch.bfloat16, torch.float32)
        return Precision(weights, compute, torch.bfloat16, torch.float32)
    return Precision(own, own, own, torch.float32 if in_float32 else own)


def choose_dtype(device: str) -> torch.dtype:
    """The device's 16 bits, bfloat16 if it has both; a processor's float32 if it would emulate them."""
    import torch

    if device.startswith("cuda"):
        has_bfloat16 = torch.cuda.get_device_capability(device) >= BFLOAT16_CAPABILITY
        return torch.bfloat16 if has_bfloat16 else torch.float16
    capabilities = torch.cpu.get_capabilities()
    native = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return torch.bfloat16 if native else torch.float32
