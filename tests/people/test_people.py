"""The synthetic people: deterministic, split by seed, truthful, the same in every batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from concat_id.people import (
    EXPRESSIONS,
    GARMENTS,
    HAIR_STYLES,
    MOTIONS,
    PLACES,
    SEED_RANGES,
    Scenes,
    render,
    sample_scenes,
    sample_takes,
    write_captions,
)
from concat_id.people.labels import (
    BACKGROUND,
    CLOTH,
    FACE_LABELS,
    HAIR,
    HAT,
    HEAD_LABELS,
    LEFT_EYE,
    MOUTH,
    NECK,
    RIGHT_EYE,
    SKIN,
)
from concat_id.people.outfit import COMBINATION_SHARES, combination_share
from concat_id.people.takes import ARRANGEMENTS
from concat_id.people.words import PLACES_IN_WORDS, WEARING_THE_GARMENT

SIZE = 64
LABELS = {BACKGROUND, SKIN, LEFT_EYE, RIGHT_EYE, MOUTH, HAIR, HAT, NECK, CLOTH}


def rows_of(scenes: Scenes, clip: int) -> Scenes:
    """One clip of a batch."""
    tensors = {name: value for name, value in vars(scenes).items() if isinstance(value, torch.Tensor)}
    structs = {name: getattr(scenes, name) for name in ("identity", "outfit", "performance")}
    index = slice(clip, clip + 1)
    return Scenes(
        num_frames=scenes.num_frames,
        content=scenes.content,
        **{name: value[index] for name, value in tensors.items()},
        **{name: value.rows(index) for name, value in structs.items()},
    )


@pytest.fixture(scope="module")
def portraits():
    """Frontal, still, neutral people without hats, and their rendering."""
    scenes = sample_scenes(5, 24, num_frames=1, expressions="neutral", motions="still", headwear="none")
    return scenes, render(scenes, 128, 128)


def test_same_seed_same_pictures():
    first, second = (render(sample_scenes(3, 3, num_frames=2), SIZE, SIZE) for _ in range(2))
    assert torch.equal(first.frames, second.frames)
    assert torch.equal(first.labels, second.labels)
    other = render(sample_scenes(4, 3, num_frames=2), SIZE, SIZE)
    assert not torch.equal(first.frames, other.frames)


def test_a_scene_does_not_depend_on_the_count():
    few, many = sample_scenes(3, 2, num_frames=2), sample_scenes(3, 5, num_frames=2)
    assert torch.equal(few.identity_seeds, many.identity_seeds[:2])
    assert torch.equal(few.performance.yaw, many.performance.yaw[:2])


@pytest.mark.parametrize("num_people", [1, 2])
def test_batching_does_not_change_pixels(num_people):
    scenes = sample_scenes(11, 10, num_frames=2, num_people=num_people)
    together = render(scenes, SIZE, SIZE)
    for clip in range(len(scenes)):
        alone = render(rows_of(scenes, clip), SIZE, SIZE)
        assert (together.frames[clip] - alone.frames[0]).abs().max() < 2e-3
        assert (together.labels[clip] != alone.labels[0]).float().mean() < 1e-3
        assert torch.allclose(together.landmarks[clip], alone.landmarks[0], atol=1e-3)


def test_splits_share_no_seed_and_no_garment():
    ranges = sorted(SEED_RANGES.values())
    assert all(end <= start for (_, end), (start, _) in zip(ranges, ranges[1:], strict=False))
    combinations = {}
    for split, low, high in COMBINATION_SHARES:
        scenes = sample_scenes(0, 300, split=split, num_frames=1)
        first, last = SEED_RANGES[split]
        for seeds in (scenes.identity_seeds, scenes.place_seed):
            assert seeds.min() >= first and seeds.max() < last
        outfit = scenes.outfit
        columns = (outfit.garment, outfit.pattern, outfit.color, outfit.second_color)
        share = combination_share(*columns)
        assert ((share >= low) & (share < high)).all()
        combinations[split] = {tuple(row) for row in torch.stack([c.flatten() for c in columns], 1).tolist()}
    assert not combinations["train"] & combinations["test"]
    assert not combinations["train"] & combinations["validation"]


def test_shapes_and_ranges():
    scenes = sample_scenes(1, 2, num_frames=3, num_people=2)
    rendering = render(scenes, 48, 80)
    assert rendering.frames.shape == (2, 3, 3, 48, 80)
    assert rendering.frames.dtype == torch.float32
    assert rendering.frames.min() >= 0 and rendering.frames.max() <= 1
    assert rendering.labels.shape == (2, 3, 48, 80) and rendering.labels.dtype == torch.uint8
    assert set(rendering.labels.unique().tolist()) <= LABELS
    for masks in (rendering.person_masks, rendering.garment_masks, rendering.face_masks):
        assert masks.shape == (2, 3, 2, 48, 80) and masks.dtype == torch.bool
    assert rendering.face_boxes.shape == (2, 3, 2, 4)
    assert rendering.landmarks.shape == (2, 3, 2, 5, 2)
    assert rendering.landmarks_visible.shape == (2, 3, 2, 5)


def test_landmarks_lie_in_the_box_and_on_their_parts(portraits):
    scenes, rendering = portraits
    points, boxes = rendering.landmarks[:, 0, 0], rendering.face_boxes[:, 0, 0]
    assert ((points >= boxes[:, None, :2]) & (points <= boxes[:, None, 2:])).all()
    left_eye, right_eye, nose, left_mouth, right_mouth = points.unbind(1)
    assert (left_eye[:, 0] < right_eye[:, 0]).all() and (left_mouth[:, 0] < right_mouth[:, 0]).all()
    assert (nose[:, 1] > left_eye[:, 1]).all() and (nose[:, 1] < left_mouth[:, 1]).all()
    for k, label in ((0, LEFT_EYE), (1, RIGHT_EYE)):
        x, y = points[:, k].long().unbind(1)
        seen = rendering.labels[torch.arange(len(scenes)), 0, y, x]
        assert (seen[rendering.landmarks_visible[:, 0, 0, k]] == label).float().mean() > 0.9
    assert rendering.landmarks_visible[:, 0, 0, :3].float().mean() > 0.9


def test_pixel_centres_lie_on_whole_numbers(portraits):
    scenes, rendering = portraits
    twice = render(scenes, 256, 256)
    for name in ("landmarks", "face_boxes"):
        # At twice the size pixel 0 becomes pixels 0 and 1, whose middle is 0.5.
        torch.testing.assert_close(2 * getattr(rendering, name) + 0.5, getattr(twice, name))
    off = []
    for k, label in ((0, LEFT_EYE), (1, RIGHT_EYE)):
        eye = (twice.labels[:, 0] == label).float()
        middle = (eye.sum(1) * torch.arange(256)).sum(1) / eye.sum((1, 2))
        off.append(twice.landmarks[:, 0, 0, k, 0] - middle)
    assert torch.stack(off).nanmean().abs() < 0.2


def test_the_face_fills_the_frame(portraits):
    _, rendering = portraits
    boxes = rendering.face_boxes[:, 0, 0]
    assert (boxes[:, 3] - boxes[:, 1]).mean() > 0.45 * 128


def test_hidden_landmarks_are_marked():
    scenes = sample_scenes(2, 6, num_frames=1, motions="still", headwear="none")
    profile = replace(scenes.performance, yaw=torch.full_like(scenes.performance.yaw, -1.4))
    visible = render(replace(scenes, performance=profile), SIZE, SIZE).landmarks_visible
    assert not visible[..., 0].any() and visible[..., 1].any()  # in left profile only the right eye is seen
    covered = render(sample_scenes(2, 6, num_frames=1, motions="still", headwear="sunglasses"), SIZE, SIZE)
    assert not covered.landmarks_visible[..., :2].any()


def test_masks_agree_with_labels():
    rendering = render(sample_scenes(8, 6, num_frames=2, num_people=2), SIZE, SIZE)
    labels, people = rendering.labels.unsqueeze(2), rendering.person_masks
    assert torch.equal(people.any(2), rendering.labels != BACKGROUND)
    assert not (people[:, :, 0] & people[:, :, 1]).any()
    assert torch.equal(rendering.garment_masks, people & (labels == CLOTH))
    head = torch.isin(labels, torch.tensor(HEAD_LABELS, dtype=torch.uint8))
    assert torch.equal(rendering.face_masks, people & head)
    assert set(FACE_LABELS) < set(HEAD_LABELS)


def test_an_identity_keeps_its_looks_in_other_outfits():
    seeds = torch.tensor([[123], [123], [456]])
    scenes = sample_scenes(9, 3, num_frames=1, identity_seeds=seeds)
    identity = scenes.identity
    assert torch.equal(identity.skin[0], identity.skin[1]) and torch.equal(
        identity.eye_x[0], identity.eye_x[1]
    )
    assert not torch.equal(identity.eye_x[0], identity.eye_x[2])
    assert len(vars(identity)) >= 25
    outfit = scenes.outfit
    assert (outfit.color[0], outfit.garment[0], outfit.pattern[0]) != (
        outfit.color[1],
        outfit.garment[1],
        outfit.pattern[1],
    )


@pytest.mark.parametrize("num_people", [1, 2, 3])
def test_people_stand_from_left_to_right(num_people):
    rendering = render(sample_scenes(6, 4, num_frames=2, num_people=num_people), SIZE, SIZE)
    x = rendering.landmarks[..., 2, 0]  # (B, T, P)
    assert x.shape[2] == num_people
    assert (x.diff(dim=2) > 0).all()
    assert rendering.person_masks.flatten(3).any(-1).all()


def test_names_can_be_forced():
    scenes = sample_scenes(
        0, 2, num_frames=2, expressions=["sad", "angry"], motions="waving", places="beach", garments="hoodie"
    )
    assert scenes.expression_names == [["sad"], ["angry"]]
    assert scenes.motion_names == [["waving"]] * 2
    assert scenes.place_names == ["beach"] * 2 and scenes.garment_names == [["hoodie"]] * 2
    with pytest.raises(ValueError, match="names wanted"):
        sample_scenes(0, 2, expressions="bored")
    with pytest.raises(ValueError, match="num_people"):
        sample_scenes(0, 2, num_people=4)


def test_parts_alone():
    scenes = sample_scenes(0, 3, num_frames=2)
    place, garment = render(scenes.without_people(), SIZE, SIZE), render(scenes.garments_only(), SIZE, SIZE)
    assert (place.labels == BACKGROUND).all() and place.person_masks.shape[2] == 0
    assert place.landmarks.shape == (3, 2, 0, 5, 2) and place.face_boxes.shape == (3, 2, 0, 4)
    assert set(garment.labels.unique().tolist()) <= {BACKGROUND, CLOTH}
    full = render(scenes, SIZE, SIZE)
    background = (full.labels == BACKGROUND).unsqueeze(2) & (place.labels == BACKGROUND).unsqueeze(2)
    assert ((full.frames - place.frames).abs() * background).mean() < 0.01


def test_every_kind_renders():
    assert (
        len(EXPRESSIONS) >= 9
        and len(MOTIONS) == 11
        and len(PLACES) == 12
        and len(GARMENTS) >= 6
        and len(HAIR_STYLES) >= 12
    )
    for names, what in (
        (EXPRESSIONS, "expressions"),
        (MOTIONS, "motions"),
        (PLACES, "places"),
        (GARMENTS, "garments"),
    ):
        scenes = sample_scenes(1, len(names), num_frames=2, **{what: list(names)})
        frames = render(scenes, SIZE, SIZE).frames
        assert frames.isfinite().all() and frames.flatten(1).std(1).min() > 0.05
    portrait = render(sample_scenes(1, 4, num_frames=1, camera="portrait"), SIZE, SIZE)
    assert (portrait.face_boxes[..., 3] - portrait.face_boxes[..., 1]).mean() > 0.5 * SIZE


def test_expressions_last_and_movements_run_the_same_way():
    scenes = sample_scenes(1, 40, expressions="surprised", motions="nodding")
    acts = scenes.performance
    assert torch.equal(acts.mouth_open, acts.mouth_open[:1, :1].expand_as(acts.mouth_open))
    assert torch.equal(acts.left_eye, acts.left_eye[:1, :1].expand_as(acts.left_eye))
    nod = acts.pitch - acts.pitch[:, :1]
    assert torch.allclose(nod, nod[:1].expand_as(nod), atol=1e-6)


@pytest.mark.parametrize("num_people", [1, 2, 3])
def test_captions_name_the_place(num_people):
    scenes = sample_scenes(2, 60, num_frames=1, num_people=num_people)
    captions = write_captions(scenes, 0)
    assert captions == write_captions(scenes, 0) != write_captions(scenes, 1)
    for caption, place in zip(captions, scenes.place_names, strict=True):
        assert any(words in caption for words in PLACES_IN_WORDS[place])
        assert len(caption.split()) < 40
    if num_people == 1:
        named = sum(
            any(g in c for g in ("shirt", "tee", "jacket", "hoodie", "dress", "neck")) for c in captions
        )
        assert 0.3 * len(captions) < named < 0.7 * len(captions)


def test_given_pictures_are_not_described():
    scenes = sample_scenes(2, 60, num_frames=1)
    places = [words for names in PLACES_IN_WORDS.values() for words in names]
    garments = ("shirt", "tee", "jacket", "hoodie", "dress ", "turtleneck")
    for caption in write_captions(scenes, 0, given=("garment",)):
        assert any(words in caption for words in WEARING_THE_GARMENT)
        assert not any(word in caption for word in garments)
        assert any(words in caption for words in places)
    for caption in write_captions(scenes, 0, given=("garment", "background")):
        assert any(words in caption for words in WEARING_THE_GARMENT)
        assert not any(words in caption for words in places)


def test_several_people_are_named_from_left_to_right():
    captions = write_captions(sample_scenes(2, 60, num_frames=1, num_people=3), 0)
    placed = [caption for caption in captions if "on the left" in caption and "on the right" in caption]
    assert 5 < len(placed) < 60
    for caption in placed:
        assert caption.index("on the left") < caption.index("in the middle") < caption.rindex("on the right")


def test_captions_of_one_person_are_those_of_earlier_runs():
    captions = write_captions(sample_scenes(3, 400, num_frames=1), 3)
    assert captions[:2] == [
        "a lady looking up at the sky and with a smile, wearing a teal hoodie, on a winter day",
        "somebody giving a wink and swaying, surrounded by trees",
    ]


@pytest.mark.parametrize("num_people", [1, 2])
def test_takes_show_the_same_people_otherwise(num_people):
    takes = sample_takes(3, 60, clips_per_person=3, num_people=num_people, num_frames=1)
    own = sample_scenes(3, 60, num_people=num_people, num_frames=1)
    seeds = takes.identity_seeds
    assert torch.equal(seeds[::3], own.identity_seeds[::3])
    groups = seeds.sort(1).values.view(20, 3, num_people)
    assert (groups == groups[:, :1]).all() and len(seeds.unique()) == 20 * num_people
    assert (seeds[0].flip(0) == seeds[1]).all()
    assert torch.equal(takes.identity.eye_x[0].sort().values, takes.identity.eye_x[1].sort().values)
    assert len(set(takes.place_names[:3])) > 1 and len({tuple(g) for g in takes.garment_names[:3]}) > 1
    with pytest.raises(ValueError, match="multiple"):
        sample_takes(3, 4, clips_per_person=3)


def test_hair_is_rearranged_within_reason_and_only_in_later_takes():
    takes = sample_takes(3, 300, clips_per_person=3, num_frames=1)
    hair, volume = (x[:, 0].view(-1, 3) for x in (takes.identity.hair, takes.identity.volume))
    own = sample_scenes(3, 300, num_frames=1).identity
    assert torch.equal(hair[:, 0], own.hair[::3, 0]) and torch.equal(volume[:, 0], own.volume[::3, 0])
    assert 0.05 < (hair[:, 1:] != hair[:, :1]).float().mean() < 0.3
    assert (volume[:, 1:] != volume[:, :1]).float().mean() > 0.9
    for first, *later in hair.tolist():
        family = next((f for f in ARRANGEMENTS if HAIR_STYLES[first] in f), (HAIR_STYLES[first],))
        assert all(HAIR_STYLES[style] in family for style in later)
