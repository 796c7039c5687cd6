"""Which clips and which of their faces are worth keeping (method of the paper, its data processing)."""

from __future__ import annotations

import torch
from torch import Tensor

# Of a clip's frames, or of its pairs of consecutive frames, that may break a rule.
MAX_ODD_SHARE = 0.3
MIN_CONSECUTIVE_COSINE = 0.5
FACES_PER_TRACK = 5
FACE_AREA_SHARES = (0.04, 0.90)


def has_steady_face_count(counts: Tensor) -> Tensor:
    """Whether at most 30 % of a clip's frames disagree with its most frequent number of faces, (V,) bool.

    Args:
        counts: faces found in each sampled frame, (V, J).
    """
    usual = counts.mode(1, keepdim=True).values
    return (counts != usual).float().mean(1) <= MAX_ODD_SHARE


def keeps_its_faces(embeddings: Tensor, found: Tensor, min_cosine: float = MIN_CONSECUTIVE_COSINE) -> Tensor:
    """Whether at most 30 % of a clip's consecutive faces have a cosine under .5, (V,) bool.

    A pair of frames counts for every person found in both.

    Args:
        embeddings: of unit length, frames in order of time, (V, J, P, D).
        found: whether that person was found in that frame, (V, J, P) bool.
        min_cosine: another recogniser's bound in place of the paper's .5.
    """
    cosines = (embeddings[:, 1:] * embeddings[:, :-1]).sum(-1)
    both = found[:, 1:] & found[:, :-1]
    changed = (cosines < min_cosine) & both
    return changed.sum((1, 2)) <= MAX_ODD_SHARE * both.sum((1, 2))


def has_fitting_faces(area_shares: Tensor) -> Tensor:
    """Whether a face covers 4 to 90 % of its frame.

    Args:
        area_shares: of any shape.
    """
    low, high = FACE_AREA_SHARES
    return (area_shares >= low) & (area_shares <= high)


def choose_stored_faces(tracks: Tensor, num_tracks: int) -> Tensor:
    """The numbers of the faces to store, ascending: of every track five spread over its time, or all it has.

    Args:
        tracks: track of each found face; the faces of a track in order of time, (N,) int64.
    """
    count = torch.bincount(tracks, minlength=num_tracks)
    start = count.cumsum(0) - count
    order = tracks.argsort(stable=True)
    # The k-th of five lies in the middle of the k-th fifth; with fewer faces the fifths meet some twice.
    fifths = (torch.arange(FACES_PER_TRACK) + 0.5) / FACES_PER_TRACK
    place = (fifths * count[:, None]).long() + start[:, None]
    return order[place[count > 0].flatten()].unique()
