"""Step 3, from faces to people: how many a clip shows, which face is whose, who stands where.

The paper's two rules are those of `filters`. Its second counts flickers; one lasting change of the face,
which happens once, passes it. Ours is a third: a person's faces before and after any moment must agree on the
whole.

Axes: J sampled frames, N faces, P people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from train.curation.filters import has_steady_face_count, keeps_its_faces
from train.curation.order import agrees_with_order, order_people
from train.curation.rules import PeopleRules
from train.curation.sightings import Sightings
from train.curation.verdicts import Dropped

# How much a way across the whole frame counts against a likeness of 1, when faces are given to people.
NEARNESS_WEIGHT = 0.5
# Of a moment, for the third rule: a single face may be blurred.
MIN_FACES_ON_A_SIDE = 2


@dataclass(frozen=True, eq=False)
class People:
    """Who is who in a clip, people from left to right.

    Attributes:
        person: of each face; -1 for a face too many, (N,) int64.
        fits_order: whether a face stands to the others of its frame as its person does on the whole, (N,)
            bool.
        mean_x: mean horizontal position of each person's faces, a share of the width, (P,).
    """

    person: np.ndarray
    fits_order: np.ndarray
    mean_x: np.ndarray

    @property
    def count(self) -> int:
        """P."""
        return len(self.mean_x)


def tell_people_apart(
    seen: Sightings, num_frames: int, frame_width: int, *, min_cosine: float, rules: PeopleRules
) -> People:
    """Count, track and order the people of a clip.

    Args:
        num_frames: J.
        frame_width: px.
        min_cosine: under it, two faces in a row are two people.

    Raises:
        Dropped: nobody, too many, now this many and now that many, or a face that does not stay the same.
    """
    counts = np.bincount(seen.frame, minlength=num_frames)
    usual = int(np.bincount(counts).argmax())
    if not len(seen.frame):
        raise Dropped("nobody", f"no face was found in {num_frames} frames.")
    if not has_steady_face_count(torch.from_numpy(counts)[None]).item():
        raise Dropped("people come and go", f"the frames show {_list(counts)} faces, mostly {usual}.")
    if not usual:
        raise Dropped("nobody", f"a face was found in {(counts > 0).sum()} of {num_frames} frames only.")
    if usual > rules.max_people:
        raise Dropped("crowd", f"there are {usual} people, more than {rules.max_people}.")
    person = _track(seen, usual, frame_width)
    table = _tabulate(seen, person, num_frames, usual)
    found = torch.from_numpy(table >= 0)[None]
    embeddings = torch.from_numpy(seen.embeddings[table])[None]
    _check_faces_stay(embeddings, found, min_cosine)
    face_x = torch.from_numpy(seen.x[table] / frame_width)[None]
    order = order_people(face_x, found)[0].numpy()
    fits = np.zeros(len(person), bool)
    fits[table[table >= 0]] = agrees_with_order(face_x, found)[0].numpy()[table >= 0]
    rank = np.empty(usual + 1, np.int64)
    rank[order], rank[-1] = np.arange(usual), -1
    mean_x = [seen.x[person == who].mean() / frame_width for who in order]
    return People(rank[person], fits & (person >= 0), np.array(mean_x, np.float32))


def _track(seen: Sightings, num_people: int, frame_width: int) -> np.ndarray:
    """Each face's person, (N,): by likeness to the person so far and nearness to the last place.

    Tracking starts in the first frame that shows everybody; the frames before it follow at the end.
    """
    counts = np.bincount(seen.frame)
    start = int(np.argmax(counts == num_people))
    person = np.full(len(seen.frame), -1)
    total = np.zeros((num_people, seen.embeddings.shape[1]), np.float64)
    last_x = np.zeros(num_people)
    for frame in [*range(start, len(counts)), *range(start - 1, -1, -1)]:
        faces = np.flatnonzero(seen.frame == frame)
        if frame == start:
            given, people = np.arange(num_people), np.arange(num_people)
        else:
            mean = total / np.linalg.norm(total, axis=1, keepdims=True)
            likeness = seen.embeddings[faces] @ mean.T
            way = np.abs(seen.x[faces][:, None] - last_x) / frame_width
            given, people = linear_sum_assignment(likeness - NEARNESS_WEIGHT * way, maximize=True)
        person[faces[given]] = people
        total[people] += seen.embeddings[faces[given]]
        last_x[people] = seen.x[faces[given]]
    return person


def _tabulate(seen: Sightings, person: np.ndarray, num_frames: int, num_people: int) -> np.ndarray:
    """The face of each person in each frame, -1 where there is none, (J, P) int64."""
    table = np.full((num_frames, num_people), -1)
    own = np.flatnonzero(person >= 0)
    table[seen.frame[own], person[own]] = own
    return table


def _check_faces_stay(embeddings: torch.Tensor, found: torch.Tensor, min_cosine: float) -> None:
    """Drop a clip in which a face becomes another.

    Args:
        embeddings: (1, J, P, D).
        found: (1, J, P).
    """
    if not keeps_its_faces(embeddings, found, min_cosine).item():
        raise Dropped(
            "face changes", f"over 30 % of the faces in a row are less alike than cosine {min_cosine:.2f}."
        )
    for who in range(found.shape[2]):
        faces = embeddings[0, found[0, :, who], who].double()
        before = faces.cumsum(0)
        after = faces.sum(0) - before
        cosines = torch.nn.functional.cosine_similarity(before, after)
        cosines = cosines[MIN_FACES_ON_A_SIDE - 1 : len(faces) - MIN_FACES_ON_A_SIDE]
        if len(cosines) and cosines.min() < min_cosine:
            raise Dropped(
                "face changes",
                f"the faces before and after one moment are alike by {cosines.min():.2f} only, less than "
                f"cosine {min_cosine:.2f}.",
            )


def _list(counts: np.ndarray) -> str:
    return ", ".join(map(str, counts[:12].tolist())) + (", ..." if len(counts) > 12 else "")
