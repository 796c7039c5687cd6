"""The forms of several references in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect
from studio import Studio, show, wait_for_video

OpenPage = Callable[..., Page]

PATIENCE_MS = 90_000


def upload(page: Page, slot: str, picture: Path, state: str = "ready") -> None:
    """Give a slot its picture, and wait for its answer."""
    page.locator(f"#{slot}-picture input[type=file]").first.set_input_files(picture)
    page.wait_for_selector(f"#{slot}-seen [data-state={state}]", timeout=PATIENCE_MS)


def generate(page: Page, task: str, prompt: str) -> None:
    """Make a video."""
    page.fill(f"#{task}-prompt textarea", prompt)
    page.click(f"#{task}-generate")
    wait_for_video(page, f"{task}-video")


def value_of(page: Page, task: str, metric: str) -> Locator:
    """A card's number beside the finished video."""
    return page.locator(f"#{task}-scores [data-state=final] [data-metric={metric}] .cid-value")


def seen_in(page: Page, slot: str) -> str | None:
    """What the model sees in a slot."""
    return page.locator(f"#{slot}-seen img").get_attribute("src", timeout=PATIENCE_MS)


def test_people_from_a_group_photo_are_swapped_and_scored(
    studio: Studio, open_page: OpenPage, people: dict[str, Path]
) -> None:
    studio.runs.step_s = 0.0
    page = open_page(studio.url)
    show(page, "multi")
    second = page.locator("#multi-second-picture [data-testid=block-label]")
    expect(second).to_contain_text("2 right")
    with page.expect_file_chooser() as chooser:
        page.click("#group")
    chooser.value.set_files(people["three"])
    for slot in ("first", "second", "third"):
        page.wait_for_selector(f"#multi-{slot}-seen [data-state=ready]", timeout=PATIENCE_MS)
    expect(second).to_contain_text("2 middle", timeout=PATIENCE_MS)
    left, middle = seen_in(page, "multi-first"), seen_in(page, "multi-second")
    assert left != middle
    page.click("#swap-1")
    expect(page.locator("#multi-first-seen img")).to_have_attribute("src", middle, timeout=PATIENCE_MS)
    expect(page.locator("#multi-second-seen img")).to_have_attribute("src", left, timeout=PATIENCE_MS)
    generate(page, "multi", "three friends waving")
    references = studio.runs.started[0].references
    assert [reference.face_index for reference in references] == [1, 0, 2]
    panel = page.locator("#multi-scores [data-state=final]")
    expect(panel).to_contain_text("Least alike: 3 right")
    expect(panel.locator("tbody tr")).to_have_count(3)
    expect(panel.locator("[data-metric=arcsim] .cid-value")).to_have_text("0.650")

    # Another tab's stage is empty, and so are the scores beside it.
    show(page, "single")
    expect(page.locator("#multi-scores")).to_be_hidden()
    expect(page.locator("#scores")).to_be_visible()
    expect(page.locator("#scores .cid-value").first).to_have_text("–")

    # Restored, with everyone's face.
    show(page, "runs")
    page.locator("#runs button.thumbnail-item").first.click(timeout=PATIENCE_MS)
    page.click("#restore")
    expect(page.locator("#multi-first-seen img")).to_have_attribute("src", middle, timeout=PATIENCE_MS)
    expect(page.locator("#multi-third-seen [data-state=ready]")).to_be_visible(timeout=PATIENCE_MS)


def test_a_garment_is_tried_on_and_a_place_gone_to(
    studio: Studio, open_page: OpenPage, people: dict[str, Path]
) -> None:
    studio.runs.step_s = 0.0
    page = open_page(studio.url)
    show(page, "try-on")
    upload(page, "try-on-face", people["one"])
    page.fill("#try-on-prompt textarea", "waving")
    page.click("#try-on-generate")
    expect(page.locator(".toast-body")).to_contain_text(
        "There is no picture of a garment", timeout=PATIENCE_MS
    )
    upload(page, "try-on-garment", people["none"], "refused")
    page.click("#try-on-garment-take-whole")
    page.wait_for_selector("#try-on-garment-seen [data-state=ready]", timeout=PATIENCE_MS)
    whole = seen_in(page, "try-on-garment")
    upload(page, "try-on-garment", people["one"])
    cut_out = page.locator("#try-on-garment-seen img")
    expect(cut_out).not_to_have_attribute("src", whole, timeout=PATIENCE_MS)
    generate(page, "try-on", "wearing the garment")
    expect(value_of(page, "try-on", "garment")).to_have_text("0.610")
    face, garment = studio.runs.started[0].references
    assert (face.role, garment.role, garment.whole_picture) == ("face", "garment", False)

    show(page, "background")
    expect(page.locator("#try-on-scores")).to_be_hidden()
    expect(page.locator("#background-scores .cid-value").first).to_have_text("–")
    upload(page, "background-face", people["one"])
    upload(page, "background-place", people["three"])
    expect(page.locator("#background-place-seen")).to_contain_text("people in the picture were removed")
    studio.runs.step_s = 0.4
    page.fill("#background-prompt textarea", "laughing")
    page.click("#background-generate")
    page.wait_for_selector("#background-stage [data-state=running] img", timeout=PATIENCE_MS)
    page.click("#background-stop")
    expect(page.locator("#background-stage")).to_contain_text("Stopped", timeout=PATIENCE_MS)
    expect(page.locator("#background-scores .cid-value").first).to_have_text("–")
    studio.runs.step_s = 0.0
    generate(page, "background", "laughing")
    expect(value_of(page, "background", "background")).to_have_text("0.720")
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator("#background-scores")).to_be_visible()
    page.wait_for_function("document.documentElement.scrollWidth <= 390", timeout=PATIENCE_MS)
