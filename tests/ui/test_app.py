"""The program that serves the page."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest
from studio import PacedRuns, prepare

import app
from concat_id.errors import WeightsUnavailable
from concat_id.job import Job
from concat_id.loading.presets import PRESETS
from concat_id.references.reference import Reference
from concat_id.settings import Settings
from concat_id.ui import build_demo
from concat_id.ui.events import gpu_seconds
from concat_id.ui.forms.video_format import draw_cost, list_sizes
from concat_id.ui.layout import find_examples
from concat_id.ui.tasks import BACKGROUND, MULTI, SINGLE, TRY_ON, TaskForm

HEAVY = ("torch", "diffusers", "transformers", "insightface", "onnxruntime", "gradio")
ROOT = Path(app.__file__).parent


def test_importing_the_app_loads_nothing() -> None:
    code = f"import sys, app; print([name for name in {HEAVY} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_building_the_page_loads_no_model(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from concat_id.ui import build_demo;"
        f"build_demo(None, None, preset='embedded', outputs=Path({str(tmp_path)!r}));"
        "print([name for name in ('diffusers', 'insightface') if name in sys.modules]);"
        # On a shared GPU, `spaces` must come before torch, which the words of the drawing form come with.
        "names = list(sys.modules); print(names.index('spaces') < names.index('torch'))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["[]", "True"]


def test_host_and_port_follow_gradios_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    monkeypatch.setenv("GRADIO_SERVER_PORT", "8123")
    options = app.parse_arguments([])
    assert (options.host, options.port, options.preset) == ("0.0.0.0", 8123, "embedded")
    assert app.parse_arguments(["--port", "9000"]).port == 9000


def test_a_service_names_model_and_folder_by_variables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONCAT_ID_PRESET", "wan-1.3b-adaln")
    monkeypatch.setenv("CONCAT_ID_OUTPUTS", "/data/outputs")
    options = app.parse_arguments([])
    assert (options.preset, options.outputs) == ("wan-1.3b-adaln", Path("/data/outputs"))
    assert app.parse_arguments(["--preset", "embedded"]).preset == "embedded"
    monkeypatch.setenv("CONCAT_ID_PRESET", "wan")
    with pytest.raises(SystemExit):
        app.parse_arguments([])
    assert "there is no preset 'wan'; choose of embedded, " in capsys.readouterr().err


def test_the_models_to_choose_from_can_be_limited(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(app.parse_arguments([]).models) == list(PRESETS)
    monkeypatch.setenv("CONCAT_ID_MODELS", "embedded wan-1.3b-stage1")
    assert app.parse_arguments([]).models == ["embedded", "wan-1.3b-stage1"]
    assert app.parse_arguments(["--models"]).models == []
    monkeypatch.setenv("CONCAT_ID_MODELS", "embedded wan")
    with pytest.raises(SystemExit):
        app.parse_arguments([])
    assert "there is no preset 'wan'" in capsys.readouterr().err


def test_missing_weights_end_the_program_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(preset: str, with_model: bool) -> None:
        raise WeightsUnavailable(f"the weights of {preset} are missing; fetch them.")

    monkeypatch.setattr(app, "warm", refuse)
    assert app.main([]) == 2
    assert capsys.readouterr().err == "the weights of embedded are missing; fetch them.\n"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ((None, "laughing", "", "", 20, 2.5, 1, "embedded", None, False), "There is no picture yet"),
        (("face.png", "  ", "", "", 20, 2.5, 1, "embedded", None, False), "The prompt is empty"),
        (
            ("face.png", "laughing", "", "lucky", 20, 2.5, 1, "embedded", None, False),
            "The seed must be a whole number",
        ),
        (("face.png", "laughing", "", "-2", 20, 2.5, 1, "embedded", None, False), "Seed must be"),
    ],
)
def test_what_is_wrong_with_a_form_is_said(form: tuple, said: str) -> None:
    with pytest.raises(gr.Error, match=said):
        SINGLE.make_job(*form)


def test_the_form_reaches_the_job() -> None:
    job = SINGLE.make_job("face.png", " laughing ", "blurred", "7", 12.0, 3.5, 2.0, "embedded", 1.0, False)
    assert job.prompt == "laughing" and job.references == (Reference("face", "face.png", face_index=1),)
    wanted = (7, 12, 3.5, 2.0, "blurred")
    settings = job.settings
    assert wanted == (
        settings.seed,
        settings.num_inference_steps,
        settings.guidance_scale,
        settings.reference_guidance_scale,
        settings.negative_prompt,
    )


@pytest.mark.parametrize("size", ["96x160", " 96 X 160", "96\u00d7160", "96*160"])
def test_size_and_length_reach_the_job(size: str) -> None:
    form = ("face.png", "laughing", "", "7", 12, 3.5, 2.0, "embedded", None, False)
    settings = SINGLE.make_job(*form, size, 33.0).settings
    assert (settings.width, settings.height, settings.num_frames) == (96, 160, 33)
    own = SINGLE.make_job(*form, None, None).settings
    assert (own.width, own.height, own.num_frames) == (256, 256, 17)
    for wrong, said in (("wide", "give width x height"), ("95x160", "multiple of 32"), ("9999x64", "Width")):
        with pytest.raises(gr.Error, match=said):
            SINGLE.make_job(*form, wrong, None)


def test_what_a_size_costs_is_said_before() -> None:
    assert "2.1 s at 8 frames per second." in draw_cost("embedded", "256x256", 17)
    assert "times" not in draw_cost("embedded", "256x256", 17)
    assert "At least 1.6 times the work" in draw_cost("embedded", "192x320", 33)
    assert "Height" in draw_cost("embedded", "x", 17) or "The size is" in draw_cost("embedded", "x", 17)
    assert ("480 \u00d7 832", "480x832") in list_sizes("wan-1.3b-adaln")


SETTINGS = ("", "7", 12, 3.5, 2.0, "embedded")


@pytest.mark.parametrize(
    ("form", "values", "references"),
    [
        (
            MULTI,
            ("a.png", "b.png", "waving", *SETTINGS, None, None, False, 2, False, None, False),
            (Reference("face", "a.png"), Reference("face", "b.png", 2)),
        ),
        (
            MULTI,
            ("a.png", "b.png", "waving", *SETTINGS, "c.png", 1, False, None, False, None, True),
            (
                Reference("face", "a.png", 1),
                Reference("face", "b.png"),
                Reference("face", "c.png", whole_picture=True),
            ),
        ),
        (
            TRY_ON,
            ("a.png", "shirt.png", "waving", *SETTINGS, "beach.png", None, False, True, False),
            (
                Reference("face", "a.png"),
                Reference("garment", "shirt.png", whole_picture=True),
                Reference("background", "beach.png"),
            ),
        ),
        (
            BACKGROUND,
            ("a.png", "beach.png", "waving", *SETTINGS, 1, False, False),
            (Reference("face", "a.png", 1), Reference("background", "beach.png")),
        ),
    ],
)
def test_each_task_has_a_form(form: TaskForm, values: tuple, references: tuple[Reference, ...]) -> None:
    job = form.make_job(*values)
    assert (job.task, job.references, job.settings.seed) == (form.task, references, 7)


def test_the_picture_that_is_missing_is_named() -> None:
    with pytest.raises(gr.Error, match="There is no picture of person 2 yet"):
        MULTI.make_job("a.png", None, "waving", *SETTINGS, None, None, False, None, False, None, False)
    with pytest.raises(
        gr.Error, match="There is no picture of a garment yet; upload one, paste one, take one."
    ):
        TRY_ON.make_job("a.png", None, "waving", *SETTINGS, None, None, False, False, False)


def test_a_model_of_two_references_has_no_slot_for_a_third() -> None:
    model = replace(PRESETS["embedded"], max_references=2)
    assert [len(form.fit(model).slots) for form in (SINGLE, MULTI, TRY_ON, BACKGROUND)] == [1, 2, 2, 2]


def test_what_file_managers_leave_is_no_example(tmp_path: Path) -> None:
    for name in ("ada.png", "._ada.png", ".DS_Store", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"")
    assert find_examples(tmp_path)["face"] == (tmp_path / "ada.png",)


def test_a_longer_run_asks_for_more_of_a_shared_gpu(tmp_path: Path) -> None:
    def seconds(preset: str, steps: int) -> int:
        job = Job("single", (Reference("face", "face.png"),), "laughing", Settings(None, steps), preset)
        return gpu_seconds(job.resolve(), tmp_path)

    assert seconds("embedded", 20) < seconds("wan-1.3b-adaln", 20) < seconds("wan-1.3b-adaln", 50) < 300
    assert seconds("wan-1.3b-adaln", 50) < seconds("cogvideox-5b-single", 50) < 300
    # What is no denoising: previews while it runs, decoding and scores at its end.
    assert seconds("embedded", 200) - seconds("embedded", 100) >= 100
    assert seconds("wan-1.3b-adaln", 1) - seconds("embedded", 1) >= 20


@pytest.mark.parametrize(
    ("preset", "forms"),
    [
        ("embedded", ["Single identity", "Multi identity", "Try-on", "Background"]),
        ("wan-1.3b-adaln", ["Single identity"]),
        ("cogvideox-5b-single", ["Single identity"]),
        ("cogvideox-5b-two", ["Multi identity"]),
    ],
)
def test_a_tab_is_shown_only_where_the_model_can_do_it(tmp_path: Path, preset: str, forms: list[str]) -> None:
    demo = build_demo(PacedRuns().generate, prepare, preset=preset, outputs=tmp_path, results=tmp_path)
    tabs = [block.label for block in demo.blocks.values() if isinstance(block, gr.Tab)]
    assert tabs == [*forms, "Runs", "Compare"]
