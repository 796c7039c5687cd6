"""LoRAs of a folder: chosen by name and strength, kept by digest, so that a run can be made again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from toys import is_same_video, run, write_toy_adapter

from concat_id.__main__ import main
from concat_id.errors import InvalidJob
from concat_id.job import Job
from concat_id.loading import load
from concat_id.loading.loras import Lora, list_loras
from concat_id.ui.tasks import SINGLE

pytestmark = pytest.mark.usefixtures("known_toy")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a LoRA, and with what file managers leave."""
    folder = tmp_path / "loras"
    folder.mkdir()
    write_toy_adapter(folder / "ink.safetensors")
    (folder / "._ink.safetensors").write_bytes(b"\0\5\x16\7")
    (folder / ".DS_Store").write_bytes(b"\0")
    (folder / "notes.txt").write_text("mine")
    (folder / "old").mkdir()
    monkeypatch.setenv("CONCAT_ID_LORAS", str(folder))
    yield folder
    load._adapt.cache_clear()


def test_a_folder_is_read_as_file_managers_leave_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list_loras() == {"ink": folder / "ink.safetensors"}
    for other in ("", str(folder / "nowhere")):
        monkeypatch.setenv("CONCAT_ID_LORAS", other)
        assert list_loras() == {}


def test_strength_matters_and_a_run_can_be_made_again(folder: Path, job: Job, tmp_path: Path) -> None:
    videos = [
        run(replace(job, loras=loras), tmp_path / name / "out.mp4", preview_every=0)[1].frames
        for name, loras in {"none": (), "zero": (Lora("ink", 0.0),), "one": (Lora("ink"),)}.items()
    ]
    assert np.array_equal(videos[0], videos[1]) and not np.array_equal(videos[0], videos[2])
    sidecar = json.loads((tmp_path / "one" / "out.json").read_text())
    (kept,) = sidecar["job"]["loras"]
    assert kept["name"] == "ink" and kept["strength"] == 1.0 and len(kept["sha256"]) == 64
    assert "loras" not in json.loads((tmp_path / "none" / "out.json").read_text())["job"]
    again = Job.load(tmp_path / "one" / "out.json")
    run(again, tmp_path / "again" / "out.mp4", preview_every=0)
    assert is_same_video(tmp_path / "one" / "out.mp4", tmp_path / "again" / "out.mp4")
    # Another file under the same name would make another video.
    data = bytearray((folder / "ink.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "ink.safetensors").write_bytes(data)
    with pytest.raises(InvalidJob, match="another file than the one this was made with"):
        again.resolve()


@pytest.mark.parametrize(
    "lora, said",
    [
        ({"name": "oil"}, "there is no LoRA 'oil' in the folder of LoRAs; there is 'ink'."),
        ({"name": "../ink"}, "there is no LoRA"),
        ({"name": "ink", "strength": 9}, "must be from -4 to 4, got 9"),
        ({"name": "ink", "strength": float("nan")}, "must be from -4 to 4"),
        ({"name": "ink", "strength": "1"}, "must be from -4 to 4"),
        ({"name": 5}, "must be a text"),
        ({"name": "ink", "sha256": 5}, "must be a text"),
        ({"name": "ink", "weight": 1}, "has unknown keys: weight"),
        ({}, "lacks name"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, job: Job, lora: dict, said: str) -> None:
    with pytest.raises(InvalidJob, match=said):
        Job.from_dict(job.to_dict() | {"loras": [lora]}).resolve()


def test_forms_and_options_name_them(
    folder: Path, job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    form = (str(tmp_path / "face.png"), "waving", "", 7, 1, 2.5, 1, "toy", None, False, None, None)
    (lora,) = SINGLE.make_job(*form, "ink", 0.5).loras
    assert (lora.name, lora.strength) == ("ink", 0.5) and lora.sha256
    assert SINGLE.make_job(*form, "ink", None).loras[0].strength == 1.0
    assert SINGLE.make_job(*form, "", 0.5).loras == ()
    with pytest.raises(gr.Error, match="There is no LoRA"):
        SINGLE.make_job(*form, "oil", 0.5)
    line = ["generate", "--preset", "toy", "--device", "cpu", "--reference", str(tmp_path / "face.png")]
    line += ["--prompt", "waving", "--steps", "1", "--output", str(tmp_path / "out.mp4")]
    assert main([*line, "--lora", "ink:0.5"]) == 0
    kept = json.loads((tmp_path / "out.json").read_text())["job"]["loras"]
    assert [(entry["name"], entry["strength"]) for entry in kept] == [("ink", 0.5)]
    capsys.readouterr()
    assert main([*line, "--lora", "ink:strong"]) == 2
    assert "give NAME, or NAME:STRENGTH" in capsys.readouterr().err
