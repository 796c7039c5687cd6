"""Drawing a person instead of giving a picture, and what a photograph meets, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gradio.processing_utils import encode_pil_to_bytes, hash_bytes
from PIL import Image
from playwright.sync_api import Page, expect
from studio import ALIKE, Studio, show, upload, wait_for_video
from violations import find_grave_violations

from concat_id.loading.presets import DEFAULT_PRESET, PRESETS
from concat_id.people import portrait
from concat_id.people.portrait import Traits, draw_portrait, roll_seed

OpenPage = Callable[..., Page]

PATIENCE_MS = 90_000


def open_form(page: Page, slot: str = "") -> str:
    """Open the form of an empty slot, and wait for anyone. Returns what the model sees."""
    page.locator(f"#{slot}draw button").first.click()
    return seen_in(page, slot)


def seen_in(page: Page, slot: str = "", *, unlike: str = "") -> str:
    """What the model sees in a slot, once it is not what it was."""
    seen = page.locator(f"#{slot}seen [data-state=ready] img")
    expect(seen).not_to_have_attribute("src", unlike, timeout=PATIENCE_MS)
    return seen.get_attribute("src")


def choose(page: Page, trait: str, value: str) -> None:
    """Choose among colours or words that lie side by side."""
    page.locator(f"#draw-{trait} label:has([value='{value}'])").click()


def picture_of(studio: Studio, number: int) -> Image.Image:
    """The picture in a slot of the first run."""
    return Image.open(studio.runs.started[0].references[number].picture)


def expect_portrait(page: Page, traits: Traits) -> None:
    """Wait until exactly this person is in the slot: the cache names files by what is in them."""
    name = hash_bytes(encode_pil_to_bytes(draw_portrait(traits), "png"))
    expect(page.locator("#picture img")).to_have_attribute("src", re.compile(name), timeout=PATIENCE_MS)


def test_the_slot_follows_the_form_and_the_run_gets_the_portrait(
    studio: Studio, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.runs.step_s = 0.0
    page = open_page(studio.url)
    anyone = open_form(page)
    seed = roll_seed()
    monkeypatch.setattr(portrait, "roll_seed", lambda: seed)
    page.click("#draw-chance")
    expect_portrait(page, Traits.of_seed(seed))
    seen_in(page, unlike=anyone)
    asked = {
        "features": "masculine",
        "skin": "brown",
        "hair_color": "ginger",
        "eye_color": "green",
        "glasses": "round",
        "glasses_color": "red",
    }
    # One after the other without waiting: nothing that was chosen is undone.
    for trait, value in asked.items():
        choose(page, trait.replace("_", "-"), value)
    details = dict(zip(("wrinkles", "freckles", "earrings"), (False, True, True), strict=True))
    for name, there in details.items():
        page.locator("#draw-details label", has_text=name).set_checked(there)
    for trait, value in (("hair", "afro"), ("beard", "goatee")):
        page.locator(f"#draw-{trait} input").click()
        page.get_by_role("option", name=value, exact=True).click()
    expect_portrait(page, Traits(hair="afro", beard="goatee", seed=seed, **asked, **details))
    page.fill("#prompt textarea", "laughing")
    page.click("#generate")
    wait_for_video(page)
    drawn = np.asarray(draw_portrait(Traits(hair="afro", beard="goatee", seed=seed, **asked, **details)))
    assert np.array_equal(np.asarray(picture_of(studio, 0)), drawn)


def test_each_person_of_several_is_drawn_by_themselves(
    studio: Studio, open_page: OpenPage, people: dict[str, Path]
) -> None:
    studio.runs.step_s = 0.0
    page = open_page(studio.url)
    show(page, "multi")
    first, second = open_form(page, "multi-first-"), open_form(page, "multi-second-")
    assert first != second
    page.click("#multi-second-draw-other")
    second = seen_in(page, "multi-second-", unlike=second)
    assert seen_in(page, "multi-first-") == first
    page.click("#swap-1")
    expect(page.locator("#multi-first-seen img")).to_have_attribute("src", second, timeout=PATIENCE_MS)
    # A picture given before the form is opened stays.
    page.locator("#multi-third-fold button").first.click()
    page.locator("#multi-third-picture input[type=file]").first.set_input_files(people["one"])
    given = seen_in(page, "multi-third-")
    page.locator("#multi-third-draw button").first.click()
    page.wait_for_timeout(1500)
    assert seen_in(page, "multi-third-") == given
    page.fill("#multi-prompt textarea", "three friends waving")
    page.click("#multi-generate")
    wait_for_video(page, "multi-video")
    assert len(studio.runs.started[0].references) == 3
    assert picture_of(studio, 0).size == picture_of(studio, 1).size == (512, 512)


def test_a_photograph_meets_a_choice_before_a_run(
    studio: Studio, open_page: OpenPage, people: dict[str, Path]
) -> None:
    studio.runs.step_s = 0.0
    page = open_page(studio.url)
    upload(page, people["photograph"])
    choice = page.locator("#photo")
    expect(choice).to_contain_text("This looks like a photograph")
    page.fill("#prompt textarea", "laughing")
    page.click("#generate")
    expect(page.locator(".toast-body")).to_contain_text("choose below it what to do")
    assert not studio.runs.started
    page.click("#photo-keep")
    expect(choice).to_be_hidden()
    page.click("#generate")
    wait_for_video(page)
    # Restored, it was chosen before.
    page.reload()
    show(page, "runs")
    page.locator("#runs button.thumbnail-item").first.click(timeout=PATIENCE_MS)
    page.click("#restore")
    seen_in(page)
    page.wait_for_timeout(1000)
    expect(choice).to_be_hidden()


def test_a_person_like_a_photographed_one_is_drawn_and_can_be_changed(
    studio: Studio, open_page: OpenPage, people: dict[str, Path]
) -> None:
    page = open_page(studio.url)
    upload(page, people["photograph"])
    photographed = seen_in(page)
    page.click("#photo-alike")
    drawn = seen_in(page, unlike=photographed)
    expect(page.locator("#photo")).to_be_hidden()
    expect(page.locator(f"#draw-skin [value='{ALIKE.skin}']")).to_be_checked()
    expect(page.locator("#draw-beard input")).to_have_value(ALIKE.beard)
    choose(page, "skin", "porcelain")
    seen_in(page, unlike=drawn)
    expect(page.locator("#draw-beard input")).to_have_value(ALIKE.beard)


def test_the_model_for_photographs_is_one_click_away_where_it_does_the_task(
    photo_studio: Studio, open_page: OpenPage, people: dict[str, Path]
) -> None:
    page = open_page(photo_studio.url)
    upload(page, people["photograph"])
    expect(page.locator("#photo")).to_contain_text("download 32 GB")
    page.click("#photo-model")
    expect(page.locator("#photo")).to_be_hidden()
    page.locator("#advanced button").first.click()
    expect(page.locator("#model input")).to_have_value("Wan 2.1 1.3B with AdaLN")
    expect(page.locator("#can")).to_be_hidden()
    show(page, "multi")
    page.locator("#multi-first-picture input[type=file]").first.set_input_files(people["photograph"])
    expect(page.locator("#multi-first-photo")).to_contain_text("the tab Single identity", timeout=PATIENCE_MS)
    expect(page.locator("#multi-first-photo-model")).to_have_count(0)


def test_a_clip_is_shown_no_larger_than_twice_its_size(studio: Studio, open_page: OpenPage) -> None:
    size = PRESETS[DEFAULT_PRESET].width
    studio.runs.hold_after = 4
    page = open_page(studio.url, 1600, 1200)
    page.locator("#people button.gallery-item").first.click()
    page.wait_for_selector("#seen [data-state=ready]")
    page.fill("#prompt textarea", "laughing")
    page.click("#generate")
    page.wait_for_selector("#stage [data-state=running] img")
    assert page.locator("#stage .cid-stage").bounding_box()["width"] == 2 * size
    studio.runs.hold_after = None
    wait_for_video(page)
    video, centre = page.locator("#video").bounding_box(), page.locator(".cid-theatre").first.bounding_box()
    assert video["width"] == 2 * size
    assert abs(video["x"] + size - centre["x"] - centre["width"] / 2) < 2


def test_the_form_fits_a_phone_and_keeps_the_rules_of_accessibility(
    studio: Studio, open_page: OpenPage, people: dict[str, Path]
) -> None:
    for scheme in ("light", "dark"):
        page = open_page(studio.url, 390, 844, color_scheme=scheme)
        open_form(page)
        choose(page, "glasses", "round")
        expect(page.locator("#draw-glasses-color")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        upload(page, people["photograph"])
        expect(page.locator("#photo")).to_be_visible()
        page.locator("#can summary").click()
        assert find_grave_violations(page) == []
