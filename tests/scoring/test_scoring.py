"""Scores: the same person scores higher than another, missing faces are counted, sampling is as stated."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from toys import Labels, clip_of, garment, landscape, portrait, two_people

from concat_id.errors import NoFaceFound
from concat_id.loading.load import load_curricular, load_face_tools, load_video_text
from concat_id.references.faces import Face
from concat_id.references.garments import cut_garment
from concat_id.scoring import FrameScores, ReferenceFace, Scorer, Scores, Target
from concat_id.scoring.arcface import arc_similarity
from concat_id.scoring.copying import copies_reference
from concat_id.scoring.scorer import (
    assign_faces,
    join_people,
    measure_order,
    sample_frames,
    summarize,
)
from concat_id.scoring.surroundings import compare_garments, compare_places
from concat_id.scoring.target import add_cursim

UPPER_CLOTHES, FACE = 4, 11


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return load_face_tools().scorer


@pytest.fixture(scope="module")
def reference(scorer: Scorer) -> ReferenceFace:
    return scorer.describe(portrait(5, identity_seed=5))


def score(scorer: Scorer, references: Sequence[ReferenceFace], frames: np.ndarray, **sampling: int) -> Scores:
    """Scores of frames by the faces alone."""
    return Target(scorer, tuple(references)).score(frames, **sampling)


def test_the_same_person_scores_higher_than_another(scorer: Scorer, reference: ReferenceFace) -> None:
    same = score(scorer, [reference], clip_of(50, identity_seed=5))
    other = score(scorer, [reference], clip_of(50, identity_seed=9))
    assert same.arcsim > other.arcsim + 0.1
    assert same.face_rate == other.face_rate == 1


def test_a_picture_scores_high_against_itself_at_the_videos_size(
    scorer: Scorer, reference: ReferenceFace
) -> None:
    frames = np.asarray(portrait(5, identity_seed=5).resize((128, 128)))[None]
    itself, another_moment = (
        score(scorer, [reference], frames),
        score(scorer, [reference], clip_of(50, identity_seed=5)),
    )
    assert itself.arcsim > max(0.6, another_moment.arcsim)
    assert itself.clipdist < 0.1 < another_moment.clipdist


def test_frames_without_a_face_are_counted_not_hidden(scorer: Scorer, reference: ReferenceFace) -> None:
    frames = clip_of(50, identity_seed=5, num_frames=4).copy()
    frames[1:3] = np.asarray(landscape(128))
    scores = score(scorer, [reference], frames)
    assert scores.face_rate == 0.5
    assert scores.strict_arcsim == pytest.approx(scores.arcsim / 2)
    assert [value is None for value in scores.frames.arcsim] == [False, True, True, False]
    assert [value is None for value in scores.frames.clipdist] == [False, True, True, False]


def test_without_any_face_the_scores_say_so(scorer: Scorer, reference: ReferenceFace) -> None:
    scores = score(scorer, [reference], np.asarray(landscape(128))[None])
    assert (scores.arcsim, scores.clipdist, scores.face_rate, scores.strict_arcsim) == (0, None, 0, 0)
    assert json.loads(json.dumps(scores.to_dict()))["frames"]["arcsim"] == [None]


def test_the_chosen_face_of_the_reference_is_compared(scorer: Scorer) -> None:
    picture = two_people(0)
    first, second = load_face_tools().finder.find(picture)
    assert np.allclose(scorer.describe(picture).arcface, first.embedding)
    assert np.allclose(scorer.describe(picture, second).arcface, second.embedding)


def test_a_face_is_recognised_by_its_place(scorer: Scorer) -> None:
    picture = two_people(0)
    first, second = scorer.finder.find(picture)
    moved = replace(second, box=second.box + 4, embedding=first.embedding)
    assert np.array_equal(scorer.find_again(picture, moved).embedding, second.embedding)
    assert scorer.find_again(picture, replace(second, box=second.box + 5000)) is None


def test_a_reference_without_a_face_cannot_be_compared(scorer: Scorer) -> None:
    with pytest.raises(NoFaceFound, match="no face was found in the reference"):
        scorer.describe(landscape())


def test_previews_look_at_few_frames(scorer: Scorer, reference: ReferenceFace) -> None:
    scores = score(scorer, [reference], clip_of(50, identity_seed=5, num_frames=9), sampling=3)
    assert scores.frames.indices == (0, 4, 8)


def test_clip_embeddings_are_unit_vectors(reference: ReferenceFace) -> None:
    embeddings = load_face_tools().clip.embed([portrait(3), portrait(4).resize((64, 90))])
    assert embeddings.shape[0] == 2
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx(1, abs=1e-5)


def test_similarity_is_clamped_at_zero() -> None:
    axis = np.array([1.0, 0.0], np.float32)
    assert arc_similarity(axis, -axis) == 0
    assert arc_similarity(axis, axis) == 1


def test_sampling_of_frames() -> None:
    assert sample_frames(81, "consisid-16") == np.linspace(0, 80, 16, dtype=int).tolist()
    assert sample_frames(81, "auto") == sample_frames(81, "consisid-16")
    assert sample_frames(17, "auto") == sample_frames(17, "all") == list(range(17))
    assert sample_frames(81, "all") == list(range(81))
    assert sample_frames(17, 5) == [0, 4, 8, 12, 16]
    assert sample_frames(3, "consisid-16") == [0, 1, 2]
    assert sample_frames(1, 5) == [0]


def test_summaries_by_hand() -> None:
    scores = summarize(FrameScores((0, 1, 2, 3), (0.2, None, 0.6, 0.4), (0.5, None, 0.1, 0.3)))
    assert scores.arcsim == pytest.approx(0.4)
    assert scores.clipdist == pytest.approx(0.3)
    assert scores.face_rate == 0.75
    assert scores.strict_arcsim == pytest.approx(0.3)


def test_pictures_and_frames_of_other_sizes_are_scored(scorer: Scorer, reference: ReferenceFace) -> None:
    frame = Image.fromarray(clip_of(50, identity_seed=5, num_frames=1)[0]).resize((320, 192))
    assert score(scorer, [reference], np.asarray(frame)[None]).face_rate == 1


def face_at(left: float, embedding: np.ndarray) -> Face:
    """A face of 10 px."""
    box = np.array([left, 0, left + 10, 10], np.float32)
    return Face(box=box, landmarks=np.zeros((5, 2), np.float32), embedding=embedding, score=1.0)


def person(*values: float) -> ReferenceFace:
    """A reference with this embedding."""
    return ReferenceFace(arcface=np.array(values, np.float32), clip=np.ones(1, np.float32))


def test_faces_are_assigned_for_the_best_total_not_one_by_one() -> None:
    first, second = person(1.0, 0.0), person(0.8, 0.6)
    face, other = face_at(0, np.array([1.0, 0.0])), face_at(50, np.array([0.8, -0.6]))
    # Both references are most like `face`: 1 + .28 is less than .8 + .8.
    assert assign_faces([first, second], [face, other]) == [other, face]
    assert assign_faces([second, first], [other, face]) == [face, other]


def test_no_face_serves_two_references() -> None:
    first, second = person(1.0, 0.0), person(0.0, 1.0)
    face = face_at(0, np.array([0.6, 0.8]))
    assert assign_faces([first, second], [face]) == [None, face]
    assert assign_faces([first, second], []) == [None, None]
    bystander = face_at(90, np.array([-1.0, 0.0]))
    assert assign_faces([second], [bystander, face]) == [face]


def test_order_is_measured_where_several_people_are_seen() -> None:
    left, middle, right = (face_at(x, np.ones(1)) for x in (0, 40, 80))
    assert measure_order([[left, right], [right, left], [left, None], [None, None]]) == 0.5
    assert measure_order([[left, middle, right], [left, right, middle], [None, middle, right]]) == (
        pytest.approx(2 / 3)
    )
    assert measure_order([[left, None], [None, None]]) is None


def test_people_together_are_summed_up_by_hand() -> None:
    first = summarize(FrameScores((0, 1), (0.8, 0.6), (0.2, 0.4)))
    second = summarize(FrameScores((0, 1), (0.9, None), (0.1, None)))
    together = join_people([first, second])
    assert together.arcsim == pytest.approx((0.7 + 0.9) / 2) and together.face_rate == 0.75
    assert together.frames.arcsim == (pytest.approx(0.85), 0.6)
    assert together.strict_arcsim == pytest.approx((0.7 + 0.45) / 2)
    assert together.people == (first, second) and together.worst == 1


@pytest.fixture(scope="module")
def pair() -> tuple[list[ReferenceFace], np.ndarray]:
    """The references of two people from left to right, and a clip in which they stand so."""
    picture = two_people(0, 512)
    scorer = load_face_tools().scorer
    faces = sorted(scorer.finder.find(picture), key=lambda face: face.box[0])
    clip = np.stack([np.asarray(picture.resize((128, 128)))] * 3)
    return [scorer.describe(picture, face) for face in faces], clip


def test_each_person_is_compared_with_their_own_reference(
    scorer: Scorer, pair: tuple[list[ReferenceFace], np.ndarray]
) -> None:
    references, clip = pair
    scores = score(scorer, references, clip)
    assert [one.arcsim > 0.5 for one in scores.people] == [True, True]
    assert scores.order_rate == 1 and scores.face_rate == 1
    stranger = scorer.describe(portrait(5, identity_seed=5))
    mixed = score(scorer, [references[0], stranger], clip)
    assert mixed.worst == 1 and mixed.people[1].arcsim < scores.people[1].arcsim - 0.2
    assert mixed.people[0].arcsim == scores.people[0].arcsim


def test_swapped_references_score_as_well_but_stand_the_wrong_way_round(
    scorer: Scorer, pair: tuple[list[ReferenceFace], np.ndarray]
) -> None:
    references, clip = pair
    scores, swapped = score(scorer, references, clip), score(scorer, references[::-1], clip)
    assert swapped.order_rate == 0
    assert swapped.people == scores.people[::-1]


def test_a_person_who_is_missing_is_found_missing(
    scorer: Scorer, pair: tuple[list[ReferenceFace], np.ndarray]
) -> None:
    references, clip = pair
    alone = clip.copy()
    alone[1:, :, 64:] = np.asarray(landscape(128))[:, 64:]
    scores = score(scorer, references, alone)
    assert scores.people[1].face_rate < scores.people[0].face_rate == 1
    assert scores.order_rate == 1  # of the one frame with both


def test_one_person_s_scores_have_the_keys_they_always_had(scorer: Scorer, reference: ReferenceFace) -> None:
    scores = score(scorer, [reference], clip_of(50, identity_seed=5))
    assert list(scores.to_dict()) == ["arcsim", "clipdist", "face_rate", "strict_arcsim", "frames"]


def test_what_is_only_for_other_jobs_has_keys_of_its_own(
    scorer: Scorer, pair: tuple[list[ReferenceFace], np.ndarray]
) -> None:
    references, clip = pair
    data = json.loads(json.dumps(Target(scorer, tuple(references)).score(clip).to_dict()))
    assert set(data) - {"arcsim", "clipdist", "face_rate", "strict_arcsim", "frames"} == {
        "people",
        "worst",
        "order_rate",
    }
    assert list(data["people"][0]) == ["arcsim", "clipdist", "face_rate", "strict_arcsim", "frames"]


def test_a_finished_video_is_judged_by_two_more(scorer: Scorer) -> None:
    """By the second recogniser too, the same person is more alike; what is said of the prompt is a cosine."""
    curricular, video_text = load_curricular(), load_video_text()
    face = scorer.describe(portrait(5, identity_seed=5), curricular=curricular)
    target = Target(scorer, (face,), curricular=curricular, video_text=video_text)
    frames = {identity: clip_of(50, identity_seed=identity) for identity in (5, 9)}
    same, other = (target.score_finished(clip, "a person in the snow") for clip in frames.values())
    assert same.cursim > other.cursim + 0.1 and -1 <= same.viclip <= 1
    assert same.viclip == pytest.approx(video_text.score(frames[5], "a person in the snow"))
    plain = target.score(frames[5])
    assert (plain.cursim, plain.viclip) == (None, None) and replace(same, cursim=None, viclip=None) == plain
    assert set(same.to_dict()) - set(plain.to_dict()) == {"cursim", "viclip"}


def test_each_of_several_people_has_a_likeness_by_the_second_recogniser() -> None:
    people = [summarize(FrameScores((0,), (0.8,), (0.2,))), summarize(FrameScores((0,), (None,), (None,)))]
    scores = add_cursim(join_people(people), [0.6, 0.0])
    assert [person.cursim for person in scores.people] == [0.6, 0.0] and scores.cursim == 0.3


def test_a_still_of_the_reference_copies_it_and_another_moment_does_not(
    scorer: Scorer, reference: ReferenceFace
) -> None:
    still = np.asarray(portrait(5, identity_seed=5).resize((128, 128)))[None]
    assert copies_reference(score(scorer, [reference], still))
    assert not copies_reference(score(scorer, [reference], clip_of(50, identity_seed=5)))
    assert not copies_reference(score(scorer, [reference], np.asarray(landscape(128))[None]))


def halves(label: int) -> Labels:
    """A parser that finds a label in the left half of everything."""
    labels = np.zeros((64, 64), np.uint8)
    labels[:, :32] = label
    return Labels(labels)


def test_the_same_garment_is_more_alike_than_another(scorer: Scorer) -> None:
    worn = [np.asarray(garment(seed, 128)) for seed in (3, 4)]
    references = [cut_garment(Image.fromarray(frame), halves(UPPER_CLOTHES)) for frame in worn]

    def compare(*frames: np.ndarray) -> list[float]:
        return compare_garments(references, np.stack(frames), halves(UPPER_CLOTHES), scorer.clip)

    same, other = compare(worn[0])
    assert same == pytest.approx(1, abs=1e-4) and other < same
    assert compare(worn[1]) == pytest.approx([other, same], abs=1e-4)
    assert compare(*worn) == pytest.approx([(same + other) / 2] * 2, abs=1e-4)


def test_a_frame_without_clothing_counts_as_nothing(scorer: Scorer) -> None:
    frames = np.asarray(garment(3, 128))[None]
    assert compare_garments([garment(3)], frames, halves(0), scorer.clip) == [0]


def test_people_do_not_matter_for_the_likeness_of_a_place(scorer: Scorer) -> None:
    place, other = landscape(128), Image.new("RGB", (128, 128), (200, 40, 40))
    frame = np.asarray(place).copy()
    frame[:, :60] = np.random.default_rng(0).integers(0, 256, (128, 60, 3))
    same, different = compare_places([place, other], frame[None], halves(FACE), scorer.clip)
    assert same > 0.98 and different < same
    assert compare_places([place], frame[None], halves(0), scorer.clip)[0] < same


def test_a_place_that_nobody_sees_has_no_likeness(scorer: Scorer) -> None:
    full = Labels(np.full((64, 64), FACE, np.uint8))
    frames = np.asarray(landscape(128))[None]
    assert compare_places([landscape()], frames, full, scorer.clip) is None
