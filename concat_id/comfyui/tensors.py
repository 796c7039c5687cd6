"""ComfyUI's pictures and ours: IMAGE is (B, H, W, C) in [0, 1], MASK (B, H, W), 1 where it is transparent."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from concat_id.errors import InvalidJob


def to_picture(image: Tensor, mask: Tensor | None = None) -> Image.Image:
    """The one picture of an IMAGE, RGB; RGBA where something of it is transparent.

    Args:
        mask: as of *Load Image*, which gives a small one of zeros beside pictures without transparency.
    """
    if image.ndim != 4 or image.shape[0] != 1 or image.shape[3] not in (3, 4):
        raise InvalidJob(
            f"a reference is one picture in colour, got a batch of the shape {tuple(image.shape)}; "
            "give one picture to each node."
        )
    picture = Image.fromarray(to_frames(image)[0])
    if mask is not None and float(mask.max()) > 0:
        if len(mask) != 1:
            raise InvalidJob(f"a picture has one mask, got {len(mask)}.")
        opaque = Image.fromarray(_to_bytes(1 - mask[0]))
        picture.putalpha(opaque.resize(picture.size, Image.Resampling.BILINEAR))
    return picture


def to_frames(images: Tensor) -> np.ndarray:
    """An IMAGE as (B, H, W, C) uint8."""
    return _to_bytes(images)


def to_image(frames: np.ndarray) -> Tensor:
    """Frames, (T, H, W, 3) uint8, as an IMAGE of T pictures, float32."""
    return torch.from_numpy(frames.astype(np.float32) / 255)


def _to_bytes(values: Tensor) -> np.ndarray:
    """Values of [0, 1] as uint8; what other nodes leave outside is cut off."""
    return (values.detach().float().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
