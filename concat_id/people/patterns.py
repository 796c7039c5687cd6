"""Patterns of cloth: how much of the second colour shows at each point."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from concat_id.people.actor import Actor
from concat_id.people.canvas import coverage, triangle_wave
from concat_id.people.columns import rows_where
from concat_id.people.outfit import GARMENTS, PATTERNS

LOGO_SIZE, LOGO_Y, LOGO_Y_ON_DRESS = 0.28, -1.80, -2.10
# Garments that close in the middle carry a small logo on the chest instead of a large one.
BADGE_SIZE, BADGE_X = 0.17, 0.50


def pattern_alpha(actor: Actor, across: Tensor, down: Tensor, pixel: Tensor) -> Tensor:
    """Share of the second colour, [0, 1], (n, 1, h, w).

    Args:
        across, down: coordinates along the cloth in head units, (n, 1, h, w).
        pixel: a pixel's size in head units, (n, 1, 1, 1).
    """
    alpha = torch.zeros_like(across)
    for name, paint in (
        ("striped", _stripes),
        ("pinstriped", _pinstripes),
        ("checked", _checks),
        ("dotted", _dots),
        ("star", _star),
        ("heart", _heart),
    ):
        index = rows_where(actor.outfit.pattern == PATTERNS.index(name))
        if len(index):
            logo = name in ("star", "heart")
            size = _logo_size(actor)[index] if logo else actor.outfit.pattern_scale[index]
            y = down - _logo_height(actor) if logo else down
            alpha[index] = paint(across[index], y[index], size, pixel[index])
    return alpha


def _logo_size(actor: Actor) -> Tensor:
    closing = torch.tensor([GARMENTS.index(name) for name in ("shirt", "jacket")], device=actor.row.device)
    return torch.where(torch.isin(actor.outfit.garment, closing), BADGE_SIZE, LOGO_SIZE)


def _logo_height(actor: Actor) -> Tensor:
    return torch.where(actor.outfit.garment == GARMENTS.index("dress"), LOGO_Y_ON_DRESS, LOGO_Y)


def _logo_position(across: Tensor, down: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates from the logo's centre, in units of its size."""
    center = (size == BADGE_SIZE) * BADGE_X
    return (across - center) / size, down / size


def _bands(position: Tensor, frequency: Tensor, share: float, pixel: Tensor) -> Tensor:
    return coverage((triangle_wave(position * frequency) - share) / frequency * 0.5, pixel)


def _stripes(across: Tensor, down: Tensor, size: Tensor, pixel: Tensor) -> Tensor:
    return _bands(down, 2.2 * size + 0.6, 0.5, pixel)


def _pinstripes(across: Tensor, down: Tensor, size: Tensor, pixel: Tensor) -> Tensor:
    return _bands(across, 3.6 * size, 0.32, pixel)


def _checks(across: Tensor, down: Tensor, size: Tensor, pixel: Tensor) -> Tensor:
    first, second = (_bands(position, 2.0 * size, 0.5, pixel) * 0.55 for position in (down, across))
    return 1 - (1 - first) * (1 - second)


def _dots(across: Tensor, down: Tensor, size: Tensor, pixel: Tensor) -> Tensor:
    frequency = 3.0 * size
    row = torch.floor(down * frequency)
    x = across * frequency + 0.5 * (row % 2)
    x, y = x - torch.floor(x) - 0.5, down * frequency - row - 0.5
    return coverage((torch.hypot(x, y) - 0.28) / frequency, pixel)


def _star(across: Tensor, down: Tensor, size: Tensor, pixel: Tensor) -> Tensor:
    x, y = _logo_position(across, down, size)
    angle = torch.atan2(x, y)
    outline = torch.hypot(x, y) - (0.45 + 0.55 * triangle_wave(angle * 5 / math.tau))
    return coverage(outline * size, pixel)


def _heart(across: Tensor, down: Tensor, size: Tensor, pixel: Tensor) -> Tensor:
    x, y = _logo_position(across, down, size)
    x, y = x.abs(), y + 0.15
    lobe = torch.hypot(x - 0.42, y - 0.35) - 0.52
    point = torch.maximum((x + (0.05 - y) * 0.95 - 1.02) * 0.72, y - 0.30)
    return coverage(torch.minimum(lobe, point) * size, pixel)
