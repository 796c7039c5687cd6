"""No serious violation of accessibility rules on any tab, as axe finds them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page
from studio import Studio, show
from violations import find_grave_violations

from concat_id.ui.layout import TABS


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_no_tab_has_a_grave_violation(
    studio: Studio, open_page: Callable[..., Page], color_scheme: str
) -> None:
    studio.runs.step_s = 0.0
    page = open_page(studio.url, color_scheme=color_scheme)
    page.locator("#people button.gallery-item").first.click()
    page.wait_for_selector("#seen [data-state=ready]", timeout=60_000)
    page.fill("#prompt textarea", "a person laughing on a beach")
    page.click("#generate")
    page.wait_for_selector("#scores [data-state=final]", timeout=60_000)
    complaints = {}
    for tab in [*(kind.id for kind in TABS), "results"]:
        show(page, tab)
        complaints[tab] = find_grave_violations(page)
    assert not any(complaints.values()), complaints
