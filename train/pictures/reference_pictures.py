"""Reference pictures for training, prepared from the renderer's truth as `concat_id.references.prepare`
prepares a user's.

Faces: align by five landmarks, black out what is not the person's own, keep the plain crop where too little
would remain (method of the authors' inference code). Garments: cut out by the mask, on black. Then the
paper's reference noise. Only garments may be mirrored: a mirrored face is another face.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from concat_id.references.prepare import MASKED_LABELS, MIN_KEPT_SHARE
from train.pictures.alignment import align_faces, warp

# Of the picture's side that the longer side of a garment fills.
GARMENT_SHARE = 0.94


def prepare_references(frames: Tensor, labels: Tensor, landmarks: Tensor, size: int) -> Tensor:
    """Aligned, masked face crops.

    Args:
        frames: pictures, (B, 3, H, W) in [0, 1].
        labels: face-parsing label maps, (B, H, W) uint8.
        landmarks: five points a face, (B, 5, 2) px.

    Returns:
        (B, 3, size, size) in [0, 1].
    """
    crops = align_faces(frames, landmarks, size)
    # Outside the picture the warp gives label 0, which is background, as it should be.
    parsed = align_faces(labels[:, None].float(), landmarks, size, mode="nearest")
    hidden = torch.isin(parsed.round().long(), torch.tensor(MASKED_LABELS, device=frames.device))
    enough = (~hidden).float().mean((1, 2, 3), keepdim=True) >= MIN_KEPT_SHARE
    return torch.where(hidden & enough, 0.0, crops)


def prepare_garments(frames: Tensor, masks: Tensor, size: int, mirrored: Tensor) -> Tensor:
    """Garments cut out by their masks, on black, centred, fitted to the picture.

    Args:
        frames: pictures, (B, 3, H, W) in [0, 1].
        masks: what is garment, (B, H, W) bool; none may be empty.
        mirrored: which garments to flip sideways, (B,) bool.

    Returns:
        (B, 3, size, size) in [0, 1].
    """
    left, right = _extent(masks.any(1))
    top, bottom = _extent(masks.any(2))
    scale = GARMENT_SHARE * size / torch.maximum(right - left, bottom - top)
    across = torch.where(mirrored.to(scale.device), -scale, scale)
    # A pixel's centre lies on whole numbers.
    shift_x = (size - 1) / 2 - across * (left + right - 1) / 2
    shift_y = (size - 1) / 2 - scale * (top + bottom - 1) / 2
    none = torch.zeros_like(scale)
    matrices = torch.stack([across, none, shift_x, none, scale, shift_y], 1).view(-1, 2, 3)
    return warp(frames * masks.unsqueeze(1), matrices, size, size)


def _extent(hit: Tensor) -> tuple[Tensor, Tensor]:
    """First and one past the last true place of each row.

    Args:
        hit: (B, L) bool.
    """
    return hit.float().argmax(1), hit.shape[1] - hit.flip(1).float().argmax(1)


def add_reference_noise(pictures: Tensor, generator: Generator | None = None) -> Tensor:
    """`picture + sigma noise` with log sigma ~ N(-3, .5) drawn per sample (method of the paper, section 5).

    Args:
        pictures: (B, 3, H, W) in [-1, 1].
    """
    device = generator.device if generator else pictures.device
    log_sigma = torch.randn(len(pictures), 1, 1, 1, generator=generator, device=device) * 0.5 - 3.0
    noise = torch.randn(pictures.shape, generator=generator, device=device)
    return pictures + (log_sigma.exp() * noise).to(pictures)
