"""A picture that is there is not written again while somebody is sent it."""

from __future__ import annotations

import os
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from concat_id.ui.forms.kept_picture import keep_picture


@pytest.mark.parametrize("name", ["face.webp", "drawn.png"])
def test_a_picture_is_written_once_and_kept_as_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    component = gr.Image(render=False)
    monkeypatch.setattr(component, "GRADIO_CACHE", str(tmp_path))
    path = Path(keep_picture(Image.new("RGB", (8, 8), "red"), component, name))
    assert path.name == name and Image.open(path).size == (8, 8)
    os.utime(path, (0, 0))
    first = path.stat()
    assert keep_picture(Image.new("RGB", (8, 8), "red"), component, name) == str(path)
    assert path.stat().st_ino == first.st_ino and path.stat().st_mtime > first.st_mtime
    assert keep_picture(Image.new("RGB", (8, 8), "blue"), component, name) != str(path)
    assert len([file for file in tmp_path.rglob("*") if file.is_file()]) == 2
