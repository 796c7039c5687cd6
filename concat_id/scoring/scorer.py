"""Scoring a video against reference faces, per frame and as a whole.

ArcSim is the cosine of ArcFace embeddings; CLIPDist is 1 - the cosine of CLIP image embeddings of the two
faces, both aligned alike (five points, see `align_face`) and not masked.
Axes: T frames, H, W in px, P people, D and E embedding widths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from concat_id.errors import NoFaceFound
from concat_id.references.faces import Face, FaceFinder, align_face
from concat_id.scoring.arcface import arc_similarity
from concat_id.scoring.clip import CROP_PX, ClipEmbedder

if TYPE_CHECKING:
    from concat_id.scoring.curricularface import CurricularEmbedder

# "consisid-16" is the sampling of ConsisID's evaluation; "auto" is "all" for short clips, else "consisid-16".
Sampling = Literal["auto", "all", "consisid-16"]
CONSISID_FRAMES = 16
SHORT_CLIP_FRAMES = 32


@dataclass(frozen=True, eq=False)
class ReferenceFace:
    """What a reference face is compared by."""

    arcface: np.ndarray  # (D,) float32, unit length
    clip: np.ndarray  # (E,) float32, unit length
    curricular: np.ndarray | None = None  # (D,) float32, unit length; None: CurSim is not computed


@dataclass(frozen=True)
class FrameScores:
    """Scores frame by frame; None where no face was found."""

    indices: tuple[int, ...]  # which frames of the video were looked at
    arcsim: tuple[float | None, ...]
    clipdist: tuple[float | None, ...]
    # The face that was compared: left, top, right, bottom, px; none at all in what older versions wrote.
    boxes: tuple[tuple[int, int, int, int] | None, ...] = ()


@dataclass(frozen=True)
class Scores:
    """Scores of a video. Higher ArcSim: more alike; higher CLIPDist: the face was edited more.

    With several people, what is said of a face are means over them; each one's own scores lie in `people`.
    """

    arcsim: float  # mean over the frames with a face, 0 to 1; 0 without any
    clipdist: float | None  # mean over the frames with a face, 0 to 2; None without any
    face_rate: float  # share of the frames with a face
    strict_arcsim: float  # mean over all frames, a missing face counting as 0
    frames: FrameScores
    # Finished videos only, where the judges are on this machine
    cursim: float | None = None  # as ArcSim, by a second recogniser
    viclip: float | None = None  # cosine of video and prompt, -1 to 1
    # Several people only
    people: tuple[Scores, ...] = ()  # in the references' order
    order_rate: float | None = None  # share of the frames with several of them in the references' order
    # With such a reference only: cosines of CLIP image embeddings, -1 to 1
    garment: float | None = None  # mean over all frames, missing clothing counting as 0
    background: float | None = None  # mean over the frames in which the place can be seen

    @property
    def worst(self) -> int | None:
        """Which of several people is the least alike, missing faces counting; the index in `people`."""
        strict = [person.strict_arcsim for person in self.people]
        return strict.index(min(strict)) if strict else None

    def to_dict(self) -> dict[str, Any]:
        """The scores as JSON types; what is only for other jobs is left out."""
        names = [entry.name for entry in fields(self) if entry.default is None]
        extra = {name: getattr(self, name) for name in names}
        if self.people:
            extra |= {"people": [person.to_dict() for person in self.people], "worst": self.worst}
        always = {name: value for name, value in asdict(self).items() if name not in {*extra, "people"}}
        return always | {name: value for name, value in extra.items() if value is not None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scores:
        """Read what `to_dict` wrote."""
        known = {entry.name for entry in fields(cls)}
        values = {name: value for name, value in data.items() if name in known}
        values["frames"] = FrameScores(
            **{name: tuple(map(_freeze, entries)) for name, entries in data["frames"].items()}
        )
        if "people" in values:
            values["people"] = tuple(map(cls.from_dict, data["people"]))
        return cls(**values)


class Scorer:
    """Compares faces in frames with a reference face.

    Args:
        finder: detects and embeds faces.
        clip: embeds aligned faces.
    """

    def __init__(self, finder: FaceFinder, clip: ClipEmbedder) -> None:
        self.finder = finder
        self.clip = clip

    def describe(
        self,
        picture: Image.Image,
        face: Face | None = None,
        *,
        curricular: CurricularEmbedder | None = None,
    ) -> ReferenceFace:
        """Embed the face of a reference picture (RGB).

        Args:
            face: which of the picture's faces, as this scorer's finder found it; None takes the largest.
            curricular: given where CurSim is to be computed.
        """
        if face is None:
            faces = self.finder.find(picture)
            if not faces:
                raise NoFaceFound("no face was found in the reference; choose one that shows a face clearly.")
            face = faces[0]
        crop = align_face(picture, face.landmarks, CROP_PX)
        return ReferenceFace(
            arcface=face.embedding,
            clip=self.clip.embed([crop])[0],
            curricular=curricular.embed(picture, [face.landmarks])[0] if curricular else None,
        )

    def find_again(self, picture: Image.Image, face: Face) -> Face | None:
        """A face that another finder found, as this scorer's finder sees it; None if it does not."""
        faces = [(_overlap(found.box, face.box), found) for found in self.finder.find(picture)]
        overlap, found = max(faces, key=lambda pair: pair[0], default=(0.0, None))
        return found if overlap > 0 else None

    def track(self, references: Sequence[ReferenceFace], frames: np.ndarray) -> list[tuple[Face | None, ...]]:
        """Each person's face in every frame, None where it is not found; of one person the largest face.

        The faces of a frame are assigned to several people one-to-one, for the best total likeness.

        Args:
            references: in the order in which the people should stand, from left to right.
            frames: (T, H, W, 3) uint8 RGB.
        """
        if len(references) == 1:
            return [tuple(self.finder.find_largest(frame) for frame in frames)]
        assigned = [assign_faces(references, self.finder.find_in_frame(frame)) for frame in frames]
        return list(zip(*assigned, strict=True))

    def compare(
        self,
        references: Sequence[ReferenceFace],
        frames: np.ndarray,
        indices: Sequence[int],
        tracks: Sequence[Sequence[Face | None]],
    ) -> Scores:
        """Score people by their faces, as `track` found them.

        Args:
            frames: (T, H, W, 3) uint8 RGB, those that were looked at.
            indices: which frames of the video they are.
        """
        people = [
            self._compare(reference, frames, indices, track)
            for reference, track in zip(references, tracks, strict=True)
        ]
        if len(people) == 1:
            return people[0]
        return replace(join_people(people), order_rate=measure_order(list(zip(*tracks, strict=True))))

    def _compare(
        self,
        reference: ReferenceFace,
        frames: np.ndarray,
        indices: Sequence[int],
        faces: Sequence[Face | None],
    ) -> Scores:
        """Scores of one person."""
        arcsim = [arc_similarity(reference.arcface, face.embedding) if face else None for face in faces]
        clipdist = self._clip_distances(reference, frames, faces)
        boxes = [tuple(face.box.round().astype(int).tolist()) if face else None for face in faces]
        return summarize(FrameScores(tuple(indices), tuple(arcsim), tuple(clipdist), tuple(boxes)))

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
    found = [value for value in frames.arcsim if value is not None]
    return Scores(
        arcsim=mean_found(frames.arcsim),
        clipdist=mean_found(frames.clipdist) if found else None,
        face_rate=len(found) / len(frames.arcsim),
        strict_arcsim=sum(found) / len(frames.arcsim),
        frames=frames,
    )


