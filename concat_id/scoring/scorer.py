"""Scoring a video against a reference face, per frame and as a whole.

ArcSim is the cosine of ArcFace embeddings; CLIPDist is 1 - the cosine of CLIP image embeddings of the two
faces, both aligned alike (five points, see `align_face`) and not masked.
Axes: T frames, H, W in px, D and E embedding widths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

from concat_id.errors import NoFaceFound
from concat_id.faces import Face, FaceFinder, align_face
from concat_id.scoring.arcface import arc_similarity
from concat_id.scoring.clip import CROP_PX, ClipEmbedder

# "consisid-16" is the sampling of ConsisID's evaluation; "auto" is "all" for short clips, else "consisid-16".
Sampling = Literal["auto", "all", "consisid-16"]
SAMPLINGS: tuple[Sampling, ...] = ("auto", "all", "consisid-16")
CONSISID_FRAMES = 16
SHORT_CLIP_FRAMES = 32


@dataclass(frozen=True, eq=False)
class ReferenceFace:
    """What a reference face is compared by."""

    arcface: np.ndarray  # (D,) float32, unit length
    clip: np.ndarray  # (E,) float32, unit length


@dataclass(frozen=True)
class FrameScores:
    """Scores frame by frame; None where no face was found."""

    indices: tuple[int, ...]  # which frames of the video were looked at
    arcsim: tuple[float | None, ...]
    clipdist: tuple[float | None, ...]


@dataclass(frozen=True)
class Scores:
    """Scores of a video. Higher ArcSim: more alike; higher CLIPDist: the face was edited more."""

    arcsim: float  # mean over the frames with a face, 0 to 1; 0 without any
    clipdist: float | None  # mean over the frames with a face, 0 to 2; None without any
    face_rate: float  # share of the frames with a face
    strict_arcsim: float  # mean over all frames, a missing face counting as 0
    frames: FrameScores

    def to_dict(self) -> dict[str, Any]:
        """The scores as JSON types."""
        return asdict(self)


class Scorer:
    """Compares faces in frames with a reference face.

    Args:
        finder: detects and embeds faces.
        clip: embeds aligned faces.
    """

    def __init__(self, finder: FaceFinder, clip: ClipEmbedder) -> None:
        self.finder = finder
        self.clip = clip

    def describe(self, picture: Image.Image, face: Face | None = None) -> ReferenceFace:
        """Embed the face of a reference picture (RGB).

        Args:
            face: which of the picture's faces, as this scorer's finder found it; None takes the largest.
        """
        if face is None:
            faces = self.finder.find(picture)
            if not faces:
                raise NoFaceFound("no face was found in the reference; choose one that shows a face clearly.")
            face = faces[0]
        crop = align_face(picture, face.landmarks, CROP_PX)
        return ReferenceFace(arcface=face.embedding, clip=self.clip.embed([crop])[0])

    def find_again(self, picture: Image.Image, face: Face) -> Face | None:
        """A face that another finder found, as this scorer's finder sees it; None if it does not."""
        faces = [(_overlap(found.box, face.box), found) for found in self.finder.find(picture)]
        overlap, found = max(faces, key=lambda pair: pair[0], default=(0.0, None))
        return found if overlap > 0 else None

    def score(
        self, reference: ReferenceFace, frames: np.ndarray, *, sampling: Sampling | int = "auto"
    ) -> Scores:
        """Score frames, (T, H, W, 3) uint8 RGB, by the largest face of each.

        Args:
            sampling: which frames: a named rule, or a number of evenly spaced frames.
        """
        indices = sample_frames(len(frames), sampling)
        faces = [self.finder.find_largest(frames[index]) for index in indices]
        arcsim = [arc_similarity(reference.arcface, face.embedding) if face else None for face in faces]
        clipdist = self._clip_distances(reference, frames[indices], faces)
        return summarize(FrameScores(tuple(indices), tuple(arcsim), tuple(clipdist)))

    def _clip_distances(
        self, reference: ReferenceFace, frames: np.ndarray, faces: Sequence[Face | None]
    ) -> list[float | None]:
        """CLIPDist of each frame's face, None where there is none."""
        crops = [
            align_face(frame, face.landmarks, CROP_PX)
            for frame, face in zip(frames, faces, strict=True)
            if face
        ]
        if not crops:
            return [None] * len(faces)
        distances = iter((1.0 - self.clip.embed(crops) @ reference.clip).tolist())
        return [next(distances) if face else None for face in faces]


def sample_frames(num_frames: int, sampling: Sampling | int) -> list[int]:
    """The indices of the frames to look at, ascending, without doubles."""
    if sampling == "auto":
        sampling = "all" if num_frames <= SHORT_CLIP_FRAMES else "consisid-16"
    count = {"all": num_frames, "consisid-16": CONSISID_FRAMES}.get(sampling, sampling)
    return sorted(set(np.linspace(0, num_frames - 1, count, dtype=int).tolist()))


def summarize(frames: FrameScores) -> Scores:
    """Sum up scores frame by frame."""
    arcsim = [value for value in frames.arcsim if value is not None]
    clipdist = [value for value in frames.clipdist if value is not None]
    return Scores(
        arcsim=sum(arcsim) / len(arcsim) if arcsim else 0.0,
        clipdist=sum(clipdist) / len(clipdist) if clipdist else None,
        face_rate=len(arcsim) / len(frames.arcsim),
        strict_arcsim=sum(arcsim) / len(frames.arcsim),
        frames=frames,
    )


def _overlap(box: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes (4,)."""
    corner, opposite = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    shared = float(np.prod(np.clip(opposite - corner, 0, None)))
    areas = float(np.prod(box[2:] - box[:2]) + np.prod(other[2:] - other[:2]))
    return shared / max(areas - shared, 1e-6)
