"""Cutting garments out of pictures, onto black: of references, and of frames to compare with them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from concat_id.references.parsing import BODY_LABELS, GARMENT_LABELS, Parser
from concat_id.references.pictures import BACKDROP

# More than any video has; a parser's logits for a camera's full picture would fill the memory.
WORKING_PX = 1024
MIN_GARMENT_SHARE = 0.01
# Smaller patches, compared with the largest, are what the parser mistook.
MIN_PATCH_SHARE = 0.1
# On each side of the garment, as a share of its longer side: it then fills 94 % of what the model sees, as in
# training.
MARGIN = 0.032
# Of what somebody else cut out: fainter is a shadow or a fringe, and with more of a body somebody wears it.
MIN_ALPHA = 128
MAX_BODY_SHARE = 0.1


def shrink(picture: Image.Image, side_px: int = WORKING_PX) -> Image.Image:
    """A picture whose longer side is at most so long."""
    small = picture.copy()
    small.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    return small


def put_on_black(picture: Image.Image, backdrop: tuple[int, int, int] = (0, 0, 0)) -> Image.Image:
    """A picture, RGB or RGBA, as RGB with black where it is transparent; or another colour."""
    if picture.mode != "RGBA":
        return picture
    return Image.composite(
        picture.convert("RGB"), Image.new("RGB", picture.size, backdrop), picture.getchannel("A")
    )


def cut_garment(picture: Image.Image, parser: Parser) -> Image.Image | None:
    """The clothing of a picture, RGB or RGBA, on black, cropped to it with a margin; None without any.

    Who cut it out before knew best: the transparency is its mask, unless somebody wears what was left.
    """
    picture = shrink(picture)
    seen = put_on_black(picture, BACKDROP)
    mask = find_garment(seen, parser)
    if picture.mode == "RGBA":
        left = np.asarray(picture.getchannel("A")) >= MIN_ALPHA
        mask = mask & left if _is_worn(seen, left, parser) else left
    if mask.mean() < MIN_GARMENT_SHARE:
        return None
    pixels = np.asarray(put_on_black(picture)) * mask[..., None]
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    margin = round(MARGIN * (1 + max(np.ptp(rows), np.ptp(columns))))
    # Beyond the picture's border the crop is black, too.
    box = (columns[0] - margin, rows[0] - margin, columns[-1] + 1 + margin, rows[-1] + 1 + margin)
    return Image.fromarray(pixels).crop(tuple(map(int, box)))


def _is_worn(picture: Image.Image, left: np.ndarray, parser: Parser) -> bool:
    """Whether what was cut out of a picture, (H, W) bool, shows a person as well as clothing."""
    labels = parser.parse(picture)[left]
    return bool(np.isin(labels, BODY_LABELS).mean() > MAX_BODY_SHARE) if labels.size else False


def find_garment(picture: Image.Image, parser: Parser) -> np.ndarray:
    """Which pixels of a picture show clothing, (H, W) bool."""
    import cv2

    mask = np.isin(parser.parse(picture), GARMENT_LABELS)
    _, patches, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = statistics[:, cv2.CC_STAT_AREA]
    areas[0] = 0  # what is not clothing
    return (areas >= max(1, MIN_PATCH_SHARE * areas.max()))[patches]
