"""What is measured of one video.

Axes: T frames, H, W in px.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from concat_id.errors import NoFaceFound
from concat_id.evaluation.benchmark import SETS, Case, Subject
from concat_id.evaluation.judges import Judges
from concat_id.evaluation.sharpness import mean_gradient
from concat_id.evaluation.wholeness import WholenessJudge
from concat_id.references.faces import Face
from concat_id.references.reference import Role
from concat_id.scoring import ReferenceFace, Sampling
from concat_id.scoring.scorer import mean_found, sample_frames

# By role, those among whom the one in a video is to be found again.
Galleries = Mapping[Role, Sequence[Subject]]


@dataclass(frozen=True)
class Protocol:
    """Which frames are looked at, and what a frame with cosine 0 counts in CurSim."""

    sampling: Sampling | int
    drops_zeros: bool = False


# ConsisID's evaluation and OpenS2V's; the latter's leaderboard has CurSim only. "auto": see `Sampling`.
PROTOCOLS: dict[str, Protocol] = {
    "auto": Protocol("auto"),
    "consisid-16": Protocol("consisid-16"),
    "opens2v-32": Protocol(32, drops_zeros=True),
}


@dataclass(frozen=True)
class Measurement:
    """One video's figures; a figure that does not apply to it is missing."""

    values: Mapping[str, float]
    frames: Mapping[str, list[int] | list[float | None]]  # indices, and curves over them
    read: Mapping[str, str]  # topic -> what the reader saw


def measure(
    case: Case,
    frames: np.ndarray,
    judges: Judges,
    *,
    protocol: Protocol,
    galleries: Galleries,
) -> Measurement:
    """Measure a video, (T, H, W, 3) uint8 RGB.

    Args:
        galleries: among whom the references in the video are to be found again.
    """
    people = [_know(judges, person) for person in case.people]
    indices = sample_frames(len(frames), protocol.sampling)
    seen = frames[indices]
    tracks = judges.scorer.track(people, seen)
    scores = judges.scorer.compare(people, seen, indices, tracks).to_dict()
    cursim = [
        judges.curricular.compare(person.curricular, track, seen)
        for person, track in zip(people, tracks, strict=True)
    ]
    values = {
        **{name: value for name, value in scores.items() if isinstance(value, float)},
        **summarize_cursim(cursim, drops_zeros=protocol.drops_zeros),
        "viclip": judges.video_text.score(frames, case.prompt),
    }
    if judges.wholeness:
        values["whole_faces"] = share_of_whole(judges.wholeness, tracks, seen)
    gradients = [
        gradient / judges.know_gradient(person)
        for person, track in zip(case.people, tracks, strict=True)
        if (gradient := mean_gradient(seen, track)) is not None
    ]
    if gradients:
        values["sharpness"] = float(np.mean(gradients))
    for number, person in enumerate(scores.get("people", ()), start=1):
        values |= {f"arcsim_{number}": person["arcsim"], f"cursim_{number}": mean_found(cursim[number - 1])}
    if len(people) > 1:
        values["worst_arcsim"] = min(person["strict_arcsim"] for person in scores["people"])
        values["worst_cursim"] = min(mean_strict(track) for track in cursim)
    else:
        values["retrieval"] = is_found_again(case.people[0], tracks[0], galleries["face"], judges)
    if case.companion:
        role = SETS[case.set_name].companion
        likenesses = judges.compare(role, [case.companion], seen)
        values |= {role: likenesses[0]} if likenesses else {}
        values[f"{role}_retrieval"] = judges.picks(role, case.companion, seen, galleries[role])
    read = judges.reader.read(frames) if judges.reader and len(people) == 1 else {}
    values |= {
        f"right_{topic}": float(read[topic] == case.truth[topic]) for topic in read if topic in case.truth
    }
    curves = {"arcsim": list(scores["frames"]["arcsim"]), "cursim": _frame_means(cursim)}
    return Measurement(values, {"indices": indices, **curves}, read)


def _know(judges: Judges, person: Subject) -> ReferenceFace:
    """A person's face, who must have one."""
    known = judges.know(person)
    if known is None:
        raise NoFaceFound(f"no face was found in '{person.picture.name}'; replace the picture.")
    return known


def share_of_whole(
    judge: WholenessJudge, tracks: Sequence[Sequence[Face | None]], frames: np.ndarray
) -> float:
    """Share of the frames (T, H, W, 3) in which every person's face was found and is whole."""
    columns = zip(*tracks, strict=True)
    complete = [[] if None in faces else list(faces) for faces in columns]
    return float(np.mean(judge.are_whole(frames, complete)))


def summarize_cursim(tracks: Sequence[Sequence[float | None]], *, drops_zeros: bool) -> dict[str, float]:
    """Means over people: of the frames with a face, and of all frames, a missing face counting as 0."""
    kept = [[value for value in track if value or not drops_zeros] for track in tracks]
    return {
        "cursim": float(np.mean([mean_found(track) for track in kept])),
        "strict_cursim": float(np.mean([mean_strict(track) for track in tracks])),
    }


def mean_strict(track: Sequence[float | None]) -> float:
    """Mean over all frames, a missing face counting as 0."""
    return float(np.mean([value or 0.0 for value in track]))


def is_found_again(
    person: Subject, track: Sequence[Face | None], gallery: Sequence[Subject], judges: Judges
) -> float:
    """1 if the video's mean face is nearest to the right one of the gallery's people, else 0."""
    found = [face.embedding for face in track if face]
    known = {other.name: judges.know(other) for other in gallery}
    if not found:
        return 0.0
    mean = np.mean(found, axis=0)
    cosines = {name: float(mean @ face.arcface) for name, face in known.items() if face}
    return float(max(cosines, key=cosines.__getitem__) == person.name)


def _frame_means(tracks: Sequence[Sequence[float | None]]) -> list[float | None]:
    """Frame by frame, the mean over the people who were found in it."""
    columns = [[value for value in column if value is not None] for column in zip(*tracks, strict=True)]
    return [float(np.mean(column)) if column else None for column in columns]
