"""Named colours, sRGB in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor

Color = tuple[float, float, float]

SKIN_COLORS: dict[str, Color] = {
    "porcelain": (1.0, 0.87, 0.79), "fair": (1.0, 0.80, 0.68), "peach": (0.97, 0.74, 0.58),
    "tan": (0.88, 0.64, 0.45), "olive": (0.78, 0.58, 0.40), "bronze": (0.69, 0.46, 0.30),
    "brown": (0.54, 0.34, 0.22), "deep brown": (0.38, 0.235, 0.165),
}  # fmt: skip
HAIR_COLORS: dict[str, Color] = {
    "black": (0.10, 0.09, 0.11), "dark brown": (0.25, 0.15, 0.10), "brown": (0.43, 0.25, 0.14),
    "auburn": (0.56, 0.22, 0.11), "ginger": (0.86, 0.40, 0.12), "blonde": (0.95, 0.75, 0.36),
    "platinum": (0.93, 0.90, 0.82), "grey": (0.62, 0.63, 0.66), "pink": (0.96, 0.45, 0.66),
    "blue": (0.22, 0.40, 0.86), "teal": (0.10, 0.62, 0.60), "purple": (0.50, 0.27, 0.72),
}  # fmt: skip
EYE_COLORS: dict[str, Color] = {
    "brown": (0.42, 0.22, 0.09), "dark": (0.17, 0.10, 0.07), "blue": (0.20, 0.52, 0.90),
    "green": (0.22, 0.60, 0.30), "grey": (0.48, 0.57, 0.66), "amber": (0.80, 0.50, 0.10),
    "violet": (0.50, 0.32, 0.78),
}  # fmt: skip
COLORS: dict[str, Color] = {
    "red": (0.86, 0.16, 0.18), "orange": (0.97, 0.50, 0.13), "yellow": (0.98, 0.80, 0.20),
    "green": (0.20, 0.60, 0.32), "teal": (0.08, 0.58, 0.60), "blue": (0.16, 0.38, 0.84),
    "navy": (0.12, 0.16, 0.36), "purple": (0.50, 0.26, 0.70), "pink": (0.97, 0.52, 0.66),
    "white": (0.94, 0.94, 0.93), "grey": (0.52, 0.54, 0.58), "black": (0.14, 0.14, 0.16),
    "beige": (0.86, 0.77, 0.62), "brown": (0.45, 0.29, 0.19), "mint": (0.60, 0.88, 0.74),
}  # fmt: skip
GLASSES_COLORS: dict[str, Color] = {
    "black": (0.10, 0.10, 0.12), "red": (0.78, 0.14, 0.16), "brown": (0.40, 0.26, 0.17),
    "blue": (0.14, 0.34, 0.76), "white": (0.90, 0.90, 0.90), "gold": (0.85, 0.65, 0.25),
}  # fmt: skip


def color_table(colors: dict[str, Color]) -> Tensor:
    """The colours in order, (K, 3)."""
    return torch.tensor(list(colors.values()))
