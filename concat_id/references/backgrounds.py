"""Places without the people in them: of references, and of frames to compare with them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from concat_id.references.parsing import BACKGROUND, Parser

# Around people lie their hair, their shadows and what the parser just missed, as a share of the longer side.
MARGIN = 0.02
# What is filled in is smooth: finer than this it only takes longer.
FILL_PX = 256
FILL_RADIUS_PX = 4


def find_people(picture: Image.Image, parser: Parser) -> np.ndarray:
    """Which pixels of a picture (RGB) show people or what they wear, with a margin, (H, W) bool."""
    import cv2

    mask = (parser.parse(picture) != BACKGROUND).astype(np.uint8)
    # Single pixels are what the parser mistook.
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    side = 2 * round(MARGIN * max(picture.size)) + 1
    return cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0


def fill_people(picture: Image.Image, people: np.ndarray) -> Image.Image:
    """The picture with the pixels that show people, (H, W) bool, guessed from what surrounds them."""
    import cv2

    if not people.any():
        return picture
    scale = min(1.0, FILL_PX / max(picture.size))
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    # Every pixel in which there is something of a person is hidden.
    hidden = cv2.resize(people.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    known = np.asarray(picture.resize(size, Image.Resampling.BOX))
    filled = cv2.inpaint(known, hidden.astype(np.uint8), FILL_RADIUS_PX, cv2.INPAINT_TELEA)
    smooth = np.asarray(Image.fromarray(filled).resize(picture.size, Image.Resampling.BICUBIC))
    return Image.fromarray(np.where(people[..., None], smooth, np.asarray(picture)))
