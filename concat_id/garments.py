"""Cutting garments out of pictures, onto black: of references, and of frames to compare with them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from concat_id.parsing import GARMENT_LABELS, Parser

# More than any video has; a parser's logits for a camera's full picture would fill the memory.
WORKING_PX = 1024
MIN_GARMENT_SHARE = 0.01
# Smaller patches, compared with the largest, are what the parser mistook.
MIN_PATCH_SHARE = 0.1
# On each side of the garment, as a share of its longer side: it then fills 94 % of what the model sees, as in
# training.
MARGIN = 0.032


def shrink(picture: Image.Image, side_px: int = WORKING_PX) -> Image.Image:
    """A picture whose longer side is at most so long."""
    small = picture.copy()
    small.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    return small


def cut_garment(picture: Image.Image, parser: Parser) -> Image.Image | None:
    """The clothing of a picture (RGB) on black, cropped to it with a margin; None where there is none."""
    picture = shrink(picture)
    mask = find_garment(picture, parser)
    if mask.mean() < MIN_GARMENT_SHARE:
        return None
    pixels = np.asarray(picture) * mask[..., None]
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    margin = round(MARGIN * (1 + max(np.ptp(rows), np.ptp(columns))))
    # Beyond the picture's border the crop is black, too.
    box = (columns[0] - margin, rows[0] - margin, columns[-1] + 1 + margin, rows[-1] + 1 + margin)
    return Image.fromarray(pixels).crop(tuple(map(int, box)))


def find_garment(picture: Image.Image, parser: Parser) -> np.ndarray:
    """Which pixels of a picture show clothing, (H, W) bool."""
    import cv2

    mask = np.isin(parser.parse(picture), GARMENT_LABELS)
    _, patches, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = statistics[:, cv2.CC_STAT_AREA]
    areas[0] = 0  # what is not clothing
    return (areas >= max(1, MIN_PATCH_SHARE * areas.max()))[patches]
