"""What axe objects to on a page that has come to rest."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

GRAVE = ("serious", "critical")
# Gradio fades what is about to change, and axe measures the colours of the moment; pulses never end.
AT_REST = """() => document.querySelector(".pending") === null && document.getAnimations().every(
    animation => animation.playState !== "running" || animation.effect.getTiming().iterations === Infinity
)"""


def find_grave_violations(page: Page) -> list[str]:
    """Each broken rule of accessibility that is serious or critical, with the first elements concerned."""
    page.wait_for_function(AT_REST)
    violations = Axe().run(page).response["violations"]
    return [
        f"{found['id']}: {found['help']}: {[node['html'][:200] for node in found['nodes'][:3]]}"
        for found in violations
        if found["impact"] in GRAVE
    ]
