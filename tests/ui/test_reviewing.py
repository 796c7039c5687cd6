"""The tabs "Runs" and "Compare" in a real browser."""

from __future__ import annotations

import base64
import csv
import re
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from studio import Studio, open_newest, show, wait_for_video

OpenPage = Callable[..., Page]

PATIENCE_MS = 60_000
SEEN = "document.querySelector('#seen img')?.getAttribute('src')"


def set_number(page: Page, label: str, value: str) -> None:
    """Type a value beside a slider of the form."""
    field = page.locator("#advanced").get_by_role("spinbutton", name=re.compile(label))
    field.fill(value)
    field.blur()


def start_run(page: Page, picture: Path, prompt: str, seed: int) -> None:
    """Ask for a video in two steps, with a likeness of 2."""
    page.locator("#picture input[type=file]").first.set_input_files(picture)
    page.wait_for_selector("#seen [data-state=ready]", timeout=PATIENCE_MS)
    page.fill("#prompt textarea", prompt)
    page.locator("#advanced > button").click()
    page.fill("#seed textarea", str(seed))
    set_number(page, "Steps", "2")
    set_number(page, "Likeness", "2")
    page.click("#generate")


def make_run(page: Page, picture: Path, prompt: str, seed: int) -> None:
    """The same, and wait for it."""
    start_run(page, picture, prompt, seed)
    wait_for_video(page)


def expect_form(page: Page, prompt: str, seed: int) -> None:
    """The form holds what `make_run` put in, and another face than the largest."""
    expect(page.locator("#prompt textarea")).to_have_value(prompt, timeout=PATIENCE_MS)
    expect(page.locator("#seen [data-state=ready]")).to_be_visible(timeout=PATIENCE_MS)
    if not page.locator("#seed textarea").is_visible():
        page.locator("#advanced > button").click()
    expect(page.locator("#seed textarea")).to_have_value(str(seed))


def test_a_run_is_kept_restored_packed_and_deleted(
    studio: Studio, open_page: OpenPage, people: dict[str, Path], tmp_path: Path, subtests: pytest.Subtests
) -> None:
    studio.runs.step_s = 0.0
    page = open_page(studio.url)
    show(page, "runs")
    expect(page.locator("#no-runs")).to_contain_text("none yet")
    show(page, "single")
    chosen = make_run_of_third_face(page, people["three"])
    with subtests.test("it is listed with its scores"):
        open_newest(page)
        expect(page.locator("#runs")).to_contain_text("ArcSim 0.750")
        expect(page.locator("#run-card")).to_contain_text("waving")
    with subtests.test("it is packed"):
        with zipfile.ZipFile(download(page, "#save-run-zip")) as archive:
            files = sorted(Path(name).suffix for name in archive.namelist())
        assert files == [".gif", ".json", ".mp4", ".png"]
    with subtests.test("a reload keeps the form, a run brings back the picture and the face"):
        page.reload()
        page.wait_for_selector("#generate")
        expect(page.locator("#prompt textarea")).to_have_value("waving", timeout=PATIENCE_MS)
        page.fill("#prompt textarea", "something else")
        open_newest(page)
        page.click("#restore")
        expect_form(page, "waving", 7)
        page.wait_for_function(f"src => {SEEN} === src", arg=chosen, timeout=PATIENCE_MS)
        # It stays: what the picture's own change shows does not undo it.
        page.wait_for_timeout(1500)
        assert page.locator("#seen img").get_attribute("src") == chosen
    with subtests.test("another visitor finds nothing, restores from the file, is told what is not in it"):
        show(page, "runs")
        video = tmp_path / "dropped.mp4"
        shutil.copy(download(page, "#save-run-video"), video)
        restore_elsewhere(open_page(studio.url), video)
    with subtests.test("its link restores the picture, too"):
        link = page.evaluate("document.querySelector('#run-card a').href")
        expect_form(open_page(link), "waving", 7)
    with subtests.test("it is deleted after a second thought"):
        show(page, "runs")
        page.click("#delete")
        page.click("#keep")
        page.click("#delete")
        assert len(list(studio.runs_folder.iterdir())) == 1
        page.click("#really-delete")
        expect(page.locator("#no-runs")).to_be_visible(timeout=PATIENCE_MS)
        assert list(studio.runs_folder.iterdir()) == []


