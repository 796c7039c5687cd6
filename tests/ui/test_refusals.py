"""Messages to visitors: a sentence each, without the server's folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect
from studio import choose_person_and_prompt, serve_studio, wait_for_video

from concat_id.errors import InputError
from concat_id.ui.texts import hide_paths, sentence


@pytest.mark.parametrize(
    "said, shown",
    [
        ("there is no file at '/tmp/gradio/a b/x.png'; check it.", "There is no file at 'x.png'; check it."),
        ("Cannot move /srv/studio/assets/ada.png to it.", "Cannot move ada.png to it."),
        ("copy it into '/root/.cache/hub'.", "Copy it into 'hub'."),
        ("remove 'C:\\Users\\me\\det.onnx'.", "Remove 'det.onnx'."),
        ("see https://example.com/a/b/c.", "See https://example.com/a/b/c."),
        ("give 1/2 or and/or 'owner/name'.", "Give 1/2 or and/or 'owner/name'."),
    ],
)
def test_a_sentence_names_files_and_no_folders(said: str, shown: str) -> None:
    assert sentence(InputError(said)) == shown
    assert hide_paths(shown) == shown


def test_a_studio_started_elsewhere_restores_a_video(
    tmp_path: Path,
    people: dict[str, Path],
    open_page: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Neither the working folder nor the one for temporary files: both may always be served.
    elsewhere, temporary = tmp_path / "elsewhere", tmp_path / "temporary"
    elsewhere.mkdir()
    temporary.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(temporary / "gradio"))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with serve_studio(tmp_path, people, "embedded") as studio:
        studio.runs.step_s = 0.0
        page = first = open_page(studio.url)
        choose_person_and_prompt(page)
        page.click("#generate")
        wait_for_video(page)
        (video,) = studio.runs_folder.glob("*/*.mp4")
        kept = shutil.copy(video, temporary / "kept.mp4")
        shutil.rmtree(video.parent)  # the example itself is the only picture that is left
        page = open_page(studio.url)
        page.get_by_role("tab", name="Runs").click()
        page.locator("#upload-run input, input:has(+ #upload-run)").first.set_input_files(kept)
        expect(page.locator("#picture img")).to_be_visible(timeout=30_000)
        expect(page.locator(".toast-body.error")).to_have_count(0)
        expect(page.locator("#prompt textarea")).to_have_value(studio.runs.started[0].prompt)
        for opened in (first, page):  # they would miss their server
            opened.close()
