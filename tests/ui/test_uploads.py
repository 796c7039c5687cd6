"""Whose the pictures are that visitors give."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import gradio as gr
import pytest
from playwright.sync_api import Page
from studio import serve_studio, upload, wait_for_video

import app
from concat_id.studio.uploads import VARIABLE, own_uploads


def test_a_page_that_ends_takes_nothing_from_another(
    tmp_path: Path, people: dict[str, Path], open_page: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_studio(tmp_path / "lasting", people, "embedded") as studio:
        studio.runs.step_s = 0.0
        page = open_page(studio.url)
        upload(page, people["one"])
        with monkeypatch.context() as elsewhere:
            elsewhere.delenv(VARIABLE)  # as in a program of its own
            with serve_studio(tmp_path / "ending", people, "embedded") as other:
                visitor = open_page(other.url)
                upload(visitor, people["one"])
                visitor.close()  # a program waits for its pages before it ends
        page.fill("#prompt textarea", "laughing")
        page.click("#generate")
        wait_for_video(page)
        assert len(list(studio.runs_folder.glob("*/*.mp4"))) == 1


def test_the_program_keeps_uploads_in_a_folder_that_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = []
    monkeypatch.setattr("concat_id.ui.launch_demo", lambda *_, **__: folders.append(gr.Image().GRADIO_CACHE))
    monkeypatch.setattr(app, "warm", lambda *_, **__: None)
    for _ in range(2):
        assert app.main(["--outputs", str(tmp_path)]) == 0
    first, second = map(Path, folders)
    assert first != second
    assert first.parent == second.parent == Path(tempfile.gettempdir())
    assert not first.exists()


def test_a_folder_that_was_chosen_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with own_uploads():
        assert tmp_path.samefile(gr.Image().GRADIO_CACHE)
    assert tmp_path.exists()
