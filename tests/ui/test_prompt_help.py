"""Help with the prompt: of parts, and by a language model, whose words are seen before they are used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from language_model import KEY, LanguageModel, serve_language_model
from playwright.sync_api import Page, expect
from studio import Studio, choose_person_and_prompt, serve_studio, wait_for_video


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[LanguageModel]:
    with serve_language_model() as model:
        for name, value in model.variables.items():
            monkeypatch.setenv(name, value)
        yield model


@pytest.fixture
def studio(model: LanguageModel, tmp_path: Path, people: dict[str, Path]) -> Iterator[Studio]:
    """A studio that knows the language model, and a model for photographs."""
    with serve_studio(tmp_path, people, "embedded", models=("wan-1.3b-adaln",)) as studio:
        yield studio


def write_part(page: Page, name: str, text: str) -> None:
    """Fill a part in, in words of one's own."""
    field = page.locator(f"#part-{name} input")
    field.fill(text)
    field.press("Enter")


def choose_model(page: Page, title: str) -> None:
    """Of the advanced settings, which are unfolded."""
    page.locator("#model input").click()
    page.get_by_role("option", name=title).click()


def test_from_parts_or_a_language_model_to_the_video(
    studio: Studio, model: LanguageModel, open_page: Callable[..., Page]
) -> None:
    studio.runs.step_s = 0.0
    page = open_page(studio.url)
    choose_person_and_prompt(page)
    prompt = page.locator("#prompt textarea")
    before = prompt.input_value()
    page.click("#help button.label-wrap")
    expect(page.locator("#part-camera")).to_be_hidden()  # the embedded model knows no word of it
    expect(page.locator("#use-parts")).to_be_disabled()
    write_part(page, "action", "waving")
    write_part(page, "place", "in a forest")
    expect(page.locator("#composed")).to_contain_text("a person waving in a forest")
    assert prompt.input_value() == before  # nothing is overwritten before it is asked for
    page.click("#use-parts")
    expect(prompt).to_have_value("a person waving in a forest")

    expect(page.locator("#sent")).to_contain_text("tiny at 127.0.0.1")
    assert model.requests == [] and KEY not in page.content()
    model.status = 500
    page.click("#extend")
    expect(page.get_by_text("could not be asked")).to_be_visible()
    expect(prompt).to_have_value("a person waving in a forest")
    model.status, model.answer = 200, "A person waves in a green forest."
    page.click("#extend")
    answer = page.locator("#extended textarea")
    expect(answer).to_have_value("A person waves in a green forest.")
    expect(prompt).to_have_value("a person waving in a forest")
    answer.fill("A person waves in a green forest, smiling.")
    page.click("#use-extended")
    expect(prompt).to_have_value("A person waves in a green forest, smiling.")
    page.click("#generate")
    wait_for_video(page)
    (sidecar,) = studio.runs_folder.glob("*/*.json")
    job = json.loads(sidecar.read_text())["job"]
    assert job["prompt"] == "A person waves in a green forest, smiling."
    assert job["extension"]["asked"] == "a person waving in a forest"
    assert job["extension"]["answer"] == "A person waves in a green forest."
    assert KEY not in sidecar.read_text()


def test_without_a_service_nothing_of_it_is_shown(
    photo_studio: Studio, open_page: Callable[..., Page]
) -> None:
    page = open_page(photo_studio.url)
    page.click("#help button.label-wrap")
    expect(page.locator("#part-camera")).to_be_hidden()
    expect(page.locator("#extend")).to_have_count(0)
    page.click("#advanced button.label-wrap")
    # A model for photographs knows of cameras; for the other one nothing of it is left in the sentence.
    choose_model(page, "Wan 2.1 1.3B with AdaLN")
    expect(page.locator("#part-camera")).to_be_visible()
    write_part(page, "camera", "close-up")
    expect(page.locator("#composed")).to_contain_text("a person. Close-up.")
    choose_model(page, "Embedded model: drawn people")
    expect(page.locator("#part-camera")).to_be_hidden()
    expect(page.locator("#composed")).not_to_contain_text("Close-up")
