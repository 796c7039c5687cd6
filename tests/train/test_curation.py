"""The rules by which clips become training pairs, one by one, on arrays made by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from train.curation.bands import CROSS_VIDEO, CROSS_VIDEO_STRICT, TRADE_OFF, Band, carry_over
from train.curation.filters import (
    choose_stored_faces,
    has_fitting_faces,
    has_steady_face_count,
    keeps_its_faces,
)
from train.curation.mining import PAIR_KINDS, mine_pairs, store_faces, table_of_references
from train.curation.order import agrees_with_order, has_enough_references, order_people
from train.curation.pairs import (
    cross_video_candidates,
    cross_video_pairs,
    pre_training_pairs,
    tabulate,
    trade_off_pairs,
)


def towards(*cosines: float) -> Tensor:
    """Unit vectors in the plane with these cosines to the first axis, (N, 2)."""
    angles = torch.tensor([math.acos(cosine) for cosine in cosines])
    return torch.stack([angles.cos(), angles.sin()], 1)


def test_a_clip_whose_number_of_faces_changes_in_over_30_percent_of_the_frames_is_dropped() -> None:
    counts = torch.tensor([[1] * 10, [1] * 7 + [2] * 3, [1] * 6 + [0, 0, 2, 2], [2] * 7 + [1] * 3])
    assert has_steady_face_count(counts).tolist() == [True, True, False, True]


def test_a_clip_with_over_30_percent_of_consecutive_cosines_under_half_is_dropped() -> None:
    same, other = towards(1.0, 0.4)
    # Of ten pairs of frames, every stranger for one frame changes two.
    one, two = [same] * 11, [same] * 11
    one[5] = two[2] = two[7] = other
    embeddings = torch.stack([torch.stack(one), torch.stack(two)])[:, :, None]
    assert keeps_its_faces(embeddings, torch.ones(2, 11, 1, dtype=torch.bool)).tolist() == [True, False]
    just_over = towards(1.0, 0.51).repeat(6, 1)[None, :11, None]
    assert keeps_its_faces(just_over, torch.ones(1, 11, 1, dtype=torch.bool)).all()


def test_frames_without_the_face_are_not_compared() -> None:
    embeddings = towards(1.0, 0.0, 1.0)[None, :, None]
    found = torch.tensor([[[True], [False], [True]]])
    assert keeps_its_faces(embeddings, found).all()
    assert not keeps_its_faces(embeddings, torch.ones_like(found)).any()


def test_five_faces_are_stored_of_each_track_spread_over_its_time() -> None:
    tracks = torch.tensor([0] * 10 + [2] * 3 + [1] * 5)
    assert choose_stored_faces(tracks, 4).tolist() == [1, 3, 5, 7, 9, *range(10, 18)]


def test_stored_faces_are_named_by_clip_person_and_frame() -> None:
    usable = torch.zeros(2, 7, 2, dtype=torch.bool)
    usable[0, :, 1] = usable[1, 3, 0] = True
    stored = store_faces(usable).tolist()
    assert stored == [[0, 1, frame] for frame in (0, 2, 3, 4, 6)] + [[1, 0, 3]]


def test_a_fitting_face_covers_4_to_90_percent_of_the_frame() -> None:
    assert has_fitting_faces(torch.tensor([0.03, 0.04, 0.9, 0.91])).tolist() == [False, True, True, False]


def test_pre_training_pairs_stay_in_the_clip() -> None:
    assert pre_training_pairs(torch.tensor([0, 0, 1])).tolist() == [[0, 0], [0, 1], [1, 2]]


def test_cross_video_pairs_are_from_another_clip_of_the_same_group() -> None:
    # Tracks 0 and 1 are one clip; 2 and 3 another clip of the same people; 4 is somebody else's.
    found = cross_video_candidates(
        towards(1.0, 1.0, 1.0, 1.0, 1.0),
        torch.arange(5),
        clips=torch.tensor([0, 0, 1, 1, 2]),
        groups=torch.tensor([7, 8, 7, 8, 9]),
    )
    assert sorted(found.pairs.tolist()) == [[0, 2], [1, 3], [2, 0], [3, 1]]
    unknown = cross_video_candidates(
        towards(1.0, 1.0), torch.arange(2), clips=torch.tensor([0, 0]), groups=torch.tensor([0, 0])
    )
    assert unknown.pairs.shape == (0, 2)


def test_cross_video_pairs_are_the_nearest_inside_the_band() -> None:
    # Track 0 has one face; the others, one clip each, stand at these cosines to it.
    embeddings = towards(1.0, 0.95, 0.9, 0.8, 0.71, 0.69)
    candidates = cross_video_candidates(
        embeddings, torch.arange(6), clips=torch.arange(6), groups=torch.zeros(6, dtype=torch.long)
    )
    pairs = cross_video_pairs(candidates, Band(0.7, 0.91), neighbours=2)
    assert pairs[pairs[:, 0] == 0].tolist() == [[0, 2], [0, 3]]
    pairs = cross_video_pairs(candidates, Band(0.7, 0.91), neighbours=9)
    assert pairs[pairs[:, 0] == 0].tolist() == [[0, 2], [0, 3], [0, 4]]


def test_a_track_is_compared_by_the_mean_of_its_faces() -> None:
    embeddings = torch.cat([towards(1.0, 0.0), towards(math.cos(math.pi / 4))])
    candidates = cross_video_candidates(
        embeddings,
        torch.tensor([0, 0, 1]),
        clips=torch.tensor([0, 1]),
        groups=torch.tensor([0, 0]),
    )
    assert candidates.pairs[0].tolist() == [0, 2]
    assert candidates.cosines[0].item() == pytest.approx(1.0, abs=1e-6)


def test_trade_off_pairs_have_an_upper_bound_fitting_faces_and_quality() -> None:
    # Pairs of clips of four people; the last pair are copies of each other.
    embeddings = torch.cat([towards(1.0, 0.95)] * 3 + [towards(1.0, 1.0)])
    groups, clips = torch.arange(4).repeat_interleave(2), torch.arange(8)
    candidates = cross_video_candidates(embeddings, torch.arange(8), clips=clips, groups=groups)
    options = {
        "area_shares": torch.tensor([0.2] * 4 + [0.02, 0.2] + [0.2] * 2),
        "quality": {"motion": torch.arange(8.0), "aesthetics": 10 * torch.arange(8.0)},
        "neighbours": 5,
    }
    pairs = trade_off_pairs(candidates, Band(0.9, 0.99), count=8, **options)
    assert sorted(pairs.tolist()) == [[0, 1], [1, 0], [2, 3], [3, 2], [5, 4]]
    best = trade_off_pairs(candidates, Band(0.9, 0.99), count=2, **options)
    assert sorted(best.tolist()) == [[3, 2], [5, 4]]
    options["quality"] = {"motion": -torch.arange(8.0)}
    best = trade_off_pairs(candidates, Band(0.9, 0.99), count=2, **options)
    assert sorted(best.tolist()) == [[0, 1], [1, 0]]


def test_people_are_ordered_by_the_mean_position_of_their_faces() -> None:
    face_x = torch.tensor([[[0.9, 0.3, 0.5], [0.4, 0.3, 0.7]]])
    found = torch.ones(1, 2, 3, dtype=torch.bool)
    assert order_people(face_x, found).tolist() == [[1, 2, 0]]
    found[0, 0, 0] = False  # a face that was not found does not count
    assert order_people(face_x, found).tolist() == [[1, 0, 2]]


def test_references_that_contradict_the_order_are_discarded() -> None:
    # In the last frame the second and third person change places.
    face_x = torch.tensor([[[0.1, 0.5, 0.9], [0.1, 0.5, 0.9], [0.1, 0.7, 0.6]]])
    found = torch.ones(1, 3, 3, dtype=torch.bool)
    agrees = agrees_with_order(face_x, found)
    assert agrees[0].tolist() == [[True] * 3, [True] * 3, [True, False, False]]
    found[0, 2, 2] = False  # whoever is not in the frame contradicts nobody
    assert agrees_with_order(face_x, found)[0, 2].tolist() == [True, True, False]


def test_clips_of_three_are_kept_when_two_have_references_and_clips_of_two_when_both() -> None:
    assert has_enough_references(torch.tensor([[True, False, True], [False, False, True]])).tolist() == [
        True,
        False,
    ]
    assert has_enough_references(torch.tensor([[True, True], [False, True]])).tolist() == [True, False]
    assert has_enough_references(torch.tensor([[True], [False]])).tolist() == [True, False]


def test_clips_without_enough_references_are_left_out_of_the_table_whole() -> None:
    pairs = torch.tensor([[0, 10], [1, 11], [1, 12], [2, 13]])
    table = table_of_references(pairs, num_clips=2, num_people=2)
    assert table[0].tolist() == [[10, -1, -1, -1, -1], [11, 12, -1, -1, -1]]
    assert (table[1] == -1).all()


def test_pairs_are_tabulated_in_their_order() -> None:
    pairs = torch.tensor([[1, 5], [0, 4], [1, 3]])
    assert tabulate(pairs, 3, 2).tolist() == [[4, -1], [5, 3], [-1, -1]]


def test_bands_carry_over_by_rank_and_keep_their_order() -> None:
    cosines = torch.linspace(-1, 0, 1001)
    carried = carry_over(CROSS_VIDEO, cosines)
    assert carried.low == pytest.approx(-0.7) and carried.high == pytest.approx(-0.2)
    strict, trade_off = carry_over(CROSS_VIDEO_STRICT, cosines), carry_over(TRADE_OFF, cosines)
    assert carried.low < strict.low < trade_off.low == carried.high < strict.high < trade_off.high
    assert trade_off.high < cosines.max()
    with pytest.raises(ValueError, match="no rank"):
        carry_over(Band(0.5, 0.9), cosines)


def test_mining_finds_every_kind_and_only_pre_training_pairs_of_single_clips() -> None:
    generator = torch.Generator().manual_seed(0)
    groups, tracks = torch.arange(20).repeat_interleave(4), torch.arange(80).repeat_interleave(3)
    embeddings = torch.randn(20, 8, generator=generator)[groups[tracks]]
    embeddings = embeddings + 0.5 * torch.randn(240, 8, generator=generator)
    embeddings = torch.nn.functional.normalize(embeddings, dim=1)
    options = {"area_shares": torch.full((80,), 0.2), "quality": {"motion": torch.rand(80)}}
    pairs = mine_pairs(embeddings, tracks, clips=torch.arange(80), groups=groups, **options)
    assert tuple(pairs) == PAIR_KINDS
    for kind in PAIR_KINDS[1:]:
        track, face = pairs[kind].unbind(1)
        assert len(track) and (tracks[face] != track).all()
        assert torch.equal(groups[tracks[face]], groups[track])
    assert len(pairs["trade_off"][:, 0].unique()) <= 40

    def mean_cosine(kind: str) -> float:
        track, face = pairs[kind].unbind(1)
        means = torch.stack([embeddings[tracks == t].mean(0) for t in range(80)])
        return torch.nn.functional.cosine_similarity(means[track], embeddings[face]).mean().item()

    assert mean_cosine("cross_video") < mean_cosine("cross_video_strict") < mean_cosine("trade_off")
    alone = mine_pairs(embeddings, tracks, clips=torch.arange(80), groups=torch.arange(80), **options)
    assert len(alone["pre_training"]) == 240 and not any(len(alone[kind]) for kind in PAIR_KINDS[1:])
