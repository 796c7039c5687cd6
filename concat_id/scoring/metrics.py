"""One row for each score of a video: what it is called, and when it is there.

The panel beside the video, comparisons and the evaluation's main table are made from these rows. A new score
is a field of `Scores`, computed in `Scorer.compare`, and a row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from concat_id.references.reference import Role


@dataclass(frozen=True)
class Metric:
    """A score.

    Attributes:
        field: of `Scores`.
        title: what it is called.
        meaning: what it says, in a few words; without it, it has no card beside the video.
        judge: of what only finished videos are scored by: the preset's field of its weights.
        role: of the reference without which there is no such score.
        of_faces: says something only where a face was found.
        in_paper: in the paper's tables, and ours beside them.
        decimals: in comparisons.
    """

    field: str
    title: str
    meaning: str = ""
    judge: str | None = None
    role: Role = "face"
    of_faces: bool = True
    in_paper: bool = False
    decimals: int = 3


METRICS = (
    Metric("arcsim", "ArcSim", "likeness to the reference face", in_paper=True),
    Metric("cursim", "CurSim", "likeness by a second recogniser", judge="curricular", in_paper=True),
    Metric(
        "viclip", "ViCLIP", "match of video and prompt", judge="video_clip", of_faces=False, in_paper=True
    ),
    Metric("clipdist", "CLIPDist", "how freely the face was edited", in_paper=True),
    Metric(
        "garment",
        "Garment",
        "likeness by CLIP, lost clothing as 0",
        role="garment",
        of_faces=False,
    ),
    Metric(
        "background",
        "Place",
        "likeness by CLIP, where it can be seen",
        role="background",
        of_faces=False,
    ),
    Metric("face_rate", "Frames with a face", of_faces=False, decimals=2),
)


def list_cards(roles: Iterable[Role]) -> tuple[Metric, ...]:
    """What a video with references of these roles is measured by: what is there at once comes first."""
    given = set(roles)
    shown = [metric for metric in METRICS if metric.meaning and metric.role in given]
    return tuple(sorted(shown, key=lambda metric: (metric.role != "face", metric.judge is not None)))
