"""The page in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect
from studio import Studio, choose_person_and_prompt, upload, wait_for_video

OpenPage = Callable[..., Page]

MID_RUN = "#stage [data-state=running]"


def test_from_a_click_to_a_playing_video_with_scores(studio: Studio, open_page: OpenPage) -> None:
    studio.runs.hold_after = 4
    page = open_page(studio.url)
    expect(page.locator("#scores .cid-value").first).to_have_text("–")
    choose_person_and_prompt(page)
    page.click("#generate")
    page.wait_for_selector(f"{MID_RUN} img")
    page.wait_for_selector("#scores [data-state=running] .cid-curve")
    expect(page.locator("#scores .cid-notice")).to_have_text("No face found in frame 1.")
    expect(page.locator(".cid-progress-text")).to_contain_text(re.compile(r"Step \d+ of 15"))
    studio.runs.hold_after = None
    wait_for_video(page)
    panel = page.locator("#scores [data-state=final]")
    expect(panel.locator("[data-metric=arcsim] .cid-value")).to_have_text("0.750")
    expect(panel.locator("[data-metric=clipdist] .cid-value")).to_have_text("0.250")
    expect(panel).to_contain_text("drawn ones have scales of their own")
    # Pointing is for mice, tapping for fingers, arrows for keyboards: all show the frame's face.
    frame = panel.locator(".cid-curve .frame").nth(2)
    frame.locator(".target").hover()
    expect(frame.locator("image")).to_be_visible()
    page.mouse.move(0, 0)
    expect(frame.locator("image")).to_be_hidden()
    frame.locator(".target").click()
    page.mouse.move(0, 0)
    expect(frame.locator(".reading")).to_contain_text("Frame 3ArcSim 0.750")
    expect(frame.locator("image")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(panel.locator(".cid-curve .frame").nth(3).locator("image")).to_be_visible()
    expect(frame.locator("image")).to_be_hidden()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowLeft")
    expect(panel.locator(".cid-curve .frame").first.locator("image")).to_be_visible()
    expect(panel).to_contain_text(str(studio.runs.started[0].settings.seed))
    assert [path.suffix for path in sorted(studio.runs_folder.glob("*/*"))] == [".png", ".json", ".mp4"]


def test_downloads_are_offered_with_the_result(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.url)
    studio.runs.step_s = 0.0
    choose_person_and_prompt(page)
    page.click("#generate")
    wait_for_video(page)
    for button, suffix in (("#save-video", ".mp4"), ("#save-settings", ".json")):
        with page.expect_download() as download:
            page.click(button)
        assert download.value.suggested_filename.endswith(suffix)


def test_without_a_picture_it_says_so_and_keeps_the_prompt(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.url)
    page.fill("#prompt textarea", "laughing")
    page.click("#generate")
    expect(page.locator(".toast-body")).to_contain_text("There is no picture yet")
    expect(page.locator("#prompt textarea")).to_have_value("laughing")
    expect(page.locator("#generate")).to_be_visible()
    assert not studio.runs.started


def test_without_a_face_it_offers_the_whole_picture(
    studio: Studio, open_page: OpenPage, people: dict[str, Path]
) -> None:
    page = open_page(studio.url)
    upload(page, people["none"])
    expect(page.locator("#seen")).to_contain_text("No face was found")
    page.fill("#prompt textarea", "laughing")
    page.click("#generate")
    expect(page.locator(".toast-body")).to_contain_text("No face was found")
    expect(page.locator("#generate")).to_be_visible()
    page.click("#take-whole")
    page.wait_for_selector("#seen [data-state=ready]")
    expect(page.locator("#take-whole")).to_be_hidden()


def test_a_damaged_file_is_refused_in_its_place(
    studio: Studio, open_page: OpenPage, people: dict[str, Path]
) -> None:
    page = open_page(studio.url)
    upload(page, people["damaged"])
    expect(page.locator("#seen [data-state=refused]")).to_contain_text("damaged")


def test_the_chosen_face_reaches_the_job(
    studio: Studio, open_page: OpenPage, people: dict[str, Path]
) -> None:
    page = open_page(studio.url)
    studio.runs.step_s = 0.0
    upload(page, people["three"])
    faces = page.locator("#faces button.thumbnail-item")
    expect(faces).to_have_count(3)
    before = page.locator("#seen img").get_attribute("src")
    faces.nth(2).click()
    expect(page.locator("#seen img")).not_to_have_attribute("src", before)
    page.fill("#prompt textarea", "laughing")
    page.click("#generate")
    wait_for_video(page)
    assert studio.runs.started[0].references[0].face_index == 2


def test_stop_takes_effect_and_the_next_run_works(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.url)
    studio.runs.step_s = 0.4
    choose_person_and_prompt(page)
    page.click("#generate")
    page.wait_for_selector(f"{MID_RUN} img")
    page.click("#stop")
    expect(page.locator("#stage")).to_contain_text("Stopped")
    expect(page.locator("#scores .cid-value").first).to_have_text("–")
    page.wait_for_timeout(1500)
    assert len(studio.runs.started) == 1 and studio.runs.closed == [1]
    expect(page.locator("#stage")).to_contain_text("Stopped")
    studio.runs.step_s = 0.0
    page.click("#generate")
    wait_for_video(page)


def test_a_second_run_shows_nothing_of_the_first(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.url)
    studio.runs.step_s = 0.0
    choose_person_and_prompt(page)
    page.click("#generate")
    wait_for_video(page)
    studio.runs.hold_after = 0
    page.click("#generate")
    expect(page.locator("#video video")).to_have_count(0)
    # The first preview has no scores: none are shown for it.
    expect(page.locator("#scores .cid-value").first).to_have_text("–")
    studio.runs.hold_after = 2
    page.wait_for_selector("#scores [data-state=running]")
    expect(page.locator("#save-video")).to_be_hidden()
    studio.runs.hold_after = None
    wait_for_video(page)


def test_visitors_wait_their_turn_and_do_not_meet(studio: Studio, open_page: OpenPage) -> None:
    first, second = open_page(studio.url), open_page(studio.url)
    for page in (first, second):
        choose_person_and_prompt(page)
        page.click("#generate")
    wait_for_video(first)
    wait_for_video(second)
    for page, job in zip((first, second), studio.runs.started, strict=True):
        expect(page.locator("#scores [data-state=final]")).to_contain_text(str(job.settings.seed))
    assert len(list(studio.runs_folder.iterdir())) == 2
    assert studio.runs.most_at_once == 1


def test_nothing_hangs_over_the_edge(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.url)
    studio.runs.step_s = 0.0
    choose_person_and_prompt(page)
    page.click("#generate")
    wait_for_video(page)
    for width in (1440, 1024, 768, 390):
        page.set_viewport_size({"width": width, "height": 844})
        page.wait_for_timeout(400)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_dice_give_a_seed_that_is_used(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.url, color_scheme="dark")
    studio.runs.step_s = 0.0
    choose_person_and_prompt(page)
    page.locator("#advanced button").first.click()
    expect(page.locator("#seed textarea")).to_have_value("")
    page.click("#dice")
    expect(page.locator("#seed textarea")).not_to_have_value("")
    seed = int(page.locator("#seed textarea").input_value())
    page.click("#generate")
    wait_for_video(page)
    assert studio.runs.started[0].settings.seed == seed
