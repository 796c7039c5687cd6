"""From the faces found in clips to a table of references for each kind of pairs."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from train.curation.bands import CROSS_VIDEO, CROSS_VIDEO_STRICT, TRADE_OFF, carry_over
from train.curation.filters import FACES_PER_TRACK, choose_stored_faces
from train.curation.order import has_enough_references
from train.curation.pairs import (
    cross_video_candidates,
    cross_video_pairs,
    pre_training_pairs,
    tabulate,
    trade_off_pairs,
)

PairKind = Literal["pre_training", "cross_video", "cross_video_strict", "trade_off"]
PAIR_KINDS: tuple[PairKind, ...] = get_args(PairKind)

# References from other clips that a track keeps; one is drawn in every step.
NEIGHBOURS = 5
# Of the tracks: the best ones by quality make trade-off pairs (the paper: the best 50,000).
TRADE_OFF_SHARE = 0.5


def store_faces(usable: Tensor) -> Tensor:
    """Which of the usable faces are stored: rows (clip, person, frame), by clip and person, (N, 3) int64.

    Args:
        usable: (V, J, P) bool.
    """
    places = usable.transpose(1, 2).nonzero()
    num_clips, _, num_people = usable.shape
    tracks = places[:, 0] * num_people + places[:, 1]
    return places[choose_stored_faces(tracks, num_clips * num_people)]


def mine_pairs(
    embeddings: Tensor,
    tracks: Tensor,
    *,
    clips: Tensor,
    groups: Tensor,
    area_shares: Tensor,
    quality: dict[str, Tensor],
) -> dict[PairKind, Tensor]:
    """Pairs (M, 2) of every kind; the paper's bands are carried over to the cosines at hand.

    Args:
        embeddings, tracks: of the faces, (N, D) and (N,).
        clips, groups, area_shares: of the tracks, (T,); see `pairs`.
        quality: columns (T,) by name.
    """
    candidates = cross_video_candidates(embeddings, tracks, clips=clips, groups=groups)
    pairs: dict[PairKind, Tensor] = {"pre_training": pre_training_pairs(tracks)}
    if not len(candidates.pairs):
        return pairs | dict.fromkeys(PAIR_KINDS[1:], candidates.pairs)
    for kind, band in (("cross_video", CROSS_VIDEO), ("cross_video_strict", CROSS_VIDEO_STRICT)):
        carried = carry_over(band, candidates.cosines)
        pairs[kind] = cross_video_pairs(candidates, carried, neighbours=NEIGHBOURS)
    pairs["trade_off"] = trade_off_pairs(
        candidates,
        carry_over(TRADE_OFF, candidates.cosines),
        neighbours=NEIGHBOURS,
        area_shares=area_shares,
        quality=quality,
        count=int(TRADE_OFF_SHARE * len(clips)),
    )
    return pairs


def table_of_references(pairs: Tensor, num_clips: int, num_people: int) -> Tensor:
    """Faces by clip and person, (V, P, K) int64, -1 where there is none.

    Clips with too few people that have a reference are left out whole.
    """
    width = max(NEIGHBOURS, FACES_PER_TRACK)
    table = tabulate(pairs, num_clips * num_people, width).view(num_clips, num_people, width)
    kept = has_enough_references((table >= 0).any(2))
    return torch.where(kept[:, None, None], table, -1)
