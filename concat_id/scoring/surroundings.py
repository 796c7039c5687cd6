"""Likeness of what surrounds the face: the garment's and the place's, by CLIP's image embeddings.

Axes: T frames, H, W in px, E embedding width.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from concat_id.garments import cut_garment, shrink
from concat_id.parsing import Parser
from concat_id.places import fill_people, find_people
from concat_id.scoring.clip import CROP_PX, ClipEmbedder

# With less of the place in sight, a frame says nothing about it.
MIN_VISIBLE_SHARE = 0.1


def score_garment(garment: Image.Image, frames: np.ndarray, parser: Parser, clip: ClipEmbedder) -> float:
    """How much the clothing in frames looks like the reference: mean cosine, without clothing 0.

    Args:
        garment: the prepared reference, cut out onto black.
        frames: (T, H, W, 3) uint8.
    """
    cut = [cut_garment(Image.fromarray(frame), parser) for frame in frames]
    found = [_to_square(picture) for picture in cut if picture is not None]
    if not found:
        return 0.0
    reference, *embeddings = clip.embed([_to_square(garment), *found])
    return float(np.sum(np.stack(embeddings) @ reference)) / len(frames)


def score_place(place: Image.Image, frames: np.ndarray, parser: Parser, clip: ClipEmbedder) -> float | None:
    """How much the place in frames looks like the reference: mean cosine; None if people hide it in all.

    What people hide in a frame is filled in alike in the frame and in the reference.

    Args:
        place: the prepared reference, without people.
        frames: (T, H, W, 3) uint8.
    """
    pairs = []
    for frame in frames:
        picture = shrink(Image.fromarray(frame), 2 * CROP_PX)
        people = find_people(picture, parser)
        if people.mean() <= 1 - MIN_VISIBLE_SHARE:
            fitted = ImageOps.fit(place, picture.size)
            pairs += [fill_people(fitted, people), fill_people(picture, people)]
    if not pairs:
        return None
    embeddings = clip.embed([_to_square(picture) for picture in pairs])
    return float(np.mean(np.sum(embeddings[::2] * embeddings[1::2], axis=1)))


def _to_square(picture: Image.Image) -> Image.Image:
    """A picture padded by black: CLIP's own preparation would cut its ends off."""
    return ImageOps.pad(picture, (CROP_PX, CROP_PX))
