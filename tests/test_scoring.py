"""Scores: the same person scores higher than another, missing faces are counted, sampling is as stated."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from toys import clip_of, landscape, portrait, two_people

from concat_id.errors import NoFaceFound
from concat_id.presets import load_face_tools
from concat_id.scoring import FrameScores, ReferenceFace, Scorer
from concat_id.scoring.arcface import arc_similarity
from concat_id.scoring.scorer import sample_frames, summarize


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return load_face_tools().scorer


@pytest.fixture(scope="module")
def reference(scorer: Scorer) -> ReferenceFace:
    return scorer.describe(portrait(5, identity_seed=5))


def test_the_same_person_scores_higher_than_another(scorer: Scorer, reference: ReferenceFace) -> None:
    same = scorer.score(reference, clip_of(50, identity_seed=5))
    other = scorer.score(reference, clip_of(50, identity_seed=9))
    assert same.arcsim > other.arcsim + 0.1
    assert same.face_rate == other.face_rate == 1


def test_a_picture_scores_high_against_itself_at_the_videos_size(
    scorer: Scorer, reference: ReferenceFace
) -> None:
    frames = np.asarray(portrait(5, identity_seed=5).resize((128, 128)))[None]
    itself, another_moment = (
        scorer.score(reference, frames),
        scorer.score(reference, clip_of(50, identity_seed=5)),
    )
    assert itself.arcsim > max(0.6, another_moment.arcsim)
    assert itself.clipdist < 0.1 < another_moment.clipdist


def test_frames_without_a_face_are_counted_not_hidden(scorer: Scorer, reference: ReferenceFace) -> None:
    frames = clip_of(50, identity_seed=5, num_frames=4).copy()
    frames[1:3] = np.asarray(landscape(128))
    scores = scorer.score(reference, frames)
    assert scores.face_rate == 0.5
    assert scores.strict_arcsim == pytest.approx(scores.arcsim / 2)
    assert [value is None for value in scores.frames.arcsim] == [False, True, True, False]
    assert [value is None for value in scores.frames.clipdist] == [False, True, True, False]


def test_without_any_face_the_scores_say_so(scorer: Scorer, reference: ReferenceFace) -> None:
    scores = scorer.score(reference, np.asarray(landscape(128))[None])
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
    scores = scorer.score(reference, clip_of(50, identity_seed=5, num_frames=9), sampling=3)
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
    assert scorer.score(reference, np.asarray(frame)[None]).face_rate == 1
