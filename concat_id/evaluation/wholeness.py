"""Whether a drawn person's face is whole: a judge that was trained on true and on damaged faces.

Parsers find eyes and a mouth in faces that anybody would call broken. How far this judge agrees with the eye
is measured on faces that were called whole or broken by one who did not know which of them were true:
`python -m train.measure.whole_faces`.
Axes: T frames, N faces, H, W in px.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from concat_id.references.faces import Face, align_face

CROP_PX = 112
# The crop shows so much more than ArcFace's: the whole face with its outline.
WIDENING = 1.3
# Aligned at twice the size and shrunk, so that faces of larger videos do not alias.
ALIGNED_PX = 2 * CROP_PX


class WholenessJudge:
    """Tells whole faces from broken ones.

    Args:
        path: an ONNX file as `train.export` writes it: crops (N, 3, 112, 112) in [0, 1] to
            probabilities (N,); its metadata holds the threshold from which on a face is whole.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.threshold = float(self._session.get_modelmeta().custom_metadata_map["threshold"])

    def whole_probability(
        self, frames: np.ndarray | Sequence[np.ndarray], faces: Sequence[Sequence[Face]]
    ) -> list[np.ndarray]:
        """How likely each face is whole, frame by frame: T arrays (N,) in [0, 1], empty without a face.

        Args:
            frames: (T, H, W, 3) uint8 RGB, of any size.
            faces: those of each frame.
        """
        crops = [
            crop_face(frame, face.landmarks)
            for frame, found in zip(frames, faces, strict=True)
            for face in found
        ]
        ends = np.cumsum([len(found) for found in faces])[:-1]
        return np.split(self.judge(np.stack(crops)) if crops else np.empty(0), ends)

    def judge(self, crops: np.ndarray) -> np.ndarray:
        """How likely each is whole, (N,), of crops (N, 112, 112, 3) uint8 as `crop_face` makes them."""
        pixels = np.float32(crops.transpose(0, 3, 1, 2)) / 255
        return self._session.run(None, {self._session.get_inputs()[0].name: pixels})[0]

    def are_whole(self, frames: np.ndarray, faces: Sequence[Sequence[Face]]) -> np.ndarray:
        """Whether a frame has a face, and none that is broken, (T,) bool."""
        probabilities = self.whole_probability(frames, faces)
        return np.array([len(found) > 0 and found.min() >= self.threshold for found in probabilities])


def crop_face(frame: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The face as the judge looks at it, (112, 112, 3) uint8.

    Args:
        frame: (H, W, 3) uint8 RGB.
        landmarks: (5, 2), px, as in `Face`.
    """
    middle = landmarks.mean(0)
    crop = align_face(frame, middle + (landmarks - middle) * WIDENING, ALIGNED_PX)
    return np.asarray(crop.resize((CROP_PX, CROP_PX), Image.Resampling.BOX))
