"""The README's pictures of the studio, taken with the embedded model.

python tests/ui/screenshots.py [--output assets/screenshots]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from playwright.sync_api import Browser
from served import ROOT, open_browser, serve_app
from studio import wait_for_video

# Name, width and height in px, colour scheme, which example person.
VIEWS = (
    ("single", 1440, 900, "light", 5),
    ("single-dark", 1440, 900, "dark", 2),
    ("single-phone", 390, 844, "light", 6),
)
PROMPT, SEED = "a person laughing on a beach", 7


def take(browser: Browser, url: str, view: tuple[str, int, int, str, int], output: Path) -> None:
    """Make a video and picture the page."""
    name, width, height, scheme, person = view
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.goto(url)
    page.locator("#people button.gallery-item").nth(person).click()
    page.wait_for_selector("#seen [data-state=ready]", timeout=60_000)
    page.fill("#prompt textarea", PROMPT)
    page.locator("#advanced button").first.click()
    page.fill("#seed textarea", str(SEED))
    page.locator("#advanced button").first.click()
    page.click("#generate")
    wait_for_video(page)
    page.evaluate("window.scrollTo(0, 0)")
    page.mouse.move(0, 0)
    page.wait_for_timeout(1500)
    page.screenshot(path=output / f"{name}.png", full_page=width < 768)
    context.close()


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, take every view."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=ROOT / "assets" / "screenshots")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as runs, serve_app(Path(runs)) as url, open_browser() as browser:
        for view in VIEWS:
            take(browser, url, view, options.output)


if __name__ == "__main__":
    main()
