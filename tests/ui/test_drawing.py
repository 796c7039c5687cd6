"""What the page draws about a video: true, complete, and nothing else."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from studio import score_frames

from concat_id.generation import Preview, Result
from concat_id.job import Job
from concat_id.loading.load import Loading
from concat_id.loading.presets import PRESETS, Task
from concat_id.loading.weights import Fetching
from concat_id.references.reference import Reference, Role
from concat_id.scoring import FrameScores, Scores
from concat_id.scoring.scorer import join_people, summarize
from concat_id.serve.messages import Waiting
from concat_id.settings import Settings
from concat_id.studio.runs import Run
from concat_id.ui import models
from concat_id.ui.compare import drawing
from concat_id.ui.forms.form import note_unknown_words
from concat_id.ui.panel import preview_area as preview_area
from concat_id.ui.panel import sidebar
from concat_id.ui.panel.curve import draw_curve
from concat_id.ui.texts import COPIED, sentence

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
    assert values_in(sidebar.draw_idle("single", "embedded")) == ["&ndash;"] * 4


def test_a_preview_without_scores_shows_none_and_says_why() -> None:
    panel = sidebar.draw_preview(preview_of(None), JOB)
    assert values_in(panel) == ["&ndash;"] * 4
    assert sidebar.NOTHING_TO_COMPARE in panel and "step 3 of 10" in panel


def test_without_any_face_there_is_no_mean() -> None:
    panel = sidebar.draw_preview(preview_of(score_frames([None, None])), JOB)
    assert values_in(panel) == ["&ndash;"] * 4
    assert "No face found in frames 1, 2." in panel and "0 %" in panel


def test_scores_stand_beside_the_papers_figures() -> None:
    panel = sidebar.draw_preview(preview_of(score_frames([0.5, 0.7, None])), JOB)
    assert values_in(panel) == ["0.600", "0.400", "&ndash;", "&ndash;"]  # the others wait for the end
    assert re.findall(r"paper ([^<]+)<", panel) == ["0.442", "0.325", "0.466", "0.242"]
    assert "drawn ones have scales of their own" in panel
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
    assert values_in(panel) == ["&ndash;"] * 4


def test_garment_and_place_are_scored_without_a_face_too() -> None:
    scores = replace(score_frames([None]), garment=0.61)
    panel = sidebar.draw_preview(preview_of(scores), job_of("try-on", "face", "garment"))
    assert values_in(panel) == ["&ndash;"] * 4 + ["0.610"] and "paper" not in panel
    # A place that people hid in all frames has no score.
    panel = sidebar.draw_preview(preview_of(scores), job_of("try-on", "face", "garment", "background"))
    assert values_in(panel) == ["&ndash;"] * 4 + ["0.610", "&ndash;"]
    scores = replace(score_frames([0.5]), background=0.7)
    panel = sidebar.draw_preview(preview_of(scores), job_of("background", "face", "background"))
    assert values_in(panel) == ["0.500", "0.500", "&ndash;", "&ndash;", "0.700"]


def test_many_lost_faces_are_counted() -> None:
    panel = sidebar.draw_preview(preview_of(score_frames([0.5] + [None] * 9)), JOB)
    assert "No face found in 9 of 10 frames." in panel


def test_the_curve_breaks_where_a_face_is_lost() -> None:
    curve = draw_curve((0, 4, 8, 12, 16), (0.5, 0.6, None, 0.7, 0.8))
    assert curve.count("<polyline") == 2 and curve.count("<circle") == 4 and curve.count('class="lost"') == 1
    readings = re.findall(r">(Frame \d+)</text><text[^>]*>([^<]+)<", curve)
    assert readings[2:] == [
        ("Frame 9", "no face found"),
        ("Frame 13", "ArcSim 0.700"),
        ("Frame 17", "ArcSim 0.800"),
    ]


def test_tab_stops_once_at_the_curve_and_every_frame_has_a_name() -> None:
    curve = draw_curve((0, 4, 8), (0.5, None, 0.7))
    frames = re.findall(r'<g class="frame" tabindex="([-0-9]+)" role="img" aria-label="([^"]+)"', curve)
    assert frames == [
        ("0", "Frame 1: ArcSim 0.500"),
        ("-1", "Frame 5: no face found"),
        ("-1", "Frame 9: ArcSim 0.700"),
    ]


def faces_in(drawing: str) -> list[Image.Image]:
    """The thumbnails in a drawing."""
    addresses = re.findall(r'<image href="data:image/webp;base64,([^"]+)"', drawing)
    return [Image.open(io.BytesIO(base64.b64decode(address))) for address in addresses]


def test_a_frame_shows_the_face_that_was_compared() -> None:
    """The box's middle is red in the first frame and blue in the last; between them there is no face."""
    frames = np.zeros((3, 64, 64, 3), np.uint8)
    frames[0, :20, :20, 0] = frames[2, :20, :20, 2] = 255
    box = (0, 0, 20, 20)
    scored = FrameScores((0, 1, 2), (0.5, None, 0.7), (0.4, None, 0.3), (box, None, box))
    panel = sidebar.draw_preview(replace(preview_of(summarize(scored)), frames=frames), JOB)
    first, last = (np.asarray(face.convert("RGB")).astype(int) for face in faces_in(panel))
    middle = first.shape[0] // 2
    assert first[middle, middle, 0] > 200 > 60 > first[middle, middle, 2]
    assert last[middle, middle, 2] > 200 > 60 > last[middle, middle, 0]


