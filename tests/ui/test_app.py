"""The program that serves the page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gradio as gr
import pytest
from studio import PacedRuns, prepare

import app
from concat_id.errors import WeightsUnavailable
from concat_id.job import Job, Reference, Settings
from concat_id.runs import Library
from concat_id.ui import build_demo
from concat_id.ui.events import Runner, gpu_seconds

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
        "print([name for name in ('torch', 'diffusers', 'insightface') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_host_and_port_follow_gradios_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    monkeypatch.setenv("GRADIO_SERVER_PORT", "8123")
    options = app.parse_arguments([])
    assert (options.host, options.port, options.preset) == ("0.0.0.0", 8123, "embedded")
    assert app.parse_arguments(["--port", "9000"]).port == 9000


def test_missing_weights_end_the_program_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(preset: str) -> None:
        raise WeightsUnavailable(f"the weights of {preset} are missing; fetch them.")

    monkeypatch.setattr(app, "warm", refuse)
    assert app.main([]) == 2
    assert capsys.readouterr().err == "the weights of embedded are missing; fetch them.\n"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ((None, "laughing", "", "", 20, 2.5, 1, None, False), "There is no picture yet"),
        (("face.png", "  ", "", "", 20, 2.5, 1, None, False), "The prompt is empty"),
        (("face.png", "laughing", "", "lucky", 20, 2.5, 1, None, False), "The seed must be a whole number"),
        (("face.png", "laughing", "", "-1", 20, 2.5, 1, None, False), "Seed must be"),
    ],
)
def test_what_is_wrong_with_a_form_is_said(tmp_path: Path, form: tuple, said: str) -> None:
    runner = Runner(PacedRuns().generate, "embedded", Library(tmp_path))
    with pytest.raises(gr.Error, match=said):
        runner.make_job(*form)


def test_the_form_reaches_the_job(tmp_path: Path) -> None:
    runner = Runner(PacedRuns().generate, "embedded", Library(tmp_path))
    job = runner.make_job("face.png", " laughing ", "blurred", "7", 12.0, 3.5, 2.0, 1.0, False)
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


def test_a_longer_run_asks_for_more_of_a_shared_gpu(tmp_path: Path) -> None:
    def seconds(preset: str, steps: int) -> int:
        job = Job("single", (Reference("face", "face.png"),), "laughing", Settings(None, steps), preset)
        return gpu_seconds(job.resolve(), tmp_path)

    assert seconds("embedded", 20) < seconds("wan-1.3b-adaln", 20) < seconds("wan-1.3b-adaln", 50) < 300


def test_a_tab_is_shown_only_where_the_model_can_do_it(tmp_path: Path) -> None:
    demo = build_demo(PacedRuns().generate, prepare, preset="embedded", outputs=tmp_path)
    tabs = [block.label for block in demo.blocks.values() if isinstance(block, gr.Tab)]
    assert tabs == ["Single identity", "Runs", "Compare"]