def mean_found(values: Sequence[float | None]) -> float:
    """Mean over the frames with a face; 0 without any."""
    found = [value for value in values if value is not None]
    return sum(found) / len(found) if found else 0.0


def assign_faces(references: Sequence[ReferenceFace], faces: Sequence[Face]) -> list[Face | None]:
    """The face of each reference: one-to-one, for the best total of cosines; None where faces are too few."""
    from scipy.optimize import linear_sum_assignment

    assigned: list[Face | None] = [None] * len(references)
    if faces:
        found = np.stack([face.embedding for face in faces])
        cosines = np.stack([reference.arcface for reference in references]) @ found.T
        for person, face in zip(*linear_sum_assignment(cosines, maximize=True), strict=True):
            assigned[person] = faces[face]
    return assigned


def measure_order(assigned: Sequence[Sequence[Face | None]]) -> float | None:
    """In which share of the frames with several people they stand from left to right; None without any.

    Args:
        assigned: for each frame, the face of each reference, in the references' order.
    """
    middles = [[face.box[0] + face.box[2] for face in faces if face] for faces in assigned]
    ordered = [middle == sorted(middle) for middle in middles if len(middle) > 1]
    return sum(ordered) / len(ordered) if ordered else None


def join_people(people: Sequence[Scores]) -> Scores:
    """Scores of a video by those of its people: means over them, as a whole and frame by frame."""
    clipdist = [person.clipdist for person in people if person.clipdist is not None]
    return Scores(
        arcsim=sum(person.arcsim for person in people) / len(people),
        clipdist=sum(clipdist) / len(clipdist) if clipdist else None,
        face_rate=sum(person.face_rate for person in people) / len(people),
        strict_arcsim=sum(person.strict_arcsim for person in people) / len(people),
        frames=FrameScores(
            people[0].frames.indices,
            _means([person.frames.arcsim for person in people]),
            _means([person.frames.clipdist for person in people]),
        ),
        people=tuple(people),
    )


def _freeze(entry: Any) -> Any:
    """A face's box is a tuple; JSON has lists."""
    return tuple(entry) if isinstance(entry, list) else entry


def _means(rows: Sequence[Sequence[float | None]]) -> tuple[float | None, ...]:
    """Frame by frame, the mean over the people who were found in it."""
    columns = [[value for value in column if value is not None] for column in zip(*rows, strict=True)]
    return tuple(sum(column) / len(column) if column else None for column in columns)


def _overlap(box: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes (4,)."""
    corner, opposite = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    shared = float(np.prod(np.clip(opposite - corner, 0, None)))
    areas = float(np.prod(box[2:] - box[:2]) + np.prod(other[2:] - other[:2]))
    return shared / max(areas - shared, 1e-6)
