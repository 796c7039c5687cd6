"""Loading pictures that strangers upload: bounded before decoding, and always sRGB afterwards."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from concat_id.errors import PictureTooLarge, PictureTooSmall, UnreadablePicture
from concat_id.limits import read_limits
from concat_id.references.colours import read_alpha, to_srgb
from concat_id.references.orientation import read_orientation, turn

MIN_SIDE_PX = 32
MAX_ASPECT = 20
FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "BMP", "GIF", "TIFF")
# Behind transparency: mid-grey, against which neither dark nor light hair disappears.
BACKDROP = (128, 128, 128)

FORMATS_SAID = "JPEG, PNG, WebP, HEIC, AVIF, BMP, GIF or TIFF"


def load_picture(source: str | Path | bytes | Image.Image, *, keep_alpha: bool = False) -> Image.Image:
    """Load a picture as the eye sees it: upright, opaque, 8-bit sRGB.

    Args:
        source: a file's path, a file's bytes, or a PIL picture of any mode. Of an animation or a
            multi-page file, the first frame is taken.
        keep_alpha: of a picture that is transparent somewhere, keep where, for example as what cuts a
            garment out.

    Returns:
        The picture, RGB, or RGBA where `keep_alpha` finds something to keep; at least 32 px on each side,
        within the limits on bytes and pixels.
    """
    if isinstance(source, Image.Image):
        name, image = "the picture", source
    else:
        name, image = _open(source)
    _check_size(image.size, name)
    try:
        with _without_warnings():
            image.load()
            return _cut_out(image) if keep_alpha else _flatten(image)
    # A decoder of damaged data raises whatever it stumbles over.
    except Exception as error:
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
        with _without_warnings():
            return name, Image.open(io.BytesIO(data), formats=_list_formats())
    except Image.DecompressionBombError as error:
        most = min(limits.picture_pixels, 2 * Image.MAX_IMAGE_PIXELS)  # Pillow's own
        raise PictureTooLarge(
            f"{name} has far more than {most / 1e6:g} megapixels; scale it down first."
        ) from error
    except Exception as error:  # as above
        raise UnreadablePicture(f"{name} is not a readable picture; give a {FORMATS_SAID} file.") from error


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Pillow warns of odd metadata, which is not read, and of sizes, which are refused anyway."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@cache
def _list_formats() -> tuple[str, ...]:
    """The formats that this machine can read; HEIC, which phones write, by a library of its own."""
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


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


def _flatten(image: Image.Image) -> Image.Image:
    """A loaded picture of any kind as opaque sRGB, upright."""
    colours, alpha = to_srgb(image), read_alpha(image)
    if alpha:
        colours = Image.composite(colours, Image.new("RGB", colours.size, BACKDROP), alpha)
    # A copy even when nothing had to be done: the caller's picture and its metadata stay apart.
    return _without_metadata(turn(colours, read_orientation(image)))


def _cut_out(image: Image.Image) -> Image.Image:
    """The same, but with its transparency kept, as RGBA, if there is any."""
    alpha = read_alpha(image)
    if alpha is None:
        return _flatten(image)
    colours = to_srgb(image)
    colours.putalpha(alpha)
    return _without_metadata(turn(colours, read_orientation(image)))


def _without_metadata(image: Image.Image) -> Image.Image:
    """The pixels alone."""
    return Image.fromarray(np.asarray(image))
