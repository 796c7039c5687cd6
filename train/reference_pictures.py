"""Reference pictures for training, prepared from the renderer's truth as `concat_id.references` prepares a
user's.

Align by five landmarks, black out what is not the person's own, keep the plain crop where too little would
remain (method of the authors' inference code); then the paper's reference noise.
"""

import torch
from torch import Generator, Tensor

from concat_id.references import MASKED_LABELS, MIN_KEPT_SHARE
from train.alignment import align_faces


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


def add_reference_noise(pictures: Tensor, generator: Generator | None = None) -> Tensor:
    """`picture + sigma noise` with log sigma ~ N(-3, .5) drawn per sample (method of the paper, section 5).

    Args:
        pictures: (B, 3, H, W) in [-1, 1].
    """
    log_sigma = torch.randn(len(pictures), 1, 1, 1, generator=generator) * 0.5 - 3.0
    noise = torch.randn(pictures.shape, generator=generator)
    return pictures + (log_sigma.exp() * noise).to(pictures)
