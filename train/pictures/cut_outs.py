"""Garments cut out of rendered pictures, and people filled in.

What `concat_id.references.garments` and `concat_id.references.backgrounds` do to one picture where a parser
finds something, done to batches where the truth, or what a parser might take for it, is.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from concat_id.people.labels import BACKGROUND
from concat_id.references.garments import MARGIN

RAGGEDNESS = 0.35
# Lumps along a picture's side.
RAGS = 14
# As in a picture of 128 px.
PEOPLE_MARGIN_PX = 3


def roughen(masks: Tensor, generator: torch.Generator) -> Tensor:
    """Masks (B, H, W) bool as a parser might find them: ragged at the edges, now and then with a hole."""
    soft = F.avg_pool2d(masks[:, None].float(), 5, stride=1, padding=2)
    lumps = torch.randn(len(masks), 1, RAGS, RAGS, generator=generator)
    lumps = F.interpolate(lumps, masks.shape[-2:], mode="bicubic")
    amount = RAGGEDNESS * torch.rand(len(masks), 1, 1, 1, generator=generator)
    # Patches away from the clothing are dropped where a parser mistakes them.
    rough = ((soft + amount * lumps > 0.5) & (soft > 0))[:, 0]
    return torch.where(rough.flatten(1).any(1).view(-1, 1, 1), rough, masks)


def cut_out(frames: Tensor, masks: Tensor, size: int) -> Tensor:
    """What masks (B, H, W) bool show of frames (B, 3, H, W), on black, cropped to it and padded to a square.

    Returns:
        (B, 3, size, size).
    """
    (top, bottom), (left, right) = _extent(masks.any(2)), _extent(masks.any(1))
    side = torch.maximum(bottom - top, right - left) * (1 + 2 * MARGIN)
    height, width = masks.shape[-2:]
    theta = torch.zeros(len(masks), 2, 3)
    theta[:, 0, 0], theta[:, 0, 2] = side / width, (left + right) / width - 1
    theta[:, 1, 1], theta[:, 1, 2] = side / height, (top + bottom) / height - 1
    # Twice as fine first: a garment's pattern would alias.
    grid = F.affine_grid(theta, [len(masks), 3, 2 * size, 2 * size], align_corners=False)
    return F.avg_pool2d(F.grid_sample(frames * masks[:, None], grid, align_corners=False), 2)


def hide_people(labels: Tensor) -> Tensor:
    """Which pixels of pictures with labels (B, H, W) show people, with a margin, (B, H, W) bool."""
    side = 2 * PEOPLE_MARGIN_PX + 1
    people = (labels != BACKGROUND).float()[:, None]
    return F.max_pool2d(people, side, stride=1, padding=PEOPLE_MARGIN_PX)[:, 0] > 0


def fill_in(frames: Tensor, hidden: Tensor) -> Tensor:
    """Frames (B, 3, H, W) with what is hidden (B, H, W) bool guessed from around it.

    From coarse to fine, what is known at a size stays: as smooth as inpainting, and fast enough for batches.
    """
    known = (~hidden)[:, None].float()
    if min(frames.shape[-2:]) == 1 or not hidden.any():
        return frames
    share = F.avg_pool2d(known, 2)
    coarse = F.avg_pool2d(frames * known, 2) / share.clamp(min=1e-6)
    coarse = fill_in(coarse, share[:, 0] == 0)
    guess = F.interpolate(coarse, frames.shape[-2:], mode="bilinear")
    return torch.where(hidden[:, None], guess, frames)


def _extent(shown: Tensor) -> tuple[Tensor, Tensor]:
    """First and one past the last of what is shown (B, n) bool, two of (B,); all of it where nothing is."""
    shown = shown | ~shown.any(1, keepdim=True)
    return shown.float().argmax(1), shown.shape[1] - shown.flip(1).float().argmax(1)
