"""Faces as ConsisID sees them: turned upright as in FFHQ, on white, without ears, neck and clothes."""

from __future__ import annotations

import numpy as np
from PIL import Image

from concat_id.references.parsing import BACKGROUND, CLOTH, EARRING, EARS, HAT, NECK, NECKLACE, Parser

CROP_PX = 512
# Where facexlib wants eyes, nose and corners of the mouth, px.
TEMPLATE = np.array(
    [
        [192.98138, 239.94708],
        [318.90277, 240.1936],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ]
)
BORDER = (132, 133, 135)
WHITENED = (BACKGROUND, *EARS, HAT, EARRING, NECKLACE, NECK, CLOTH)


def crop_on_white(picture: Image.Image, landmarks: np.ndarray, parser: Parser) -> Image.Image:
    """The face of a picture (RGB), 512 px.

    Args:
        landmarks: (5, 2), px, as in `Face`.
    """
    import cv2

    # The same choice of a transform as facexlib's: of least median squares.
    transform, _ = cv2.estimateAffinePartial2D(landmarks, TEMPLATE, method=cv2.LMEDS)
    crop = cv2.warpAffine(
        np.asarray(picture),
        transform,
        (CROP_PX, CROP_PX),
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=BORDER,
    )
    hidden = np.isin(parser.parse(Image.fromarray(crop)), WHITENED)
    return Image.fromarray(np.where(hidden[..., None], np.uint8(255), crop))
