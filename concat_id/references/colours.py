"""Colours of every kind of picture become sRGB, once: all that follows knows no other."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

# Modes that a profile can speak of; what a picture of another mode is converted to first.
_PROFILED = {"L", "RGB", "CMYK", "LAB"}


def to_srgb(image: Image.Image) -> Image.Image:
    """A loaded picture of any mode as 8-bit sRGB, without its transparency.

    Args:
        image: a profile in its `info` is followed; one that is damaged, or of another kind of picture, is
            none.
    """
    profile = image.info.get("icc_profile")
    colours = _to_8_bits(image)
    if profile:
        converted = _follow(profile, colours)
        if converted is not None:
            return converted
    return colours.convert("RGB")


def read_alpha(image: Image.Image) -> Image.Image | None:
    """How opaque the pixels of a loaded picture are, mode L; None where all are."""
    if not image.has_transparency_data:
        return None
    alpha = image.convert("RGBA").getchannel("A")
    return alpha if alpha.getextrema()[0] < 255 else None


def _to_8_bits(image: Image.Image) -> Image.Image:
    """The colours in a mode that profiles speak of."""
    if image.mode.startswith("I") or image.mode == "F":
        return _scale_to_8_bits(image)
    if image.mode in _PROFILED:
        return image
    if image.mode in ("1", "LA", "La"):
        return image.convert("LA").convert("L") if image.mode == "La" else image.convert("L")
    # Transparent entries of a palette, and colours that were multiplied by their opacity.
    return image.convert("RGBA").convert("RGB") if image.has_transparency_data else image.convert("RGB")


def _follow(profile: bytes, colours: Image.Image) -> Image.Image | None:
    """The colours that a profile means; None if it means nothing."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, _srgb(), colours.mode, "RGB")
        return ImageCms.applyTransform(colours, transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    """The profile of what comes out."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _scale_to_8_bits(image: Image.Image) -> Image.Image:
    """Bring a 16-bit, 32-bit or floating-point grey picture to 8 bits.

    Integer modes hold 16-bit samples however dark the picture is; floating-point ones run to 1, 255 or 65535.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
    usual_peaks = (1.0, 255.0, 65535.0) if image.mode == "F" else (65535.0,)
    peak = next((peak for peak in usual_peaks if values.max() <= peak), values.max())
    return Image.fromarray((values.clip(0, peak) * (255.0 / peak)).round().astype(np.uint8))
