"""Likeness of what surrounds the face: the garment's and the place's, by CLIP's image embeddings.

Axes: T frames, H, W in px, E embedding width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageOps

from concat_id.references.backgrounds import fill_people, find_people
from concat_id.references.garments import cut_garment, shrink
from concat_id.references.parsing import Parser
from concat_id.references.reference import Role
from concat_id.scoring.clip import CROP_PX, ClipEmbedder

# With less of the place in sight, a frame says nothing about it.
MIN_VISIBLE_SHARE = 0.1


def compare_garments(
    garments: Sequence[Image.Image], frames: np.ndarray, parser: Parser, clip: ClipEmbedder
) -> list[float]:
    """How much the clothing in frames looks like each reference: mean cosine, without clothing 0.

    Args:
        garments: prepared references, cut out onto black.
        frames: (T, H, W, 3) uint8.
    """
    cut = [cut_garment(Image.fromarray(frame), parser) for frame in frames]
    found = [_to_square(picture) for picture in cut if picture is not None]
    if not found:
        return [0.0] * len(garments)
    embeddings = clip.embed([*map(_to_square, garments), *found])
    references, worn = embeddings[: len(garments)], embeddings[len(garments) :]
    return ((references @ worn.T).sum(1) / len(frames)).tolist()


def compare_places(
    places: Sequence[Image.Image], frames: np.ndarray, parser: Parser, clip: ClipEmbedder
) -> list[float] | None:
    """How much the place in frames looks like each reference: mean cosine; None if people hide it in all.

    What people hide in a frame is filled in alike in the frame and in the references.

    Args:
        places: prepared references, without people.
        frames: (T, H, W, 3) uint8.
    """
    cosines = []
    for frame in frames:
        picture = shrink(Image.fromarray(frame), 2 * CROP_PX)
        people = find_people(picture, parser)
        if people.mean() <= 1 - MIN_VISIBLE_SHARE:
            fitted = [fill_people(ImageOps.fit(place, picture.size), people) for place in places]
            seen, *references = clip.embed(
                [_to_square(fill_people(picture, people)), *map(_to_square, fitted)]
            )
            cosines.append(np.stack(references) @ seen)
    return np.mean(cosines, axis=0).tolist() if cosines else None


# By role, whose name is also the score's: (references, frames, clothes parser, CLIP) to a likeness for each.
COMPARISONS: dict[Role, Callable[..., list[float] | None]] = {
    "garment": compare_garments,
    "background": compare_places,
}


def _to_square(picture: Image.Image) -> Image.Image:
    """A picture padded by black: CLIP's own preparation would cut its ends off."""
    return ImageOps.pad(picture, (CROP_PX, CROP_PX))
