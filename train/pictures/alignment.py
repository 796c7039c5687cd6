"""Five-point face alignment in torch: the geometry of insightface's ``norm_crop``, batched.

Axes: B faces, H and W picture size, S crop size. Points are x, y in pixels, a pixel's centre on whole
numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# Where both eyes, the nose and both mouth corners lie in a 112 px crop (insightface ``arcface_dst``).
ARCFACE_POINTS: tuple[tuple[float, float], ...] = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)


def estimate_similarity(source: Tensor, target: Tensor) -> Tensor:
    """Least-squares similarity (rotation, scale, shift) that moves source points onto target points.

    Umeyama 1991 in closed form for the plane, where the best rotation and scale together are one complex
    number.

    Args:
        source: (B, 5, 2).
        target: (B, 5, 2) or (5, 2).

    Returns:
        (B, 2, 3) matrices.
    """
    target = target.expand_as(source)
    source_mean, target_mean = source.mean(1, keepdim=True), target.mean(1, keepdim=True)
    s, t = source - source_mean, target - target_mean
    norm = s.square().sum((1, 2)).clamp(min=1e-6)
    a = (s * t).sum((1, 2)) / norm
    b = (s[..., 0] * t[..., 1] - s[..., 1] * t[..., 0]).sum(1) / norm
    rotation = torch.stack([torch.stack([a, -b], -1), torch.stack([b, a], -1)], 1)
    shift = target_mean.transpose(1, 2) - rotation @ source_mean.transpose(1, 2)
    return torch.cat([rotation, shift], 2)


def invert_affine(matrices: Tensor) -> Tensor:
    """The inverse of (B, 2, 3) affine matrices, (B, 2, 3)."""
    inverse = torch.linalg.inv(matrices[..., :2])
    return torch.cat([inverse, -inverse @ matrices[..., 2:]], -1)


def transform_points(points: Tensor, matrices: Tensor) -> Tensor:
    """Points (B, ..., 2) moved by the affine matrices (B, 2, 3) of their pictures."""
    flat = points.flatten(1, -2)
    return (flat @ matrices[..., :2].transpose(1, 2) + matrices[:, None, :, 2]).view(points.shape)


def warp(pictures: Tensor, matrices: Tensor, height: int, width: int, *, mode: str = "bilinear") -> Tensor:
    """Warp pictures by affine matrices as ``cv2.warpAffine`` does; zero outside.

    Args:
        pictures: (B, C, H, W), float.
        matrices: picture to output coordinates, (B, 2, 3).
        mode: "bilinear" for pictures, "nearest" for label maps.
    """
    rows, columns = torch.meshgrid(
        torch.arange(height, device=pictures.device, dtype=torch.float32),
        torch.arange(width, device=pictures.device, dtype=torch.float32),
        indexing="ij",
    )
    grid = torch.stack([columns, rows], -1).flatten(0, 1).expand(len(pictures), -1, 2)
    points = transform_points(grid, invert_affine(matrices))
    size = torch.tensor(pictures.shape[:-3:-1], device=pictures.device, dtype=torch.float32)
    # Whole numbers are pixel centres, hence align_corners: -1 is the first centre, 1 the last.
    normalised = (points / (size - 1) * 2 - 1).view(-1, height, width, 2)
    return F.grid_sample(pictures, normalised, mode=mode, align_corners=True)


def crop_matrix(landmarks: Tensor, size: int) -> Tensor:
    """Picture-to-crop matrices (B, 2, 3) for landmarks (B, 5, 2) and a square crop of the given size."""
    points = torch.tensor(ARCFACE_POINTS, device=landmarks.device, dtype=landmarks.dtype)
    return estimate_similarity(landmarks, points * (size / 112))


def align_faces(pictures: Tensor, landmarks: Tensor, size: int = 112, *, mode: str = "bilinear") -> Tensor:
    """Aligned face crops (B, C, size, size) of pictures (B, C, H, W) with landmarks (B, 5, 2)."""
    return warp(pictures, crop_matrix(landmarks, size), size, size, mode=mode)
