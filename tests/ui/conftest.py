"""A served page and a browser for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hub import Hub, serve_hub
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from served import open_browser
from studio import Studio, serve_studio

from concat_id.loading.presets import PRESETS


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pictures to upload: one with a face, the same as a photograph, one with three faces, one without, and
    a file that is no picture."""
    folder = tmp_path_factory.mktemp("people")
    draw = np.random.default_rng(5)
    paths = {}
    for name, (width, height) in {"one": (200, 200), "three": (600, 200)}.items():
        coarse = draw.integers(0, 255, (8, 8 * width // height, 3), dtype=np.uint8)
        paths[name] = folder / f"{name}.png"
        Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(paths[name])
    paths["photograph"] = folder / "photograph.jpg"
    Image.open(paths["one"]).save(paths["photograph"])
    paths["none"] = folder / "none.png"
    Image.new("RGB", (200, 200), "grey").save(paths["none"])
    paths["damaged"] = folder / "damaged.png"
    paths["damaged"].write_bytes(paths["one"].read_bytes()[:400])
    return paths


@pytest.fixture
def studio(tmp_path: Path, people: dict[str, Path]) -> Iterator[Studio]:
    """The page on a free port, with one example person."""
    with serve_studio(tmp_path, people, "embedded") as studio:
        yield studio


@pytest.fixture
def photo_studio(tmp_path: Path, people: dict[str, Path]) -> Iterator[Studio]:
    """The same, with a model for photographs to choose."""
    with serve_studio(tmp_path, people, "embedded", models=("wan-1.3b-adaln",)) as studio:
        yield studio


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub, and on it two files of a preset that is not on this machine."""
    far = replace(PRESETS["embedded"], title="From afar", clip="hub:some/clip")
    monkeypatch.setitem(PRESETS, "far", far)
    with serve_hub(tmp_path / "hub") as hub:
        hub.repositories["some/clip"] = {"a.bin": b"1", "b.bin": b"22"}
        yield hub


# Generous: other work may share the machine.
PATIENCE_MS = 120_000
ENDS = ("AbortError", "Connection errored out")
expect.set_options(timeout=90_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium that is on this machine, else the one Playwright fetched."""
    with open_browser() as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages; at the end, none of them may have complained or asked anything of the outside."""
    contexts, complaints, requests = [], [], []

    def open_page(url: str, width: int = 1440, height: int = 900, **options: str) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda entry: complaints.append(entry.text) if entry.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(url)
        page.wait_for_selector("#generate")
        return page

    yield open_page
    # A reload breaks off the stream that a page listens to, of which Gradio complains: that is none.
    complained = [text for text in complaints if not any(end in text for end in ENDS)]
    for context in contexts:
        context.close()
    assert complained == []
    local = ("http://127.0.0.1", "http://localhost", "data:", "blob:")
    assert [url for url in requests if not url.startswith(local)] == []
