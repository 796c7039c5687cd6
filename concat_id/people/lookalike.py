"""A drawn person like the one in a photograph: what its colours and parts say, for a visitor to put right.

Regions are given in the ArcFace template's coordinates, in which a face is 112 wide: the eyes lie at (38, 52)
and (74, 52), the corners of the mouth at (42, 92) and (71, 92).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from concat_id.people.labels import HAIR
from concat_id.people.palette import HAIR_COLORS, SKIN_COLORS, Color
from concat_id.people.portrait import Traits

if TYPE_CHECKING:
    from PIL import Image

    from concat_id.references.faces import Face
    from concat_id.references.parsing import Parser

SIDE = 224
LEFT, TOP = 56, 64  # of the window beyond the template's origin

Box = tuple[int, int, int, int]  # left, top, right, bottom
CHEEKS: tuple[Box, ...] = ((28, 62, 46, 80), (66, 62, 84, 80))
EYES: tuple[Box, ...] = ((35, 49, 42, 55), (70, 49, 77, 55))
BRIDGE: Box = (50, 42, 62, 58)
UNDER_EYES: tuple[Box, ...] = ((28, 58, 44, 68), (68, 58, 84, 68))
UPPER_LIP: Box = (46, 79, 66, 86)
CHIN: Box = (46, 100, 66, 110)
BESIDE_NECK: tuple[Box, ...] = ((-6, 104, 20, 128), (92, 104, 118, 128))
BESIDE_MOUTH: tuple[Box, ...] = ((-4, 72, 16, 96), (96, 72, 116, 96))

# Where a head and its face lie: centre, half axes.
HEAD, FACE = ((56, 48), (50, 74)), ((56, 70), (34, 42))
FRAME_TOP, FRAME_SIDE, SHOULDERS = 8, 10, 100
CUTTING_ROUNDS = 4

BROWS = 36  # what hangs below may be a beard or glasses
MIN_HAIR_SHARE = 0.25  # of the head above the brows; with less it is bald
OTHER_THAN_SKIN_LAB, SAME_COLOR_LAB = 17.0, 25.0
LIGHTNESS_WEIGHT = 0.6  # in these distances: shadows are no other colour
MIN_SIDE_SHARE = 0.3  # of the boxes beside neck and mouth, where hair hangs
# Tones of upper lip and chin, of the cheeks', up to which they bear so much hair.
BEARDS_BY_TONE = {"full beard": (0.58, 0.8), "stubble": (0.7, 0.85)}
BARE_CHIN_TONE = 0.5
# Steepest edges between and under the eyes, in hundredths of the cheeks' brightness per pixel.
FRAME_EDGE = 15.0


@dataclass(frozen=True)
class _Window:
    """The surroundings of a face, turned upright and scaled to the template."""

    pixels: np.ndarray  # (H, W, 3) float32 in [0, 1]
    hair: np.ndarray  # (H, W) bool: of the person, and neither skin nor clothes by colour and place
    head: np.ndarray  # (H, W) bool: the person, hair included
    skin: np.ndarray  # (3,) the colour of the cheeks

    def cut(self, values: np.ndarray, *boxes: Box) -> np.ndarray:
        """The values within boxes, (N, ...)."""
        return _cut(values, *boxes)

    def tone(self, box: Box) -> float:
        """The brightness within a box, of the cheeks'."""
        return float(np.median(self.cut(self.pixels, box), 0).mean() / self.skin.mean())


def read_traits(picture: Image.Image, face: Face, parser: Parser, seed: int) -> Traits:
    """The traits of the drawn person who is most like a photographed one, as far as they can be told.

    Args:
        picture: RGB.
        face: found in it.
        parser: of faces.
        seed: decides what cannot be told.
    """
    window = _open_window(picture, face, parser)
    hair_color, hair = _read_hair(window)
    # Beside long hair, dark lips and a shaded chin are no beard.
    hangs = hair in ("bob", "long wavy") and window.tone(CHIN) > BARE_CHIN_TONE
    beard = "none" if hangs else _read_beard(window)
    return Traits(
        features="feminine" if hangs else "masculine",
        skin=_nearest_skin(window.skin),
        hair=hair,
        hair_color=hair_color,
        eye_color=_read_eyes(window),
        beard=beard,
        glasses="square" if _wears_glasses(window) else "none",
        seed=seed,
    )


