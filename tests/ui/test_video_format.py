"""A portrait of another length, from the form to Compare and back from the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect
from studio import Studio, choose_person_and_prompt, open_newest, wait_for_video

from concat_id.output.video import read_video


def choose_format(page: Page, size: str, frames: int) -> None:
    """Unfold the settings and set size and length."""
    page.click("#advanced button.label-wrap")
    field = page.locator("#size input")
    field.fill(size)
    field.press("Enter")
    number = page.locator("#frames input[type=number]")
    number.fill(str(frames))
    number.press("Tab")


def test_a_portrait_goes_through_the_page(
    studio: Studio, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_page(studio.url)
    studio.runs.step_s = 0.0
    choose_person_and_prompt(page)
    choose_format(page, "96x160", 33)
    expect(page.locator("#advanced .cid-hint").last).to_contain_text("4.1 s at 8 frames per second. At least")
    page.click("#generate")
    wait_for_video(page)
    (video,) = studio.runs_folder.glob("*/*.mp4")
    assert read_video(video).frames.shape == (33, 160, 96, 3)
    settings = json.loads(video.with_suffix(".json").read_text())["job"]["settings"]
    assert (settings["width"], settings["height"], settings["num_frames"]) == (96, 160, 33)
    # Compare: a variation has the same size.
    open_newest(page)
    page.click("#to-compare")
    page.get_by_role("button", name="Half the steps").click()
    expect(page.locator("#sides video")).to_have_count(2, timeout=60_000)
    jobs = [run.settings for run in studio.runs.started]
    assert len(jobs) == 2 and {(job.width, job.height, job.num_frames) for job in jobs} == {(96, 160, 33)}
    # Restore, in a browser that keeps nothing.
    page = open_page(f"{studio.url}?run={video.parent.name}")
    expect(page.locator("#prompt textarea")).not_to_have_value("")
    page.click("#advanced button.label-wrap")
    expect(page.locator("#size input")).to_have_value("96x160")
    expect(page.locator("#frames input[type=number]")).to_have_value("33")
