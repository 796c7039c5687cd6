"""What may be set about a run of curation; a changed rule redoes the steps after it and nothing before.

The defaults are the paper's where it gives a number (data processing, supplement B); the others are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from concat_id.errors import InputError


class InvalidRules(InputError):
    """A rule of curation has a value that it cannot have."""


@dataclass(frozen=True)
class ClipRules:
    """From files to clips.

    Attributes:
        sample_fps: frames a second that are looked at.
        cut_threshold: mean change of hue, saturation and brightness, 0 to 255, that is a cut (PySceneDetect).
        min_clip_s: of a shot; shorter ones are dropped.
        max_clip_s: a longer shot becomes several clips.
        max_side_px: larger frames are shrunk to this longer side.
        require_caption: whether files without any caption are dropped.
    """

    sample_fps: float = 2.0
    cut_threshold: float = 27.0
    min_clip_s: float = 1.0
    max_clip_s: float = 20.0
    max_side_px: int = 1920
    require_caption: bool = False

    def __post_init__(self) -> None:
        _check(self.sample_fps > 0, "clips.sample_fps", self.sample_fps, "more than 0")
        _check(self.cut_threshold > 0, "clips.cut_threshold", self.cut_threshold, "more than 0")
        _check(self.min_clip_s >= 0, "clips.min_clip_s", self.min_clip_s, "0 or more")
        least = 2 / self.sample_fps + self.min_clip_s
        _check(self.max_clip_s >= least, "clips.max_clip_s", self.max_clip_s, f"{least:g} or more")
        _check(self.max_side_px >= 64, "clips.max_side_px", self.max_side_px, "64 or more")


@dataclass(frozen=True)
class FaceRules:
    """From frames to faces.

    Attributes:
        min_face_px: shorter side of a face's box; smaller ones are passers-by.
    """

    min_face_px: float = 24.0

    def __post_init__(self) -> None:
        _check(self.min_face_px > 0, "faces.min_face_px", self.min_face_px, "more than 0")


@dataclass(frozen=True)
class PeopleRules:
    """From faces to people; what the paper leaves open is explained in `people`.

    Attributes:
        max_people: more are a crowd.
        min_cosine: under this, two faces in a row are two people; None: the recogniser's own bound.
    """

    max_people: int = 3
    min_cosine: float | None = None

    def __post_init__(self) -> None:
        _check(1 <= self.max_people <= 3, "people.max_people", self.max_people, "1, 2 or 3")
        if self.min_cosine is not None:
            _check(-1 <= self.min_cosine <= 1, "people.min_cosine", self.min_cosine, "from -1 to 1")


@dataclass(frozen=True)
class ReferenceRules:
    """From people to stored references.

    Attributes:
        crop_px: side of the aligned crop, a multiple of 112.
        max_yaw_deg: a head turned farther from the camera is no reference.
        garments, backgrounds: whether to cut out garments, and to clear first frames of their people.
    """

    crop_px: int = 448
    max_yaw_deg: float = 60.0
    garments: bool = True
    backgrounds: bool = True

    def __post_init__(self) -> None:
        fits = self.crop_px >= 112 and self.crop_px % 112 == 0
        _check(fits, "references.crop_px", self.crop_px, "a multiple of 112")
        _check(0 < self.max_yaw_deg <= 90, "references.max_yaw_deg", self.max_yaw_deg, "from 0 to 90")


@dataclass(frozen=True)
class PairRules:
    """From references to pairs.

    Attributes:
        neighbours: references from other videos that a person of a clip keeps, of each kind.
        trade_off_share: of the people with such pairs, the best by quality.
        exact_below: up to so many references every one is compared with every other.
    """

    neighbours: int = 5
    trade_off_share: float = 0.5
    exact_below: int = 50_000

    def __post_init__(self) -> None:
        _check(self.neighbours >= 1, "pairs.neighbours", self.neighbours, "1 or more")
        _check(0 < self.trade_off_share <= 1, "pairs.trade_off_share", self.trade_off_share, "from 0 to 1")
        _check(self.exact_below >= 0, "pairs.exact_below", self.exact_below, "0 or more")


@dataclass(frozen=True)
class Rules:
    """All rules of a run, by step."""

    clips: ClipRules = field(default_factory=ClipRules)
    faces: FaceRules = field(default_factory=FaceRules)
    people: PeopleRules = field(default_factory=PeopleRules)
    references: ReferenceRules = field(default_factory=ReferenceRules)
    pairs: PairRules = field(default_factory=PairRules)


def _check(holds: bool, name: str, value: float, rule: str) -> None:
    if not holds:
        raise InvalidRules(f"{name} is {value}, but must be {rule}.")
