"""Telling photographed faces from drawn ones.

A drawn face is flat between sharp edges; a photographed one has texture everywhere. The measure is the median
steepness of its pixels, as a share of that of its sharpest edges; size, exposure and moderate compression
hardly move it. Of 95 photographs in which the embedded model finds a face (JPEG as published, between
100 and 1600 px wide), 94 lie above the bound, also at JPEG quality 40, and all do when reduced to 256 px. All
of 60 drawn portraits lie below it, at JPEG quality 40 or reduced to 192 px too; reduced and then compressed
to quality 60, 6 of the 60 lie above. Smoothed portraits of phones and other people's drawings were not tried.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from concat_id.references.faces import Face, align_face

SIDE_PX = 224
REDUCTION = 2  # of the aligned crop: what is finer is noise
ROWS, COLUMNS = slice(76, 208), slice(48, 176)  # from the brows to the chin, between the ears
SHARPEST = 97  # percentile
MAX_DRAWN_TEXTURE = 0.08


def is_photographed(picture: Image.Image, face: Face) -> bool:
    """Whether a face found in a picture (RGB) was photographed, rather than drawn."""
    return measure_texture(picture, face) > MAX_DRAWN_TEXTURE


def measure_texture(picture: Image.Image, face: Face) -> float:
    """The median steepness within a face, of that of its sharpest edges: 0 to 1."""
    crop = align_face(picture, face.landmarks, REDUCTION * SIDE_PX).reduce(REDUCTION)
    down, across = np.gradient(np.asarray(crop.convert("L"), np.float32))
    steepness = np.hypot(down, across)[ROWS, COLUMNS]
    # One grey level is added: a plain picture has no edges to speak of.
    return float(np.median(steepness) / (np.percentile(steepness, SHARPEST) + 1))
