"""Files that no studio should have to bear, the same every time: pictures, videos, settings and names."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from concat_id.output.video import write_video

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")
# Room in a video's metadata that other settings are written into.
ROOM = 2000

NAMES = (
    "../../../evil.png",
    "..\\..\\evil.png",
    "/etc/evil.png",
    "C:\\evil.png",
    "%2e%2e%2fevil.png",
    "....//evil.png",
    "evil.png\0.html",
    "evil\r\nX-Evil: yes.png",
    "$(touch evil).png",
    "; touch evil;.png",
    "-rf.png",
    ".htaccess",
    "..",
    ".",
    " ",
    "a" * 300 + ".png",
    "gnp.\u202eevil.png",
    "<img src=x onerror=alert(1)>.png",
    "concat:evil|evil.mp4",
    "CON.png",
)

# What a field of a job may be set to by someone who means no good.
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**30,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "../../etc/passwd",
    "http://127.0.0.1/",
    "\ud800",
    "a" * 5000,
    [],
    {},
    [[]],
    {"__class__": "Job"},
    [{"role": []}],
)


def encode(picture: Image.Image, file_format: str, **options: Any) -> bytes:
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def sound_pictures(seed: int) -> dict[str, bytes]:
    """A picture of noise in each format, with EXIF where there is a place for it."""
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description"
    picture = Image.fromarray(pixels)
    return {
        name: encode(picture, name, **({"exif": exif} if name in ("PNG", "JPEG", "WEBP") else {}))
        for name in FORMATS
    }


def damaged(data: bytes, number: int, seed: int) -> Iterator[bytes]:
    """A file's bytes cut short, overwritten, flipped and stuffed, in turn."""
    draw = random.Random(seed)
    for index in range(number):
        at = draw.randrange(len(data))
        length = draw.choice((1, 4, 40))
        noise = draw.choice((bytes(length), b"\xff" * length, draw.randbytes(length)))
        yield (
            data[:at],
            data[:at] + noise + data[at + length :],
            data[:at] + noise + data[at:],
            data[: at // 8] + noise + data[at // 8 + length :],  # near the header
        )[index % 4]


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk with a right checksum, whatever is in it."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, data: bytes = bytes(99)) -> bytes:
    """A PNG that claims a size."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = b"".join(chunks) + png_chunk(b"IDAT", zlib.compress(data))
    return b"\x89PNG\r\n\x1a\n" + header + body + png_chunk(b"IEND", b"")


def refused_pictures() -> dict[str, bytes]:
    """Bombs, lies and other files: none of them may pass."""
    sound = sound_pictures(1)
    bomb = zlib.compress(bytes(80 * 2**20), 9)
    gif = bytearray(sound["GIF"])
    gif[6:10] = struct.pack("<HH", 65535, 65535)
    bmp = bytearray(sound["BMP"])
    bmp[18:26] = struct.pack("<ii", 2**31 - 1, -(2**31) + 1)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../../evil.png", sound["PNG"])
    return {
        "bomb.png": png(20_000, 20_000),
        "large bomb.png": png(2**31 - 1, 2**31 - 1),
        "no pixels.png": png(0, 0),
        "fewer pixels than said.png": png(500, 500),
        "bomb in the text.png": png(64, 64, png_chunk(b"zTXt", b"Comment\0\0" + bomb)),
        "bomb in the profile.png": png(64, 64, png_chunk(b"iCCP", b"profile\0\0" + bomb)),
        "wide.png": png(60_000, 33),
        "bomb.gif": bytes(gif),
        "bomb.bmp": bytes(bmp),
        "endless.tiff": b"II*\0\x08\0\0\0\0\0\x08\0\0\0" + bytes(40),  # its next page is itself
        "tags.tiff": b"II*\0\x08\0\0\0\xff\xff" + b"\x00\x01\x04\0\xff\xff\xff\xff\xff\xff\xff\xff" * 99,
        "script.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "page.png": b"<!doctype html><script>alert(1)</script>",
        "page.gif": b"GIF89a/*<script>alert(1)</script>*/=1",
        "document.jpg": b"%PDF-1.7\n" + sound["JPEG"],
        "archive.png": archive.getvalue(),
        "program.png": b"\x7fELF" + bytes(4000),
        "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n(%pipe%id) (r) file\n",
        "pickle.png": b"\x80\x04\x95" + bytes(100),
        "empty.png": b"",
        "one byte.png": b"\x89",
        **{f"half.{name.lower()}": data[: len(data) // 2] for name, data in sound.items()},
    }


def polyglots() -> dict[str, bytes]:
    """Pictures that are something else, too, or are called something else: their pixels may pass."""
    sound = sound_pictures(2)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../../evil.png", b"evil")
    script = b"<script>alert(1)</script>"
    return {
        "picture and archive.png": sound["PNG"] + archive.getvalue(),
        "picture and page.html": sound["PNG"] + script,
        # Behind the header, which is 33 bytes long.
        "script in the text.png": sound["PNG"][:33]
        + png_chunk(b"tEXt", b"Comment\0" + script)
        + sound["PNG"][33:],
        "script in a comment.jpg": sound["JPEG"][:2] + b"\xff\xfe\0\x1b" + script + sound["JPEG"][2:],
        **{
            f"{name.lower()} called otherwise.{other}": sound[name]
            for name, other in zip(FORMATS, ("mp4", "svg", "html", "py", "exe", "png"), strict=True)
        },
    }


def video_with_room(folder: Path) -> bytes:
    """A small MP4 whose metadata can be written over."""
    frames = np.zeros((3, 32, 32, 3), np.uint8)
    return write_video(frames, 8, folder / "sound.mp4", {"room": "x" * ROOM}).read_bytes()


def with_metadata(video: bytes, text: bytes) -> bytes:
    """The MP4 with another text in its metadata, at most as long as the room."""
    room = json.dumps({"room": "x" * ROOM}).encode()
    assert video.count(room) == 1 and len(text) <= len(room)
    return video.replace(room, text.ljust(len(room)))


def hostile_reports(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A video's settings with each of their values replaced, and with values that nobody asked for."""
    for path in _paths(report):
        for value in VALUES:
            yield _replaced(report, path, value)
    yield _replaced(report, ("job", "surplus"), 1)
    yield _replaced(report, ("job", "settings", "surplus"), 1)


def _paths(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is a value, at any depth."""
    if path:
        yield path
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in entries:
        yield from _paths(value, (*path, key))


def _replaced(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at a place."""
    if not path:
        return value
    copy = data.copy()
    inner = copy[path[0]] if isinstance(copy, list) or path[0] in copy else None
    copy[path[0]] = _replaced(inner, path[1:], value)
    return copy


def hostile_metadata() -> dict[str, bytes]:
    """What is in place of the settings, and no settings at all."""
    return {
        "not JSON": b'{"job": ',
        "deep": b"[" * ROOM,
        "deep object": b'{"job":' * (ROOM // 7),
        "a huge number": b'{"job": ' + b"9" * (ROOM - 50) + b"}",
        "a list": b"[1, 2]",
        "a number": b"5",
        "other bytes": b"\xff\xfe\x00\x01" * 20,
        "another section": b"x\n[CHAPTER]\nTIMEBASE=1/1\ncomment={}",
        "escapes": b"\\\\\\" * 99,
        "twice": b'{"job": {}, "job": 5}',
        "constants": b'{"job": {"task": NaN, "references": [Infinity]}}',
    }


def broken_videos(video: bytes) -> dict[str, bytes]:
    """Files that are called MP4."""
    moov = video.index(b"moov")
    return {
        "empty": b"",
        "text": b"not a video",
        "playlist": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "concatenation": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "a picture": sound_pictures(3)["PNG"],
        "head only": video[:40],
        "half": video[: len(video) // 2],
        "huge box": video[: moov - 4] + b"\xff\xff\xff\xff" + video[moov:],
        "wide box": video[: moov - 4] + b"\0\0\0\x01moov" + b"\x7f" * 8 + video[moov + 4 :],
        "no box": video[: moov - 4] + bytes(4) + video[moov:],
        "boxes in boxes": b"".join(struct.pack(">I4s", 8 * (99 - depth), b"moov") for depth in range(99)),
    }