def test_of_several_people_each_face_is_shown() -> None:
    boxes = ((0, 0, 20, 20), (0, 0, 20, 20))
    people = [
        summarize(FrameScores((0, 1), (0.5, 0.6), (0.4, 0.4), boxes)),
        summarize(FrameScores((0, 1), (None, 0.6), (None, 0.4), (None, boxes[0]))),
    ]
    panel = sidebar.draw_preview(preview_of(join_people(people)), job_of("multi", "face", "face"))
    assert len(faces_in(panel)) == 3


def test_scores_of_older_versions_have_no_faces_to_show() -> None:
    scores = summarize(FrameScores((0, 1), (0.5, 0.6), (0.4, 0.4)))
    panel = sidebar.draw_preview(preview_of(scores), JOB)
    assert faces_in(panel) == [] and "ArcSim 0.600" in panel


def result_of(scores: Scores, preset: str = "embedded") -> tuple[Result, np.ndarray]:
    """A finished run, and its frames."""
    frames = np.zeros((len(scores.frames.indices), 32, 48, 3), np.uint8)
    job = replace(JOB, preset=preset)
    return Result(Path("v.mp4"), Path("v.json"), job, scores, seconds=2.0, frames=frames), frames


def test_a_finished_video_has_cards_for_what_was_computed_of_it_alone() -> None:
    scores = replace(score_frames([0.5]), cursim=0.6, viclip=0.0)
    assert values_in(sidebar.draw_result(*result_of(scores))) == ["0.500", "0.500", "0.600", "0.000"]
    # Of an older run.
    panel = sidebar.draw_result(*result_of(score_frames([0.5])))
    assert values_in(panel) == ["0.500", "0.500"] and "hf download" not in panel


def test_judges_that_are_missing_have_no_card_but_a_way_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidebar, "find", lambda source: None)
    for panel in (
        sidebar.draw_idle("single", "wan-1.3b-adaln"),
        sidebar.draw_result(*result_of(score_frames([0.5]), "wan-1.3b-adaln")),
    ):
        assert len(values_in(panel)) == 2 and "cursim" not in panel
        assert "hf download OpenGVLab/ViCLIP ViClip-InternVid-10M-FLT.pth" in panel
        assert "BestWishYsh/ConsisID-preview face_encoder/glint360k" in panel


def test_a_copied_reference_is_pointed_out() -> None:
    literal = summarize(FrameScores((0, 1), (0.95, 0.9), (0.02, 0.04)))
    assert COPIED in sidebar.draw_result(*result_of(literal))
    moved = summarize(FrameScores((0, 1), (0.95, 0.9), (0.3, 0.4)))
    assert COPIED not in sidebar.draw_result(*result_of(moved))
    assert COPIED not in sidebar.draw_result(*result_of(score_frames([None])))


