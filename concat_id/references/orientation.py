"""Which way up a picture is: what cameras write into its metadata, and nothing else that is in there.

Cameras and editors write EXIF blocks of every kind of wrong. So that a good photo never fails for what stands
beside it, the one value that changes pixels is read by hand.
"""

from __future__ import annotations

import re
import struct
from typing import Any

from PIL import Image

_TAG = 0x0112
_SIZES = {1: 1, 3: 2, 4: 4}  # of the types BYTE, SHORT and LONG, in bytes
_IN_XMP = re.compile(rb"tiff:Orientation(?:=[\"']|>)([1-8])")
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8, of a picture whose pixels are loaded; 1 where nothing readable says it.

    In a PNG, what says it may stand behind the pixels.
    """
    tags: Any = getattr(image, "tag_v2", None)  # of a TIFF
    given = tags.get(_TAG) if tags is not None else None
    if given is None:
        given = parse_exif(_to_bytes(image.info.get("exif"))) or _search_xmp(image.info)
    return given if isinstance(given, int) and given in _TRANSPOSE else 1


def turn(image: Image.Image, orientation: int) -> Image.Image:
    """The picture as it is to be looked at."""
    return image.transpose(_TRANSPOSE[orientation]) if orientation in _TRANSPOSE else image


def parse_exif(block: bytes) -> int | None:
    """The orientation in an EXIF block, None where it has none that can be read."""
    block = block.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from(f"{order}HHI", block, at)
            if tag == _TAG and kind in _SIZES and number:
                return int.from_bytes(
                    block[at + 8 : at + 8 + _SIZES[kind]], "little" if order == "<" else "big"
                )
    except struct.error:  # it points beyond its end
        return None
    return None


def _search_xmp(info: dict[Any, Any]) -> int | None:
    """The orientation in an XMP packet, where editors without EXIF write it."""
    packet = next((info[name] for name in ("xmp", "XML:com.adobe.xmp") if name in info), b"")
    found = _IN_XMP.search(_to_bytes(packet))
    return int(found.group(1)) if found else None


def _to_bytes(value: Any) -> bytes:
    """What Pillow keeps of a block, as bytes."""
    return (
        value.encode("utf-8", "replace")
        if isinstance(value, str)
        else value
        if isinstance(value, bytes)
        else b""
    )