def make_run_of_third_face(page: Page, picture: Path) -> str:
    """Make a video of another face than the largest; gives the address of what the model sees of it."""
    page.locator("#picture input[type=file]").first.set_input_files(picture)
    seen = page.locator("#seen img")
    largest = seen.get_attribute("src", timeout=PATIENCE_MS)
    page.locator("#faces button.thumbnail-item").nth(2).click()
    page.wait_for_function(f"src => {SEEN} !== src", arg=largest, timeout=PATIENCE_MS)
    chosen = seen.get_attribute("src")
    page.fill("#prompt textarea", "waving")
    page.locator("#advanced > button").click()
    page.fill("#seed textarea", "7")
    set_number(page, "Steps", "2")
    page.click("#generate")
    wait_for_video(page)
    return chosen


def download(page: Page, button: str) -> Path:
    """The file that a click brings."""
    with page.expect_download(timeout=PATIENCE_MS) as event:
        page.click(button)
    return event.value.path()


def restore_elsewhere(other: Page, video: Path) -> None:
    """What somebody else gets of a video dropped onto the page."""
    drop(other, video)
    expect(other.locator(".toast-body")).to_contain_text(
        "The reference picture is not in the video", timeout=PATIENCE_MS
    )
    expect(other.locator("#prompt textarea")).to_have_value("waving", timeout=PATIENCE_MS)
    show(other, "runs")
    expect(other.locator("#no-runs")).to_contain_text("none yet")
    expect(other.locator("#runs button.thumbnail-item")).to_have_count(0)


def drop(page: Page, path: Path) -> None:
    """Drop a file onto the page's head."""
    page.evaluate(
        """([data, name]) => {
            const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, {type: 'video/mp4'}));
            const options = {dataTransfer: transfer, bubbles: true, cancelable: true};
            document.querySelector('h1').dispatchEvent(new DragEvent('drop', options));
        }""",
        [base64.b64encode(path.read_bytes()).decode(), path.name],
    )


def test_two_settings_are_compared_and_voted_on_blindly(
    studio: Studio, open_page: OpenPage, people: dict[str, Path], subtests: pytest.Subtests
) -> None:
    studio.runs.step_s = 0.0
    page = open_page(studio.url)
    make_run(page, people["one"], "nodding", 7)
    open_newest(page)
    page.click("#to-compare")
    expect(page.locator("#notice")).to_contain_text("only one video", timeout=PATIENCE_MS)
    with subtests.test("another is made beside it"):
        page.get_by_role("button", name="More likeness").click()
        expect(page.locator("#sides video")).to_have_count(2, timeout=PATIENCE_MS)
        first, second = studio.runs.started
        assert second.settings.reference_guidance_scale == 3
        assert second.settings.seed == first.settings.seed == 7
        row = page.locator("#compare-scores tr", has_text="ArcSim")
        expect(row).to_contain_text(re.compile(r"0\.875.*0\.917.*\+0\.042", re.DOTALL))
    with subtests.test("they play in step"):
        watch_in_step(page)
    with subtests.test("neither settings nor scores are seen before the vote"):
        page.locator("#blind input").check()
        expect(page.locator("#vote")).to_be_visible(timeout=PATIENCE_MS)
        expect(page.locator("#sides")).not_to_contain_text("likeness")
        expect(page.locator("#compare-scores table")).to_have_count(0)
    with subtests.test("a vote answers all questions, and is counted"):
        share = vote_for_first(page)
        expect(page.locator("#tally caption")).to_have_text("likeness 2 against likeness 3")
        expect(page.locator("#tally tbody tr")).to_have_count(3)
        expect(page.locator("#tally tbody tr").first.locator("td").first).to_have_text(share)
        rows = list(csv.DictReader(download(page, "#export-votes").read_text().splitlines()))
        assert [row["criterion"] for row in rows] == ["identity", "motion", "naturalness"]
        assert {row["first_won"] for row in rows} == {"1" if share == "100 %" else "0"}
    with subtests.test("the votes' file has a known name and is not served"):
        votes = studio.outputs / "votes" / "votes.sqlite3"
        assert votes.exists()
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{studio.url}gradio_api/file={votes}")
    with subtests.test("the page fits its width"):
        for width in (1440, 1024, 390):
            page.set_viewport_size({"width": width, "height": 844})
            page.wait_for_timeout(400)
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def watch_in_step(page: Page) -> None:
    """Whatever the machine's load, neither video runs away; both follow the slider."""
    page.wait_for_function(
        "[...document.querySelectorAll('#sides video')].every(video => video.currentTime > 0.3)",
        timeout=PATIENCE_MS,
    )
    times = page.evaluate("[...document.querySelectorAll('#sides video')].map(video => video.currentTime)")
    assert abs(times[0] - times[1]) < 0.5
    page.locator("#transport button").click()
    page.locator("#transport input").fill("0.5")
    page.wait_for_function(
        "[...document.querySelectorAll('#sides video')].every(video => "
        "video.paused && Math.abs(video.currentTime - video.duration / 2) < 0.1)",
        timeout=PATIENCE_MS,
    )


