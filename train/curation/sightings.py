"""Step 2, from frames to faces: all that a detector and a recogniser report of a clip's sampled frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from concat_id.references.faces import FaceFinder
from train.curation.rules import FaceRules


@dataclass(frozen=True, eq=False)
class Sightings:
    """N faces of one clip, by frame, and within a frame from left to right.

    Attributes:
        frame: which of the sampled frames, (N,) int64.
        boxes: left, top, right, bottom in px, (N, 4) float32.
        landmarks: eyes, nose, mouth corners, the picture's left first, in px, (N, 5, 2) float32.
        embeddings: of unit length, (N, D) float32.
    """

    frame: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray
    embeddings: np.ndarray

    @property
    def x(self) -> np.ndarray:
        """Horizontal middles, (N,), px."""
        return (self.boxes[:, 0] + self.boxes[:, 2]) / 2

    def area_shares(self, height: int, width: int) -> np.ndarray:
        """Of a frame of this size that each box covers, (N,)."""
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        return sides.prod(1) / (height * width)


def find_faces(frames: Sequence[np.ndarray], finder: FaceFinder, rules: FaceRules) -> Sightings:
    """Search every frame, (H, W, 3) uint8 RGB each; passers-by in the distance are left out."""
    found = []
    for number, frame in enumerate(frames):
        faces = [face for face in finder.find_in_frame(frame) if face.side_px >= rules.min_face_px]
        found += [(number, face) for face in sorted(faces, key=lambda face: face.box[0] + face.box[2])]
    width = len(found[0][1].embedding) if found else 0
    faces = [face for _, face in found]
    return Sightings(
        frame=np.array([number for number, _ in found], np.int64),
        boxes=np.stack([face.box for face in faces]) if faces else np.zeros((0, 4), np.float32),
        landmarks=np.stack([face.landmarks for face in faces]) if faces else np.zeros((0, 5, 2), np.float32),
        embeddings=np.stack([face.embedding for face in faces])
        if faces
        else np.zeros((0, width), np.float32),
    )
