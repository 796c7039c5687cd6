"""The shipped program with the embedded model: `python app.py`, and a visitor."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import skimage.data
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import Page, expect
from served import ROOT, serve_app
from studio import wait_for_video

from concat_id.loading.presets import EMBEDDED

pytestmark = pytest.mark.skipif(not (EMBEDDED / "model_index.json").exists(), reason="no embedded checkpoint")


@pytest.fixture(scope="module")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The program on a free port, once it answers; when it was ended, nothing temporary is left."""
    temporary = tmp_path_factory.mktemp("temporary")
    with serve_app(tmp_path_factory.mktemp("outputs"), TMPDIR=str(temporary)) as url:
        yield url
        assert list(temporary.glob("concat-id-uploads-*/*"))
    assert not [path for path in temporary.rglob("*") if path.is_file()]


def test_an_example_person_laughs_on_a_beach(app_url: str, open_page: Callable[..., Page]) -> None:
    page = open_page(app_url)
    page.locator("#people button.gallery-item").first.click()
    page.wait_for_selector("#seen [data-state=ready]")
    page.fill("#prompt textarea", "laughing on a beach")
    page.click("#generate")
    page.wait_for_selector("#stage [data-state=running] img")
    # On a busy machine the page may see no more of the run than its end.
    page.wait_for_selector("#scores [data-state=running], #scores [data-state=final]")
    wait_for_video(page)
    for metric in ("arcsim", "clipdist"):
        value = page.locator(f"#scores [data-state=final] [data-metric={metric}] .cid-value")
        expect(value).to_have_text(re.compile(r"^[01]\.\d{3}$"))
    expect(page.locator("#scores .cid-curve circle").first).to_be_attached()


def test_a_draft_takes_four_steps(app_url: str, open_page: Callable[..., Page]) -> None:
    page = open_page(app_url)
    page.locator("#people button.gallery-item").first.click()
    page.wait_for_selector("#seen [data-state=ready]")
    page.locator("#ideas button").first.click()
    page.get_by_label("Draft", exact=True).first.check()
    page.locator("#advanced > button").click()
    expect(page.get_by_label("Steps").first).to_have_value("4")
    page.click("#generate")
    page.wait_for_selector(".cid-progress-text >> text=/Step \\d of 4/")
    wait_for_video(page)
    expect(page.locator("#scores [data-state=final] [data-metric=arcsim] .cid-value")).to_have_text(
        re.compile(r"^-?[01]?\.?\d+$")
    )


def test_stop_and_start_again(app_url: str, open_page: Callable[..., Page]) -> None:
    page = open_page(app_url)
    page.locator("#people button.gallery-item").nth(1).click()
    page.wait_for_selector("#seen [data-state=ready]")
    page.locator("#ideas button").nth(1).click()
    page.click("#generate")
    page.wait_for_selector("#stage [data-state=running] img")
    page.click("#stop")
    expect(page.locator("#stage")).to_contain_text("Stopped", timeout=20_000)
    page.click("#generate")
    wait_for_video(page)


def test_a_picture_without_a_face_is_said_so(
    app_url: str, open_page: Callable[..., Page], people: dict[str, Path]
) -> None:
    page = open_page(app_url)
    page.locator("#picture input[type=file]").first.set_input_files(people["none"])
    expect(page.locator("#seen [data-state=refused]")).to_contain_text("No face was found")


def test_a_photographed_astronaut_becomes_a_drawn_one(
    app_url: str, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    photograph = tmp_path / "astronaut.jpg"
    Image.fromarray(skimage.data.astronaut()).save(photograph)
    page = open_page(app_url)
    page.locator("#picture input[type=file]").first.set_input_files(photograph)
    expect(page.locator("#photo")).to_be_visible(timeout=60_000)
    page.click("#photo-alike")
    expect(page.locator("#photo")).to_be_hidden(timeout=60_000)
    expect(page.locator("#draw-hair-color [value=brown]")).to_be_checked()
    page.wait_for_selector("#seen [data-state=ready]")
    page.fill("#prompt textarea", "smiling in the snow")
    page.click("#generate")
    page.wait_for_selector("#stage [data-state=running] img")


def test_a_program_gets_video_scores_and_settings(app_url: str) -> None:
    client = Client(app_url, verbose=False, analytics_enabled=False, httpx_kwargs={"timeout": 120})
    picture = handle_file(ROOT / "assets/examples/fay.png")
    video, sidecar, report = client.predict(
        picture=picture, prompt="smiling in the snow", seed=7, steps=6, api_name="/generate"
    )
    assert Path(video["video"] if isinstance(video, dict) else video).stat().st_size > 1000
    assert json.loads(Path(sidecar).read_text())["job"]["settings"]["seed"] == report["seed"] == 7
    assert 0 <= report["scores"]["arcsim"] <= 1
