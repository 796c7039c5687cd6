"""What a video will take is said below the button, before it is pressed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from studio import Studio, serve_studio

from concat_id.job import Job
from concat_id.pace import Pace, remember
from concat_id.references.reference import Reference
from concat_id.ui.forms.forecast import draw_forecast, say_duration
from concat_id.ui.tasks import MULTI, SINGLE

PIXELS = 17 * 256 * 256
OWN = {"size": "256x256", "frames": 17, "steps": 15, "guidance": 3.0, "likeness": 1.0, "speed": "exact"}


@pytest.fixture(autouse=True)
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """What lets a machine on which nothing has run yet know the embedded model."""
    monkeypatch.setenv("CONCAT_ID_CACHE", str(tmp_path / "cache"))
    job = Job("single", (Reference("face", ""),), "waving", preset="embedded").resolve()
    # A second for a pass over its own size: half a minute for its steps.
    pace = Pace(0.0, 1 / (6 * 64) / 2, 6 * 64.0, 0.0, 4 / PIXELS, 10**9, 0.2e9 / PIXELS)
    return lambda: remember(job, "cpu", None, pace)


def test_it_follows_what_is_asked_for(measured: Callable[[], None]) -> None:
    assert "known after the first video. Memory: about 1 GB" in draw_forecast(SINGLE, "embedded", 1, OWN)
    measured()
    assert "About 34 s and 1.2 GB of memory, as measured" in draw_forecast(SINGLE, "embedded", 1, OWN)
    assert "About 2 min for 4 videos and 1.2 GB" in draw_forecast(SINGLE, "embedded", 4, OWN)
    # Nine of the steps are computed.
    assert "About 22 s" in draw_forecast(SINGLE, "embedded", 1, OWN | {"speed": "balanced"})
    assert "About 19 s" in draw_forecast(SINGLE, "embedded", 1, OWN | {"guidance": 1.0})
    # The draft has the same weights; a further person's picture is worked on, too.
    assert "About 8 s" in draw_forecast(SINGLE, "embedded-draft", 1, {})
    assert "About 42 s" in draw_forecast(MULTI, "embedded", 1, OWN)
    assert "after the first video" in draw_forecast(SINGLE, "wan-1.3b-adaln", 1, {})
    for wrong in ("wide", "95x160"):
        assert draw_forecast(SINGLE, "embedded", 1, OWN | {"size": wrong}) == ""


def test_durations_are_no_more_exact_than_they_are_known() -> None:
    said = [say_duration(seconds) for seconds in (0.2, 41.6, 100, 3600, 9000)]
    assert said == ["1 s", "42 s", "2 min", "60 min", "2.5 h"]


def test_the_page_says_it(
    studio: Studio, open_page: Callable[..., Page], measured: Callable[[], None]
) -> None:
    page = open_page(studio.url)
    expect(page.locator("#forecast")).to_contain_text("known after the first video")
    measured()
    page.reload()
    expect(page.locator("#forecast")).to_contain_text("About 22 s and 1.2 GB")
    page.locator("#videos input[type=number]").fill("2")
    page.locator("#videos input[type=number]").press("Tab")
    expect(page.locator("#forecast")).to_contain_text("About 44 s for 2 videos")


def test_nothing_is_said_of_another_machine(
    tmp_path: Path, people: dict[str, Path], open_page: Callable[..., Page], measured: Callable[[], None]
) -> None:
    measured()
    with serve_studio(tmp_path, people, "embedded", replicas=2) as studio:
        page = open_page(studio.url)
        page.locator("#videos input[type=number]").fill("2")
        page.locator("#videos input[type=number]").press("Tab")
        page.locator("#people button.gallery-item").first.click()
        page.wait_for_selector("#seen [data-state=ready]")
        expect(page.locator("#forecast")).to_have_text("")
