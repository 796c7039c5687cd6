"""What the page draws about a video: true, complete, and nothing else."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
from PIL import Image
from studio import score_frames

from concat_id.generation import Preview
from concat_id.job import Job, Reference, Role, Settings
from concat_id.presets import Task
from concat_id.scoring import Scores
from concat_id.scoring.scorer import join_people
from concat_id.ui import sidebar, stage
from concat_id.ui.curve import draw_curve
from concat_id.ui.texts import sentence

JOB = Job("single", (Reference("face", "face.png"),), "waving", Settings(seed=7))


def job_of(task: Task, *roles: Role) -> Job:
    """A job with references of these roles."""
    return replace(JOB, task=task, references=tuple(Reference(role, "picture.png") for role in roles))


def preview_of(scores: Scores | None) -> Preview:
    """A preview after the third of ten steps."""
    return Preview(2, 10, 1.2, 3.4, np.zeros((5, 32, 48, 3), np.uint8), scores)


def values_in(panel: str) -> list[str]:
    """The cards' numbers."""
    return re.findall(r'class="cid-value">([^<]+)<', panel)


def test_an_idle_panel_shows_no_numbers() -> None:
    assert values_in(sidebar.draw_idle("single")) == ["&ndash;", "&ndash;"]


def test_a_preview_without_scores_shows_none_and_says_why() -> None:
    panel = sidebar.draw_preview(preview_of(None), JOB)
    assert values_in(panel) == ["&ndash;", "&ndash;"]
    assert sidebar.NOTHING_TO_COMPARE in panel and "step 3 of 10" in panel


def test_without_any_face_there_is_no_mean() -> None:
    panel = sidebar.draw_preview(preview_of(score_frames([None, None])), JOB)
    assert values_in(panel) == ["&ndash;", "&ndash;"]
    assert "No face found in frames 1, 2." in panel and "0 %" in panel


def test_scores_stand_beside_the_papers_figures() -> None:
    panel = sidebar.draw_preview(preview_of(score_frames([0.5, 0.7, None])), JOB)
    assert values_in(panel) == ["0.600", "0.400"]
    assert panel.count("real people, not comparable") == 2
    assert "67 %" in panel and "0.400" in panel


def test_the_worst_of_several_people_is_named() -> None:
    people = [score_frames([0.8, 0.6]), score_frames([0.9, None]), score_frames([None, None])]
    scores = replace(join_people(people), order_rate=0.5)
    panel = sidebar.draw_preview(preview_of(scores), job_of("multi", "face", "face", "face"))
    assert "Least alike: 3 right" in panel and "Frames in this order" in panel and "paper" not in panel
    rows = re.findall(r'<tr( data-worst)?><th scope="row">([^<]+)</th><td>([^<]+)</td>', panel)
    assert rows == [("", "1 left", "0.700"), ("", "2 middle", "0.900"), (" data-worst", "3 right", "&ndash;")]


def test_without_any_face_nobody_is_the_worst() -> None:
    scores = join_people([score_frames([None]), score_frames([None])])
    panel = sidebar.draw_preview(preview_of(scores), job_of("multi", "face", "face"))
    assert "Least alike" not in panel and "data-worst" not in panel and "in this order" not in panel
    assert values_in(panel) == ["&ndash;", "&ndash;"]


def test_garment_and_place_are_scored_without_a_face_too() -> None:
    scores = replace(score_frames([None]), garment=0.61)
    panel = sidebar.draw_preview(preview_of(scores), job_of("try-on", "face", "garment"))
    assert values_in(panel) == ["&ndash;", "&ndash;", "0.610"] and "paper" not in panel
    # A place that people hid in all frames has no score.
    panel = sidebar.draw_preview(preview_of(scores), job_of("try-on", "face", "garment", "background"))
    assert values_in(panel) == ["&ndash;", "&ndash;", "0.610", "&ndash;"]
    scores = replace(score_frames([0.5]), background=0.7)
    panel = sidebar.draw_preview(preview_of(scores), job_of("background", "face", "background"))
    assert values_in(panel) == ["0.500", "0.500", "0.700"]


def test_many_lost_faces_are_counted() -> None:
    panel = sidebar.draw_preview(preview_of(score_frames([0.5] + [None] * 9)), JOB)
    assert "No face found in 9 of 10 frames." in panel


def test_the_curve_breaks_where_a_face_is_lost() -> None:
    curve = draw_curve((0, 4, 8, 12, 16), (0.5, 0.6, None, 0.7, 0.8))
    assert curve.count("<polyline") == 2 and curve.count("<circle") == 4 and curve.count('class="lost"') == 1
    assert "Frame 9: no face found in this frame" in curve and "Frame 17: ArcSim 0.800" in curve


def test_the_curve_of_one_frame_stays_inside() -> None:
    assert "frame 1" in draw_curve((0,), (1.0,))


def test_a_preview_is_an_animation_that_plays_at_the_videos_rate() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (60, 400, 800, 3), dtype=np.uint8)
    address = stage.encode_animation(frames, fps=16)
    animation = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    assert animation.format == "WEBP" and max(animation.size) == stage.MAX_PREVIEW_SIDE_PX
    assert animation.n_frames == 20
    animation.seek(1)
    animation.load()
    assert animation.info["duration"] == round(1000 * 3 / 16)


def test_messages_become_sentences() -> None:
    assert sentence(ValueError("the prompt is empty; write one.")) == "The prompt is empty; write one."