def vote_for_first(page: Page) -> str:
    """Vote for the first side, once too early; gives what the tally has to say of the first variant."""
    page.click("#vote")
    expect(page.locator(".toast-body")).to_contain_text("One question is still open", timeout=PATIENCE_MS)
    for criterion in ("identity", "motion", "naturalness"):
        page.locator(f"#vote-{criterion} input").first.check()
    page.click("#vote")
    preferred = page.locator("#sides .cid-side-name span").first
    expect(preferred).to_contain_text("likeness", timeout=PATIENCE_MS)
    page.locator("#tally-fold > button").click()
    return "100 %" if preferred.inner_text() == "likeness 2" else "0 %"


def test_what_was_compared_and_deleted_is_dropped(
    studio: Studio, open_page: OpenPage, people: dict[str, Path]
) -> None:
    studio.runs.step_s = 0.0
    page = open_page(studio.url)
    make_run(page, people["one"], "nodding", 7)
    open_newest(page)
    page.click("#to-compare")
    page.get_by_role("button", name="More likeness").click()
    expect(page.locator("#sides video")).to_have_count(2, timeout=PATIENCE_MS)
    open_newest(page)
    expect(page.locator("#run-card")).to_contain_text(re.compile(r"Likeness\s*3"), timeout=PATIENCE_MS)
    page.click("#delete")
    page.click("#really-delete")
    expect(page.locator("#runs button.thumbnail-item")).to_have_count(1, timeout=PATIENCE_MS)
    open_newest(page)
    page.click("#to-compare")
    expect(page.locator("#sides video")).to_have_count(1, timeout=PATIENCE_MS)
    expect(page.locator("#notice")).to_contain_text("only one video", timeout=PATIENCE_MS)
    expect(page.locator(".toast-body")).to_have_count(0)


def test_videos_of_several_seeds_are_made_and_compared(
    studio: Studio, open_page: OpenPage, people: dict[str, Path]
) -> None:
    studio.runs.step_s = 0.0
    page = open_page(studio.url)
    field = page.locator("#videos").get_by_role("spinbutton")
    field.fill("3")
    field.blur()
    start_run(page, people["one"], "laughing", 4294967294)
    page.locator("#compare-made", has_text="Compare these 3").click(timeout=PATIENCE_MS)
    expect(page.locator("#sides video")).to_have_count(3, timeout=PATIENCE_MS)
    # After the last seed comes the first.
    assert [job.settings.seed for job in studio.runs.started] == [4294967294, 4294967295, 0]
