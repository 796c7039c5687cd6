"""Colours that a picture describes by a few numbers instead of a profile: PNG's gAMA and cHRM, HEIC's nclx.

They are followed as browsers follow them; what they say is ignored where it cannot be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

# Chromaticities of red, green, blue and white, (4, 2): those of sRGB, BT.709 and HD television.
_SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), (0.3127, 0.3290))
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
# Of gAMA: files that mean sRGB say 1 / 2.2, more or less.
_SRGB_GAMMA, _GAMMA_TOLERANCE = 1 / 2.2, 0.03
_GAMMA_RANGE = (0.1, 2.0)
_TOLERANCE = 0.005
# Of H.273, the curves that are sRGB's as far as 8 bits tell, and others that are powers: their exponents.
_NCLX_EXPONENTS: dict[int, float | None] = {1: None, 6: None, 13: None, 14: None, 4: 2.2, 5: 2.8, 8: 1.0}


@dataclass(frozen=True)
class ColourTags:
    """What numbers of a picture mean."""

    primaries: tuple[tuple[float, float], ...] = _SRGB
    exponent: float | None = None  # of the power from numbers to light; None: sRGB's curve

    @property
    def is_srgb(self) -> bool:
        """Whether there is nothing to convert."""
        return self.exponent is None and np.abs(np.subtract(self.primaries, _SRGB)).max() < _TOLERANCE


def read_tags(info: Mapping[Any, Any]) -> ColourTags | None:
    """What Pillow's `info` of a picture says; None where that is nothing, or nothing but sRGB."""
    tags = _read_nclx(info["nclx_profile"]) if info.get("nclx_profile") else _read_png(info)
    return None if tags is None or tags.is_srgb or not _is_real(tags) else tags


def convert(colours: Image.Image, tags: ColourTags) -> Image.Image:
    """A picture, L or RGB, whose numbers mean what tags say, as RGB whose numbers are sRGB's."""
    # Every number is one of 256: powers are looked up.
    numbers = np.linspace(0, 1, 256)
    light = (_from_srgb(numbers) if tags.exponent is None else numbers**tags.exponent)[
        np.asarray(colours.convert("RGB"))
    ]
    if np.abs(np.subtract(tags.primaries, _SRGB)).max() >= _TOLERANCE:
        light = light @ np.linalg.solve(_to_xyz(_SRGB), _to_xyz(tags.primaries)).T
    return Image.fromarray(np.rint(255 * _to_srgb(light.clip(0, 1))).astype(np.uint8))


def _read_png(info: Mapping[Any, Any]) -> ColourTags | None:
    """The chunks of a PNG; that it says sRGB goes before what else it says."""
    gamma, numbers = info.get("gamma"), info.get("chromaticity")
    if "srgb" in info or (gamma is None and numbers is None):
        return None
    tags = ColourTags()
    if numbers is not None:
        white, red, green, blue = (tuple(numbers[at : at + 2]) for at in (0, 2, 4, 6))
        tags = ColourTags((red, green, blue, white))
    low, high = _GAMMA_RANGE
    if gamma is None or not low <= gamma <= high:
        return tags
    # With sRGB's primaries it is sRGB's curve that is meant.
    means_srgb = tags.is_srgb and abs(gamma - _SRGB_GAMMA) < _GAMMA_TOLERANCE
    return tags if means_srgb else replace(tags, exponent=1 / gamma)


def _read_nclx(nclx: Mapping[str, Any]) -> ColourTags | None:
    """What a HEIC says; None of curves for brighter screens, which sRGB cannot show."""
    curve = nclx.get("transfer_characteristics")
    if curve not in _NCLX_EXPONENTS:
        return None
    names = ("red", "green", "blue", "white")
    primaries = tuple(
        tuple(float(nclx.get(f"color_primary_{name}_{axis}", 0.0)) for axis in "xy") for name in names
    )
    return ColourTags(primaries, _NCLX_EXPONENTS[curve])


def _is_real(tags: ColourTags) -> bool:
    """Whether there can be such primaries."""
    try:
        matrix = _to_xyz(tags.primaries)
    except (np.linalg.LinAlgError, ZeroDivisionError):
        return False
    return bool(np.isfinite(matrix).all() and np.linalg.cond(matrix) < 100)


def _to_xyz(primaries: tuple[tuple[float, float], ...]) -> np.ndarray:
    """The matrix from light of these primaries to XYZ, its white brought to sRGB's by Bradford's method."""
    red, green, blue, white = ((x / y, 1.0, (1 - x - y) / y) for x, y in primaries)
    matrix = np.array([red, green, blue]).T
    matrix = matrix * np.linalg.solve(matrix, np.array(white))
    x, y = _SRGB[3]
    cones = (_BRADFORD @ (x / y, 1.0, (1 - x - y) / y)) / (_BRADFORD @ np.array(white))
    return np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD @ matrix


def _from_srgb(values: np.ndarray) -> np.ndarray:
    """sRGB's numbers as light, both in [0, 1], IEC 61966-2-1."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _to_srgb(light: np.ndarray) -> np.ndarray:
    """The inverse."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
