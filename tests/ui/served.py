"""The shipped program, started as a visitor's host would start it, and the browser it is looked at with."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserType, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
START_S = 180
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A Chromium that is on this machine, else the one Playwright fetched."""
    with sync_playwright() as playwright, launch(playwright.chromium) as browser:
        yield browser


@contextmanager
def launch(chromium: BrowserType, *options: str) -> Iterator[Browser]:
    """One more browser with options of its own; `browser.browser_type` gives what launches it."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    browser = chromium.launch(executable_path=executable, args=[*QUIET, *options])
    yield browser
    browser.close()


@contextmanager
def serve_app(outputs: Path, **environment: str) -> Iterator[str]:
    """`python app.py` on a free port, with more variables; gives its address once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "app.py", "--port", str(port), "--outputs", str(outputs)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "HF_HUB_OFFLINE": "1"} | environment)
    url = f"http://127.0.0.1:{port}/"
    try:
        _wait_until_served(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_served(url: str, process: subprocess.Popen) -> None:
    """Wait until the page answers, or the program ended."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.3)
    raise AssertionError(f"the program did not serve its page (exit code {process.poll()})")