def _open_window(picture: Image.Image, face: Face, parser: Parser) -> _Window:
    """Align, and tell hair, skin and background apart."""
    import cv2
    from insightface.utils.face_align import estimate_norm

    matrix = estimate_norm(face.landmarks, 112)
    matrix[:, 2] += (LEFT, TOP)
    pixels = cv2.warpAffine(
        np.asarray(picture), matrix, (SIDE, SIDE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    head = _cut_out(pixels, parser)
    pixels = pixels.astype(np.float32) / 255
    skin = np.median(_cut(pixels, *CHEEKS), 0)
    hair = head & (_distance(pixels, skin) > OTHER_THAN_SKIN_LAB)
    return _Window(pixels, hair, head, skin)


def _cut_out(pixels: np.ndarray, parser: Parser) -> np.ndarray:
    """The person in a window, (H, W) bool: by GrabCut, from where heads lie and what looks like hair."""
    import cv2
    from PIL import Image

    labels = parser.parse(Image.fromarray(pixels).resize((2 * SIDE, 2 * SIDE)))[::2, ::2]
    mask = np.full(labels.shape, cv2.GC_PR_BGD, np.uint8)
    for ((x, y), axes), kind in ((HEAD, cv2.GC_PR_FGD), (FACE, cv2.GC_FGD)):
        cv2.ellipse(mask, (x + LEFT, y + TOP), axes, 0, 0, 360, kind, -1)
    mask[(labels == HAIR) & (mask == cv2.GC_PR_BGD)] = cv2.GC_PR_FGD
    frame = np.zeros(labels.shape, bool)
    frame[:FRAME_TOP] = True
    frame[: TOP + SHOULDERS, :FRAME_SIDE] = frame[: TOP + SHOULDERS, -FRAME_SIDE:] = True
    mask[frame & (labels != HAIR)] = cv2.GC_BGD
    mask[: FRAME_TOP // 2] = cv2.GC_BGD
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # the same picture is always read alike
    cv2.grabCut(pixels, mask, None, *models, CUTTING_ROUNDS, cv2.GC_INIT_WITH_MASK)
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)


def _cut(values: np.ndarray, *boxes: Box) -> np.ndarray:
    """The values within boxes of a window, (N, ...)."""
    parts = [values[y0 + TOP : y1 + TOP, x0 + LEFT : x1 + LEFT] for x0, y0, x1, y1 in boxes]
    return np.concatenate([part.reshape(-1, *part.shape[2:]) for part in parts])


def _read_hair(window: _Window) -> tuple[str, str]:
    """The names of its colour and of its style: bald, short, to the chin, or to the shoulders."""
    rows = slice(0, TOP + BROWS)
    above = window.hair[rows]
    if above.sum() < MIN_HAIR_SHARE * window.head[rows].sum():
        return "brown", "bald"
    color = np.median(window.pixels[rows][above], 0)
    alike = window.hair & (_distance(window.pixels, color) < SAME_COLOR_LAB)
    name = _nearest(color, HAIR_COLORS)
    if window.cut(alike, *BESIDE_MOUTH).mean() < MIN_SIDE_SHARE:
        return name, "side-parted"
    return name, "long wavy" if window.cut(alike, *BESIDE_NECK).mean() > MIN_SIDE_SHARE else "bob"


def _read_beard(window: _Window) -> str:
    """By how dark upper lip and chin are."""
    lip, chin = window.tone(UPPER_LIP), window.tone(CHIN)
    fits = (name for name, most in BEARDS_BY_TONE.items() if lip < most[0] and chin < most[1])
    return next(fits, "none")


def _read_eyes(window: _Window) -> str:
    """The colour of what is neither pupil nor white nor highlight."""
    pixels = window.cut(window.pixels, *EYES)
    tone = pixels.mean(-1)
    low, high = np.percentile(tone, (25, 60))
    red, _, blue = np.median(pixels[(tone >= low) & (tone <= high)], 0)
    if blue > 0.95 * red:
        return "blue"
    return "dark" if red < 0.3 else "brown"


def _wears_glasses(window: _Window) -> bool:
    """Frames draw edges across bridge and cheeks, where skin has none."""
    edges = np.abs(np.gradient(window.pixels.mean(-1), axis=0)) / window.skin.mean() * 100
    return all(np.percentile(window.cut(edges, *boxes), 90) > FRAME_EDGE for boxes in ((BRIDGE,), UNDER_EYES))


def _nearest(color: np.ndarray, known: dict[str, Color]) -> str:
    """The name of the known colour that looks most alike."""
    names = list(known)
    distances = np.linalg.norm(_to_lab(np.array([known[name] for name in names])) - _to_lab(color), axis=-1)
    return names[int(distances.argmin())]


def _nearest_skin(color: np.ndarray) -> str:
    """By the individual typology angle (Chardon et al. 1991), which the brightness of a photo moves least."""
    angle = _typology_angle(color)
    return min(SKIN_COLORS, key=lambda name: abs(_typology_angle(np.array(SKIN_COLORS[name])) - angle))


def _typology_angle(color: np.ndarray) -> float:
    """In degrees: 55 and more very light, 28 intermediate, under -30 dark."""
    lightness, _, yellow = _to_lab(color)
    return math.degrees(math.atan2(lightness - 50, yellow))


def _distance(pixels: np.ndarray, color: np.ndarray) -> np.ndarray:
    """How unlike a colour the pixels are, shadows aside, (H, W), in Lab units."""
    difference = _to_lab(pixels) - _to_lab(color)
    return np.linalg.norm(difference * (LIGHTNESS_WEIGHT, 1, 1), axis=-1)


def _to_lab(color: np.ndarray) -> np.ndarray:
    """From sRGB in [0, 1] to CIE Lab, (..., 3)."""
    import cv2

    pixels = np.asarray(color, np.float32)
    return cv2.cvtColor(pixels.reshape(1, -1, 3), cv2.COLOR_RGB2LAB).reshape(pixels.shape)
