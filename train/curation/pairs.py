"""The three kinds of pairs of a clip's person and a reference picture (paper, figure 2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from train.curation.bands import Band
from train.curation.filters import has_fitting_faces


@dataclass(frozen=True)
class Candidates:
    """Possible pairs across clips: `pairs` (M, 2), each a track and a face, and their `cosines` (M,)."""

    pairs: Tensor
    cosines: Tensor


def pre_training_pairs(tracks: Tensor) -> Tensor:
    """Every track with each of its own faces, (M, 2).

    Args:
        tracks: of the faces, (N,) int64.
    """
    return torch.stack([tracks, torch.arange(len(tracks))], 1)


def cross_video_candidates(
    embeddings: Tensor, tracks: Tensor, *, clips: Tensor, groups: Tensor
) -> Candidates:
    """Every track with every face of another clip of its group, nearest first.

    The cosine is that of the face and the track's mean embedding. Within a group the comparison is dense.

    Args:
        embeddings: of the faces, unit length, (N, D).
        tracks: of the faces, (N,) int64.
        clips: of the tracks, (T,) int64.
        groups: of the tracks, (T,) int64; only tracks of one group may show one person: of one long video or
            one channel in real footage, of one identity in rendered clips.
    """
    means = mean_embeddings(embeddings, tracks, len(clips))
    found = []
    for group in groups.unique():
        own_tracks = (groups == group).nonzero()[:, 0]
        own_faces = (groups[tracks] == group).nonzero()[:, 0]
        cosines = means[own_tracks] @ embeddings[own_faces].T
        other_clip = clips[own_tracks][:, None] != clips[tracks[own_faces]]
        row, column = other_clip.nonzero(as_tuple=True)
        found.append((torch.stack([own_tracks[row], own_faces[column]], 1), cosines[row, column]))
    pairs, cosines = (torch.cat(parts) for parts in zip(*found, strict=True))
    order = cosines.argsort(descending=True, stable=True)
    return Candidates(pairs[order], cosines[order])


def cross_video_pairs(candidates: Candidates, band: Band, *, neighbours: int) -> Tensor:
    """Of every track the nearest faces inside the band, at most `neighbours`, nearest first, (M, 2)."""
    pairs = candidates.pairs[band.holds(candidates.cosines)]
    return pairs[place_in_track(pairs[:, 0]) < neighbours]


def trade_off_pairs(
    candidates: Candidates,
    band: Band,
    *,
    neighbours: int,
    area_shares: Tensor,
    quality: dict[str, Tensor],
    count: int,
) -> Tensor:
    """The cross-video pairs inside a high band of the `count` best tracks, (M, 2).

    A track is as good as its mean rank in the columns of quality: aesthetics, optical flow, motion, whatever
    is at hand; higher values are better.

    Args:
        area_shares: mean share of the frame that the face covers, by track, (T,).
        quality: by column's name, (T,) each.
    """
    pairs = cross_video_pairs(candidates, band, neighbours=neighbours)
    pairs = pairs[has_fitting_faces(area_shares)[pairs[:, 0]]]
    tracks = pairs[:, 0].unique()
    ranks = torch.stack([column[tracks].argsort().argsort().float() for column in quality.values()]).mean(0)
    best = tracks[ranks.argsort(descending=True, stable=True)[:count]]
    return pairs[torch.isin(pairs[:, 0], best)]


def mean_embeddings(embeddings: Tensor, tracks: Tensor, num_tracks: int) -> Tensor:
    """Unit mean embedding of every track, (T, D); zero for a track without faces.

    Args:
        embeddings: of the faces, (N, D).
        tracks: of the faces, (N,) int64.
    """
    total = embeddings.new_zeros(num_tracks, embeddings.shape[1]).index_add(0, tracks, embeddings)
    return F.normalize(total, dim=1)


def place_in_track(tracks: Tensor) -> Tensor:
    """For each row the number of earlier rows of the same track, (M,).

    Args:
        tracks: (M,) int64.
    """
    order = tracks.argsort(stable=True)
    ordered = tracks[order]
    start = torch.searchsorted(ordered, ordered)
    place = torch.empty_like(tracks)
    place[order] = torch.arange(len(tracks)) - start
    return place


def tabulate(pairs: Tensor, num_tracks: int, width: int) -> Tensor:
    """Each track's faces as a row, filled up with -1, (T, width) int64; there are at most `width` of each."""
    table = torch.full((num_tracks, width), -1)
    table[pairs[:, 0], place_in_track(pairs[:, 0])] = pairs[:, 1]
    return table