def test_the_curve_of_an_unknown_model_s_run_is_drawn() -> None:
    panel = sidebar.draw_result(*result_of(score_frames([0.5]), "of-tomorrow"))
    assert values_in(panel) == ["0.500", "0.500"]


def test_a_comparison_has_rows_for_what_some_run_has() -> None:
    with_garment = Run(Path("a.mp4"), {"scores": replace(score_frames([None]), garment=0.6).to_dict()}, JOB)
    without = Run(Path("b.mp4"), {"scores": score_frames([0.5]).to_dict()}, JOB)
    table = drawing.draw_scores([with_garment, without], ["a", "b"])
    rows = re.findall(r'<th scope="row">([^<]+)</th><td>([^<]+)</td><td>([^<]+)</td>', table)
    assert rows == [
        ("ArcSim", "&ndash;", "0.500"),
        ("CLIPDist", "&ndash;", "0.500"),
        ("Garment", "0.600", "&ndash;"),
        ("Frames with a face", "0.00", "1.00"),
    ]


def test_the_curve_of_one_frame_stays_inside() -> None:
    assert "frame 1" in draw_curve((0,), (1.0,))


def test_a_preview_is_an_animation_that_plays_at_the_videos_rate() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (60, 400, 800, 3), dtype=np.uint8)
    address = preview_area.encode_animation(frames, fps=16)
    animation = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    assert animation.format == "WEBP" and max(animation.size) == preview_area.MAX_PREVIEW_SIDE_PX
    assert animation.n_frames == 20
    animation.seek(1)
    animation.load()
    assert animation.info["duration"] == round(1000 * 3 / 16)


def test_what_a_run_waits_for_is_drawn_as_far_as_it_is_known() -> None:
    drawing = preview_area.draw_progress(Fetching("some/<things>", 2, 14, 12_080_000_000, 32_000_000_000))
    assert "Fetching some/&lt;things&gt;, file 3 of 14<" in drawing and ">12.1 of 32 GB<" in drawing
    assert 'aria-valuenow="38"' in drawing
    assert ">0 of 120 MB<" in preview_area.draw_progress(Fetching("some/things", 0, 1, 0, 120_000_000))
    drawing = preview_area.draw_progress(Fetching("buffalo_l", 1, 2, 0, 0))
    assert 'aria-valuenow="50"' in drawing and " of 0" not in drawing
    drawing = preview_area.draw_progress(Loading("Wan"))
    assert "Loading Wan" in drawing and 'aria-valuenow="0"' in drawing
    drawing = preview_area.draw_progress(Waiting(3))
    assert "Waiting for the backend" in drawing and "3 before it" in drawing


def test_messages_become_sentences() -> None:
    assert sentence(ValueError("the prompt is empty; write one.")) == "The prompt is empty; write one."


def test_the_header_lists_every_model_with_its_needs_and_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "list_missing", lambda name: ["hub:a/b"] if name == "wan-1.3b-stage1" else [])
    entries = re.findall(r'<li data-model="([^"]+)">(.*?)</li>', models.draw_header("embedded"))
    assert [name for name, _ in entries] == list(PRESETS)
    embedded, adaln, stage1 = map(dict(entries).get, ("embedded", "wan-1.3b-adaln", "wan-1.3b-stage1"))
    assert "serves this page" in embedded and "python app.py" not in embedded
    assert "on this machine" in adaln and "32 GB, once" in adaln and "research only" in adaln
    assert "not fetched yet" in stage1 and "python app.py --preset wan-1.3b-stage1" in stage1


def test_a_prompt_of_known_words_has_no_note() -> None:
    assert note_unknown_words("a person laughing on a beach", "embedded").visible is False
    note = note_unknown_words("a robot on a <surfboard>", "embedded")
    assert note.visible and "\u201crobot\u201d and \u201csurfboard\u201d" in note.value
