"""Mixed precision where it is faster: processors without bfloat16 emulate it, several times slower."""

from __future__ import annotations

import torch

from concat_id.loading.devices import choose_dtype


def is_mixed_faster(device_type: str) -> bool:
    """Whether a kind of device, as torch names it, computes in bfloat16 by itself."""
    return device_type != "cpu" or choose_dtype("cpu") == torch.bfloat16


def autocast(device_type: str) -> torch.autocast:
    """A context that computes in bfloat16, where that is faster."""
    return torch.autocast(device_type, torch.bfloat16, enabled=is_mixed_faster(device_type))
