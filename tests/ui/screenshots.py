"""The README's pictures of the studio, with the embedded model: every tab, one in the dark, one on a phone.

python tests/ui/screenshots.py [--output assets/screenshots]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page
from served import ROOT, open_browser, serve_app
from studio import show, wait_for_video

READY_MS = 60_000


@dataclass(frozen=True)
class Form:
    """A tab's form filled in: which example is clicked in which slot, and the prompt."""

    task: str
    prompt: str
    examples: Mapping[str, int]  # by the slot's part of the elements' names
    seed: int = 7

    @property
    def page(self) -> str:
        """What goes before the names of the tab's elements."""
        return "" if self.task == "single" else f"{self.task}-"


SINGLE = Form("single", "a surprised person on a beach, wearing a yellow t-shirt", {"": 0})
# The last one's run is opened and compared.
FORMS = (
    Form("multi", "two people smiling in a park", {"first-": 0, "second-": 2}, seed=9),
    Form("try-on", "a person smiling in a forest", {"face-": 2, "garment-": 7}),
    Form("background", "a person smiling", {"face-": 3, "place-": 0}),
    SINGLE,
)


@dataclass(frozen=True)
class View:
    """A window, and the forms that are filled in and pictured in it."""

    name: str  # goes behind the tab's
    width: int  # px
    height: int  # px
    scheme: str = "light"
    forms: tuple[Form, ...] = field(default=(SINGLE,))


VIEWS = (
    View("", 1440, 900, forms=FORMS),
    View("-dark", 1440, 900, "dark"),
    View("-phone", 390, 844),
)


def fill_in(page: Page, form: Form) -> None:
    """Show the tab, choose the examples, write the prompt, and make the video."""
    show(page, form.task)
    for slot, number in form.examples.items():
        page.locator(f"#{form.page}{slot}people button.gallery-item").nth(number).click()
        page.wait_for_selector(f"#{form.page}{slot}seen [data-state=ready]", timeout=READY_MS)
    page.fill(f"#{form.page}prompt textarea", form.prompt)
    advanced = page.locator(f"#{form.page}advanced button").first
    advanced.click()
    page.fill(f"#{form.page}seed textarea", str(form.seed))
    advanced.click()
    page.click(f"#{form.page}generate")
    wait_for_video(page, f"{form.page}video")


def picture(page: Page, path: Path, *, whole_page: bool) -> None:
    """Write what the window shows, once it has settled."""
    page.evaluate("window.scrollTo(0, 0)")
    page.mouse.move(0, 0)
    page.wait_for_timeout(1500)
    shot = Image.open(BytesIO(page.screenshot(full_page=whole_page))).convert("RGB")
    shot.save(path, quality=90)


def compare(page: Page) -> None:
    """Put the open run beside another one with more likeness."""
    page.click("#to-compare")
    page.get_by_role("button", name="More likeness").click()
    page.wait_for_selector("#side-1 video", timeout=READY_MS)


def take(browser: Browser, url: str, view: View, output: Path) -> None:
    """Make the view's videos and picture their tabs; where all were made, also the list of them."""
    size = {"width": view.width, "height": view.height}
    context = browser.new_context(viewport=size, color_scheme=view.scheme)
    page = context.new_page()
    page.goto(url)
    for form in view.forms:
        fill_in(page, form)
        picture(page, output / f"{form.task}{view.name}.webp", whole_page=view.width < 768)
    if len(view.forms) == len(FORMS):
        show(page, "runs")
        page.locator("#runs button").first.click()
        page.wait_for_selector("#run-video video", timeout=READY_MS)
        picture(page, output / "runs.webp", whole_page=False)
        compare(page)
        picture(page, output / "compare.webp", whole_page=False)
        if page.locator("[role=tab]", has_text="Results").count():
            show(page, "results")
            picture(page, output / "results.webp", whole_page=False)
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
