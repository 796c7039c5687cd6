"""Choosing the model in the page: draft or quality, and models that are not on this machine yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import gradio as gr
import pytest
from hub import Hub
from playwright.sync_api import Page, expect
from studio import Studio, choose_person_and_prompt, open_newest, serve_studio, upload, wait_for_video

from concat_id.loading.presets import PRESETS
from concat_id.ui.forms.model_choice import draw_needs, list_versions
from concat_id.ui.forms.settings import build_settings
from concat_id.ui.page_context import keep_values

OpenPage = Callable[..., Page]
QUICK = replace(PRESETS["embedded"], title="Quick", num_inference_steps=3, guidance_scale=1.0, draft=None)


@pytest.fixture
def _with_draft(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The embedded model has a draft, and nothing was fetched."""
    monkeypatch.setenv("CONCAT_ID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setitem(PRESETS, "quick", QUICK)
    monkeypatch.setitem(PRESETS, "embedded", replace(PRESETS["embedded"], draft="quick"))


@pytest.fixture
def choosy(tmp_path: Path, people: dict[str, Path], _with_draft: None) -> Iterator[Studio]:
    """A page with several models."""
    with serve_studio(tmp_path, people, "embedded", models=("quick", "wan-1.3b-adaln")) as studio:
        yield studio


@pytest.mark.usefixtures("_with_draft")
def test_a_model_and_its_draft_know_each_other() -> None:
    versions = [("Draft", "quick"), ("Quality", "embedded")]
    assert list_versions("embedded", PRESETS) == list_versions("quick", PRESETS) == versions
    assert list_versions("wan-1.3b-stage1", PRESETS) == []
    assert list_versions("embedded", ["embedded"]) == list_versions("quick", ["quick"]) == []


@pytest.mark.usefixtures("_with_draft")
def test_a_model_says_what_it_needs_before_it_is_loaded() -> None:
    assert "On this machine" in draw_needs("embedded")
    needs = draw_needs("wan-1.3b-adaln")
    assert "download 32 GB, once; memory about 12 GB; licence Wan 2.1: Apache-2.0" in needs


def test_a_likeness_of_zero_is_shown_as_such() -> None:
    with gr.Blocks():
        panel = build_settings(replace(PRESETS["embedded"], reference_guidance_scale=0.0))
    assert panel.inputs["likeness"].value == 0


def test_a_form_of_other_fields_is_kept_apart() -> None:
    with gr.Blocks() as blocks:
        seed, steps = gr.Textbox(), gr.Slider()
        for form in (
            {"seed": seed, "steps": steps},
            {"steps": steps, "seed": seed},
            {"seed": seed, "fps": steps},
        ):
            keep_values(blocks, "single", form)
    states = [block for block in blocks.blocks.values() if isinstance(block, gr.BrowserState)]
    assert len({state.storage_key for state in states}) == len(states) == 3


def test_a_draft_is_one_click_away_and_is_restored(choosy: Studio, open_page: OpenPage) -> None:
    choosy.runs.step_s = 0.0
    page = open_page(choosy.url)
    choose_person_and_prompt(page)
    page.locator("#advanced > button").click()
    page.get_by_label("Negative prompt").first.fill("rain")
    page.get_by_label("Draft", exact=True).first.check()
    page.click("#generate")  # at once: the form has not followed yet
    wait_for_video(page)
    job = choosy.runs.started[0]
    assert (job.preset, job.settings.num_inference_steps, job.settings.guidance_scale) == ("quick", 3, 1.0)
    assert job.settings.negative_prompt == "rain"

    # After a reload it is still the draft; then quality, and the run brings the draft back.
    page.reload()
    page.wait_for_selector("#generate")
    expect(page.get_by_label("Draft", exact=True).first).to_be_checked()
    page.get_by_label("Quality", exact=True).first.check()
    expect(page.get_by_label("Draft", exact=True).first).not_to_be_checked()
    open_newest(page)
    page.click("#restore")
    expect(page.get_by_label("Draft", exact=True).first).to_be_checked()
    expect(page.locator("#seen [data-state=ready]")).to_be_visible()

    # Of a model that this version does not know, the rest is restored all the same.
    (sidecar,) = choosy.runs_folder.glob("*/*.json")
    sidecar.write_text(sidecar.read_text().replace('"quick"', '"of-tomorrow"'))
    page.fill("#prompt textarea", "something else")
    open_newest(page)
    page.click("#restore")
    expect(page.locator(".toast-body")).to_contain_text("another model: of-tomorrow")
    expect(page.locator("#prompt textarea")).to_have_value(job.prompt)


def test_a_model_that_is_not_here_says_so_before_it_is_asked(
    choosy: Studio, open_page: OpenPage, people: dict[str, Path]
) -> None:
    page = open_page(choosy.url)
    choose_person_and_prompt(page)
    expect(page.locator("#photo")).to_be_hidden()
    upload(page, people["photograph"])
    expect(page.locator("#photo")).to_contain_text("only ever seen drawn people")
    page.locator("#advanced > button").click()
    page.locator("#model input").click()
    page.get_by_role("option", name=PRESETS["wan-1.3b-adaln"].title).click()
    expect(page.locator("#advanced")).to_contain_text("Fetched with the first video: download 32 GB")
    expect(page.locator("#seen")).to_contain_text("once the model has been fetched")
    expect(page.locator("#photo")).to_be_hidden()
    expect(page.get_by_label("Steps").first).to_have_value("50")
    expect(page.locator("#pace")).to_be_hidden()


def test_a_model_is_fetched_with_its_first_video(
    hub: Hub, tmp_path: Path, people: dict[str, Path], open_page: OpenPage
) -> None:
    hub.pause_s = 3.0
    with serve_studio(tmp_path, people, "embedded", models=("far",)) as studio:
        page = open_page(studio.url)
        choose_person_and_prompt(page)
        page.locator("#advanced > button").click()
        page.locator("#model input").click()
        page.get_by_role("option", name="From afar").click()
        expect(page.locator("#advanced")).to_contain_text("Fetched with the first video")
        page.click("#generate")
        expect(page.locator("#progress")).to_contain_text("Fetching some/clip, file 1 of 2")
        expect(page.locator("#progress")).to_contain_text("Fetching some/clip, file 2 of 2")
        expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "33")
        assert studio.runs.started == []
        wait_for_video(page)
        assert studio.runs.started[0].preset == "far"
        expect(page.locator("#advanced")).to_contain_text("On this machine")


@pytest.mark.usefixtures("_with_draft")
def test_a_model_that_is_no_longer_offered_is_not_brought_back(
    tmp_path: Path, people: dict[str, Path], open_page: OpenPage
) -> None:
    with serve_studio(tmp_path, people, "embedded", models=("quick",)) as studio:
        page = open_page(studio.url)
        page.locator("#advanced > button").click()
        page.get_by_label("Draft", exact=True).first.check()
        expect(page.locator("#model input")).to_have_value("Quick")
        page.close()
        port = urlsplit(studio.url).port
    (tmp_path / "again").mkdir()
    with serve_studio(tmp_path / "again", people, "embedded", port=port) as studio:
        studio.runs.step_s = 0.0
        page = page.context.new_page()  # of the same browser, which kept the form
        page.goto(studio.url)
        choose_person_and_prompt(page)
        page.click("#generate")
        wait_for_video(page)
        assert studio.runs.started[0].preset == "embedded"
