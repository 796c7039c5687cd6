"""Loading pictures that strangers upload: bounded before decoding, and always RGB afterwards."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from concat_id.errors import PictureTooLarge, PictureTooSmall, UnreadablePicture
from concat_id.limits import read_limits

MIN_SIDE_PX = 32
MAX_ASPECT = 20
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
# Behind transparency: mid-grey, against which neither dark nor light hair disappears.
BACKDROP = (128, 128, 128)

# What Pillow's decoders raise on damaged data.
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, TypeError, IndexError, EOFError, struct.error, zlib.error)


def load_picture(source: str | Path | bytes | Image.Image) -> Image.Image:
    """Load a picture as the eye sees it: upright, opaque, 8-bit RGB.

    Args:
        source: a file's path, a file's bytes, or a PIL picture of any mode. Of an animation or a
            multi-page file, the first frame is taken.

    Returns:
        The picture, RGB, at least 32 px on each side, within the limits on bytes and pixels.
    """
    if isinstance(source, Image.Image):
        name, image = "the picture", source
    else:
        name, image = _open(source)
    _check_size(image.size, name)
    try:
        return _to_rgb(ImageOps.exif_transpose(image))
    except _DECODE_ERRORS as error:
        raise UnreadablePicture(
            f"{name} is damaged and cannot be decoded ({error}); save it again or choose another picture."
        ) from error


def _open(source: str | Path | bytes) -> tuple[str, Image.Image]:
    """Read a file's header without decoding its pixels. Returns its name for messages, and the picture."""
    name = "the picture" if isinstance(source, bytes) else f"'{Path(source).name}'"
    limits = read_limits()
    data = source if isinstance(source, bytes) else _read_bytes(Path(source), limits.picture_bytes + 1)
    if len(data) > limits.picture_bytes:
        raise PictureTooLarge(f"{name} has more than {limits.picture_bytes / 2**20:g} MB; save it smaller.")
    try:
        with warnings.catch_warnings():
            # Pillow warns about sizes that are refused below anyway.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return name, Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        most = min(limits.picture_pixels, 2 * Image.MAX_IMAGE_PIXELS)  # Pillow's own
        raise PictureTooLarge(
            f"{name} has far more than {most / 1e6:g} megapixels; scale it down first."
        ) from error
    except _DECODE_ERRORS as error:
        raise UnreadablePicture(
            f"{name} is not a readable picture; give a JPEG, PNG, WebP, BMP, GIF or TIFF file."
        ) from error


def _read_bytes(path: Path, size: int) -> bytes:
    """Read a regular file, so many bytes of it at most."""
    if not path.is_file():
        raise UnreadablePicture(f"there is no picture file at '{path}'; check the path.")
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise UnreadablePicture(f"'{path}' cannot be opened ({error.strerror}).") from error


def _check_size(size: tuple[int, int], name: str) -> None:
    """Refuse sizes that are unsafe to decode or that cannot hold a face."""
    width, height = size
    most = read_limits().picture_pixels
    if width * height > most:
        raise PictureTooLarge(
            f"{name} is {width} x {height}, {width * height / 1e6:.1f} megapixels, more than "
            f"{most / 1e6:g}; scale it down first."
        )
    if min(size) < MIN_SIDE_PX or max(size) > MAX_ASPECT * min(size):
        raise PictureTooSmall(
            f"{name} is {width} x {height} px; give one of at least {MIN_SIDE_PX} px on each side "
            f"that is at most {MAX_ASPECT} times as long as wide."
        )


def _to_rgb(image: Image.Image) -> Image.Image:
    """Decode any mode to opaque 8-bit RGB."""
    if image.mode.startswith("I") or image.mode == "F":
        return _scale_to_8_bits(image).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        backdrop = Image.new("RGBA", image.size, (*BACKDROP, 255))
        return Image.alpha_composite(backdrop, image).convert("RGB")
    # A copy even when the mode is right: the caller's picture and its metadata stay apart.
    return Image.fromarray(np.asarray(image.convert("RGB")))


def _scale_to_8_bits(image: Image.Image) -> Image.Image:
    """Bring a 16-bit, 32-bit or floating-point grey picture to 8 bits.

    Integer modes hold 16-bit samples however dark the picture is; floating-point ones run to 1, 255 or 65535.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
    usual_peaks = (1.0, 255.0, 65535.0) if image.mode == "F" else (65535.0,)
    peak = next((peak for peak in usual_peaks if values.max() <= peak), values.max())
    return Image.fromarray((values.clip(0, peak) * (255.0 / peak)).round().astype(np.uint8))
