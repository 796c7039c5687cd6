"""Finding and aligning faces: insightface's detector and recogniser, loaded from a pack folder."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from concat_id.errors import NotFinite, WeightsUnavailable
from concat_id.references.onnx_sessions import PROVIDERS, session_options

# A picture may hold a close-up (seen at the small sizes) or people in the distance (at the large one).
PICTURE_SIZES_PX = (128, 320, 640)
DETECTION_THRESHOLD = 0.5
# A face that touches the frame is found once there is room around it: the rule of ConsisID's evaluation.
PAD_SHARE = 0.25
PAD_GREY = 128


@dataclass(frozen=True, eq=False)
class Face:
    """One detected face, in the coordinates of the picture it was found in."""

    box: np.ndarray  # (4,) float32: left, top, right, bottom, px
    landmarks: np.ndarray  # (5, 2) float32: image-left eye, image-right eye, nose, mouth corners, px
    embedding: np.ndarray  # (D,) float32, unit length
    score: float  # the detector's confidence, 0 to 1
    embedding_norm: float = 1.0  # the embedding's length as the recogniser computed it

    @property
    def side_px(self) -> float:
        """The box's shorter side."""
        return float(min(self.box[2] - self.box[0], self.box[3] - self.box[1]))

    @property
    def area_px(self) -> float:
        """The box's area."""
        return float((self.box[2] - self.box[0]) * (self.box[3] - self.box[1]))


class FaceFinder:
    """Detects faces and embeds them.

    Args:
        pack: a folder of ONNX files that `insightface.app.FaceAnalysis` understands.
        frame_size_px: the square into which video frames are fitted for detection.
    """

    def __init__(self, pack: Path, *, frame_size_px: int = 320) -> None:
        if not any(Path(pack).glob("*.onnx")):
            raise WeightsUnavailable(
                f"the face pack '{pack}' holds no ONNX files; fetch the pack and unpack it there."
            )
        from insightface.app import FaceAnalysis

        # It aligns every face by a scikit-image call that is to be renamed.
        warnings.filterwarnings("ignore", category=FutureWarning, module="insightface")
        self._analysis = FaceAnalysis(
            name=str(pack),
            allowed_modules=["detection", "recognition"],
            providers=PROVIDERS,
            sess_options=session_options(),
        )
        self._analysis.prepare(ctx_id=-1, det_thresh=DETECTION_THRESHOLD)
        self._frame_size_px = frame_size_px

    def find(self, picture: Image.Image | np.ndarray) -> list[Face]:
        """All faces of a picture (RGB), searched at several scales, the largest first."""
        pixels = _to_bgr(picture)
        canvas = _extend(pixels)
        sizes_px = tuple(size for size in PICTURE_SIZES_PX if size <= max(canvas.shape[:2]))
        boxes, landmarks = self._detect_or_pad(canvas, sizes_px)
        faces = [self._embed(pixels, *found) for found in zip(boxes, landmarks, strict=True)]
        return sorted(faces, key=lambda face: -face.area_px)

    def find_largest(self, frame: Image.Image | np.ndarray) -> Face | None:
        """The largest face of a video frame (RGB), searched at one scale, or None."""
        pixels = _to_bgr(frame)
        boxes, landmarks = self._detect_or_pad(pixels, (self._frame_size_px,))
        if not len(boxes):
            return None
        largest = np.argmax((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
        return self._embed(pixels, boxes[largest], landmarks[largest])

    def find_in_frame(self, frame: Image.Image | np.ndarray) -> list[Face]:
        """All faces of a video frame (RGB), searched at one scale."""
        pixels = _to_bgr(frame)
        boxes, landmarks = self._detect_or_pad(pixels, (self._frame_size_px,))
        return [self._embed(pixels, *found) for found in zip(boxes, landmarks, strict=True)]

    def _detect_or_pad(self, pixels: np.ndarray, sizes_px: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Boxes with scores (N, 5) and landmarks (N, 5, 2); without a find, once more with grey around."""
        boxes, landmarks = self._detect(pixels, sizes_px)
        if len(boxes):
            return boxes, landmarks
        rows, columns = (round(side * PAD_SHARE) for side in pixels.shape[:2])
        padded = np.pad(pixels, ((rows, rows), (columns, columns), (0, 0)), constant_values=PAD_GREY)
        boxes, landmarks = self._detect(padded, sizes_px)
        shift = np.array([columns, rows], np.float32)
        boxes[:, :4] -= np.tile(shift, 2)
        return boxes, landmarks - shift

    def _detect(self, pixels: np.ndarray, sizes_px: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """What the detector finds at all the sizes together, after suppression of doubles."""
        return self._analysis.det_model.detect(pixels, input_size=[(size, size) for size in sizes_px])

    def _embed(self, pixels: np.ndarray, box: np.ndarray, landmarks: np.ndarray) -> Face:
        """Complete a detection by its embedding."""
        from insightface.app.common import Face as Detection

        recogniser: Any = self._analysis.models["recognition"]
        embedding = recogniser.get(pixels, Detection(kps=landmarks))
        if not np.isfinite(embedding).all() or not embedding.any():
            raise NotFinite(
                "the face recogniser computes no numbers; its weights are damaged: fetch them again."
            )
        norm = np.linalg.norm(embedding)
        return Face(
            box=box[:4].astype(np.float32),
            landmarks=landmarks.astype(np.float32),
            embedding=(embedding / norm).astype(np.float32),
            score=float(box[4]),
            embedding_norm=float(norm),
        )


def align_face(picture: Image.Image | np.ndarray, landmarks: np.ndarray, size_px: int = 448) -> Image.Image:
    """Turn, scale and shift a picture (RGB) so that the five landmarks lie where ArcFace wants them.

    Args:
        landmarks: (5, 2), px, as in `Face`.
        size_px: the crop's side, a multiple of 112.

    Returns:
        The square crop, black where it leaves the picture.
    """
    from insightface.utils import face_align

    return Image.fromarray(face_align.norm_crop(np.asarray(picture), landmarks, size_px))


def _extend(pixels: np.ndarray) -> np.ndarray:
    """Put a picture at the top left of a black canvas of a detection size, so that it is not enlarged.

    Enlarged patterns of cloth look like faces.
    """
    side = next((size for size in PICTURE_SIZES_PX if size >= max(pixels.shape[:2])), None)
    if side is None:
        return pixels
    return np.pad(pixels, ((0, side - pixels.shape[0]), (0, side - pixels.shape[1]), (0, 0)))


def _to_bgr(picture: Image.Image | np.ndarray) -> np.ndarray:
    """RGB, PIL or (H, W, 3) uint8, as insightface wants it."""
    return np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])
