"""Colour profiles as cameras, phones and editors embed them: three primaries and a curve."""

from __future__ import annotations

import struct

import numpy as np

_D50 = np.array([0.9642, 1.0, 0.8249])
_D65 = np.array([0.9505, 1.0, 1.0891])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

# Chromaticities of red, green and blue, of white as XYZ, and the curve's exponent.
DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), _D65, 2.2
ADOBE_RGB = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060)), _D65, 2.19921875
PROPHOTO = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), _D50, 1.8
WIDE = {"Display P3": DISPLAY_P3, "Adobe RGB": ADOBE_RGB, "ProPhoto": PROPHOTO}
Primaries = tuple[tuple[float, float], ...]


def columns(primaries: Primaries, white: np.ndarray) -> np.ndarray:
    """XYZ of the primaries, adapted to D50, which they sum up to, (3, 3)."""
    xyz = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in primaries]).T
    scale = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    return np.linalg.inv(_BRADFORD) @ np.diag(scale) @ _BRADFORD @ (xyz * np.linalg.solve(xyz, white))


def profile(primaries: Primaries, white: np.ndarray, gamma: float) -> bytes:
    """An ICC profile of version 2, a display's."""
    matrix = columns(primaries, white)

    def xyz(value: np.ndarray) -> bytes:
        return b"XYZ " + bytes(4) + struct.pack(">3i", *np.rint(value * 65536).astype(int))

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    text = b"text" + bytes(4) + b"none\0\0\0\0"
    said = b"desc" + bytes(4) + struct.pack(">I", 5) + b"wide\0" + bytes(78) + b"\0"
    tags = {b"desc": said, b"cprt": text, b"wtpt": xyz(_D50)}
    tags |= {name: xyz(matrix[:, index]) for index, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    tags |= {name: curve for name in (b"rTRC", b"gTRC", b"bTRC")}
    at, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        value += bytes(-len(value) % 4)
        table += struct.pack(">4sII", name, at + len(data), len(value))
        data += value
    body = struct.pack(">I", len(tags)) + table + data
    white = np.rint(_D50 * 65536).astype(int)
    start = struct.pack(">I4sI4s4s4s", 128 + len(body), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    header = start + bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", *white) + bytes(48)
    return header + body


def to_profile(srgb: np.ndarray, primaries: Primaries, white: np.ndarray, gamma: float) -> np.ndarray:
    """The values, (H, W, 3) uint8, by which a profile means the same colours as sRGB's."""
    values = srgb / 255.0
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    rec709 = columns(((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), _D65)
    meant = linear @ np.linalg.solve(columns(primaries, white), rec709).T
    return np.rint(255 * meant.clip(0, 1) ** (1 / gamma)).astype(np.uint8)


def cmyk_profile(gray: float = 0.6) -> bytes:
    """A printer's profile: a table from its four inks to Lab, whose colours are not those of 255 - ink.

    Args:
        gray: the share of paper's lightness that a full black ink takes.
    """
    lab = bytearray()
    for corner in range(16):  # each ink off or on; between them it is linear
        cyan, magenta, yellow, black = (corner >> bit & 1 for bit in (3, 2, 1, 0))
        light = (100 - 25 * cyan - 35 * magenta - 8 * yellow) * (1 - gray * black)
        lab += bytes(
            [
                round(255 * light / 100),
                128 - 30 * cyan + 55 * magenta - 5 * yellow,
                128 - 40 * cyan + 60 * yellow,
            ]
        )
    same = bytes(range(256))
    head = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])
    table = head + struct.pack(">9i", *(65536 * value for value in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    table += same * 4 + bytes(lab) + same * 3
    text = b"text" + bytes(4) + b"none\0\0\0\0"
    said = b"desc" + bytes(4) + struct.pack(">I", 5) + b"inks\0" + bytes(78) + b"\0"
    white = np.rint(_D50 * 65536).astype(int)
    paper = b"XYZ " + bytes(4) + struct.pack(">3i", *white)
    tags = {b"desc": said, b"cprt": text, b"wtpt": paper, b"A2B0": table}
    at, index, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        value += bytes(-len(value) % 4)
        index += struct.pack(">4sII", name, at + len(data), len(value))
        data += value
    body = struct.pack(">I", len(tags)) + index + data
    start = struct.pack(">I4sI4s4s4s", 128 + len(body), b"none", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header = start + bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", *white) + bytes(48)
    return header + body
