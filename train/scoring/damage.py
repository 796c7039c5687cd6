"""Faces broken as a weak video model breaks them: parts smeared, doubled, shifted, exchanged.

In latents, where such models work, and in pixels. Axes: B faces, C channels, H, W in cells or px.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

# Parts that break alone or together: numbers of the five points, and the reach in distances of the eyes.
PARTS: tuple[tuple[tuple[int, ...], float], ...] = (
    ((0,), 0.42),
    ((1,), 0.42),
    ((0, 1), 0.42),
    ((3, 4), 0.42),
    ((2, 3, 4), 0.45),
    ((0, 2, 3), 0.5),
    ((1, 2, 4), 0.5),
    ((0, 1, 2, 3, 4), 0.55),
)
# Of values (B, C, H, W) and of others' like them, the distance of the eyes in cells, and a generator.
Operation = Callable[[Tensor, Tensor, float, Generator], Tensor]


def mask_parts(landmarks: Tensor, height: int, width: int, generator: Generator) -> Tensor:
    """Where each face breaks, (B, 1, H, W) in [0, 1].

    Args:
        landmarks: (B, 5, 2) in cells.
    """
    unit = (landmarks[:, 1] - landmarks[:, 0]).norm(dim=-1).clamp(min=1.0)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    masks = []
    for points, eyes, number in zip(
        landmarks, unit, torch.randint(len(PARTS), (len(landmarks),), generator=generator), strict=True
    ):
        numbers, reach = PARTS[int(number)]
        chosen = points[list(numbers)][:, :, None, None]
        distance = ((chosen[:, 0] - x).square() + (chosen[:, 1] - y).square()).sqrt() / (reach * eyes)
        masks.append((1.5 - distance.amin(0)).clamp(0, 1))
    return torch.stack(masks)[:, None]


def _draw(low: float, high: float, generator: Generator) -> float:
    return low + (high - low) * torch.rand((), generator=generator).item()


def _shift(values: Tensor, others: Tensor, eyes: float, generator: Generator) -> Tensor:
    """Moved aside, or doubled."""
    angle = torch.rand((), generator=generator) * 6.283
    length = eyes * _draw(0.25, 0.55, generator)
    theta = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]).expand(len(values), -1, -1).clone()
    height, width = values.shape[-2:]
    theta[:, 0, 2], theta[:, 1, 2] = 2 * length * angle.cos() / width, 2 * length * angle.sin() / height
    moved = F.grid_sample(
        values,
        F.affine_grid(theta, list(values.shape), align_corners=False),
        padding_mode="border",
        align_corners=False,
    )
    return torch.lerp(values, moved, _draw(0.45, 1.0, generator))


def _warp(values: Tensor, others: Tensor, eyes: float, generator: Generator) -> Tensor:
    """Bent at random, smoothly."""
    height, width = values.shape[-2:]
    cells = max(3, round(width / (eyes * _draw(0.35, 0.8, generator))))
    flow = torch.randn(len(values), 2, cells, cells, generator=generator)
    flow = F.interpolate(flow, (height, width), mode="bicubic") * (2 * eyes * _draw(0.12, 0.25, generator))
    identity = F.affine_grid(
        torch.eye(2, 3).expand(len(values), -1, -1), list(values.shape), align_corners=False
    )
    grid = identity + flow.permute(0, 2, 3, 1) / torch.tensor([width, height])
    return F.grid_sample(values, grid, padding_mode="border", align_corners=False)


def _exchange(values: Tensor, others: Tensor, eyes: float, generator: Generator) -> Tensor:
    """Half or all another's."""
    return torch.lerp(values, others, _draw(0.35, 0.9, generator))


def _smear(values: Tensor, others: Tensor, eyes: float, generator: Generator) -> Tensor:
    """Averaged along a line."""
    length = max(2.0, eyes * _draw(0.5, 1.1, generator))
    angle = torch.rand((), generator=generator) * 3.1416
    steps = max(3, round(length))
    height, width = values.shape[-2:]
    total = torch.zeros_like(values)
    for offset in torch.linspace(-length / 2, length / 2, steps):
        theta = torch.eye(2, 3).expand(len(values), -1, -1).clone()
        theta[:, 0, 2], theta[:, 1, 2] = 2 * offset * angle.cos() / width, 2 * offset * angle.sin() / height
        total += F.grid_sample(
            values,
            F.affine_grid(theta, list(values.shape), align_corners=False),
            padding_mode="border",
            align_corners=False,
        )
    return total / steps


def _erase(values: Tensor, others: Tensor, eyes: float, generator: Generator) -> Tensor:
    """Only the colours round about."""
    reach = max(1, round(eyes * _draw(0.3, 0.6, generator)))
    padded = F.pad(values, (reach,) * 4, mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(padded, 2 * reach + 1, 1, padding=reach), 2 * reach + 1, 1)


def _disturb(values: Tensor, others: Tensor, eyes: float, generator: Generator) -> Tensor:
    """With noise of about the latents' own size."""
    noise = torch.randn(values.shape, generator=generator)
    return values + _draw(0.6, 1.2, generator) * noise


PIXEL_OPERATIONS: tuple[Operation, ...] = (_shift, _warp, _warp, _exchange, _smear, _erase)
LATENT_OPERATIONS: tuple[Operation, ...] = (_shift, _exchange, _exchange, _smear, _erase, _disturb)


def break_faces(
    values: Tensor,
    others: Tensor,
    landmarks: Tensor,
    operations: tuple[Operation, ...],
    generator: Generator,
) -> tuple[Tensor, Tensor]:
    """Faces with a part broken by an operation, one for all of them, and where.

    Args:
        values: pictures or latents, (B, C, H, W).
        others: of other people or moments, like them.
        landmarks: five points, (B, 5, 2) in cells.

    Returns:
        (B, C, H, W) and masks (B, 1, H, W).
    """
    mask = mask_parts(landmarks, *values.shape[-2:], generator)
    operation = operations[int(torch.randint(len(operations), (), generator=generator))]
    eyes = (landmarks[:, 1] - landmarks[:, 0]).norm(dim=-1).mean().clamp(min=1.0).item()
    return torch.lerp(values, operation(values, others, eyes, generator), mask), mask
