"""Thumbnails of the faces that were compared, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from concat_id.ui.data_url import encode_image

if TYPE_CHECKING:
    from concat_id.scoring import Scores

MARGIN = 0.3  # of the face's longer side, on each side
SIDE_PX = 64  # a little finer than the panel shows them


def cut_strip(scores: Scores, frames: np.ndarray) -> list[list[str]]:
    """The faces of each scored frame, in the references' order, as data addresses; none in older scores.

    Args:
        frames: of the video that was scored, (T, H, W, 3) uint8.
    """
    tracks = [person.frames.boxes for person in scores.people or (scores,)]
    return [
        [encode_face(frames[index], box) for box in boxes if box]
        for index, *boxes in zip(scores.frames.indices, *tracks, strict=False)
    ]


def encode_face(frame: np.ndarray, box: Sequence[int]) -> str:
    """A square around a box (left, top, right, bottom, px) of a frame, black where it leaves the frame."""
    left, top, right, bottom = box
    half = max(right - left, bottom - top) * (0.5 + MARGIN)
    x, y = (left + right) / 2, (top + bottom) / 2
    square = tuple(round(side) for side in (x - half, y - half, x + half, y + half))
    picture = Image.fromarray(frame).crop(square).resize((SIDE_PX, SIDE_PX))
    return encode_image(picture, "WEBP", quality=60, method=0)
