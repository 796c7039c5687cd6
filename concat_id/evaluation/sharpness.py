"""How sharp a face is: the gradient inside it, against that of another picture of the person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from concat_id.evaluation.wholeness import CROP_PX, crop_face
from concat_id.references.faces import Face

# Eyes and mouth lie in it, as `crop_face` aligns them; hair and outline do not.
INSIDE_CENTER = (56, 72)  # x, y, px
INSIDE_RADII = (26, 28)


def face_gradient(picture: Image.Image | np.ndarray, landmarks: np.ndarray) -> float:
    """Mean length of the gradient of brightness inside the aligned face, per px of the crop, 0 to 1.

    Args:
        picture: RGB, any size: faces are compared at the size of the crop.
        landmarks: (5, 2), px, as in `Face`.
    """
    crop = np.float32(crop_face(np.asarray(picture), landmarks)).mean(2) / 255
    down, right = np.gradient(crop)
    y, x = np.mgrid[:CROP_PX, :CROP_PX]
    (center_x, center_y), (radius_x, radius_y) = INSIDE_CENTER, INSIDE_RADII
    inside = ((x - center_x) / radius_x) ** 2 + ((y - center_y) / radius_y) ** 2 <= 1
    return float(np.hypot(down, right)[inside].mean())


def mean_gradient(frames: Sequence[np.ndarray], faces: Sequence[Face | None]) -> float | None:
    """Mean over the frames, (H, W, 3) uint8 each, in which there is the face; None without any."""
    found = [face_gradient(frame, face.landmarks) for frame, face in zip(frames, faces, strict=True) if face]
    return float(np.mean(found)) if found else None
