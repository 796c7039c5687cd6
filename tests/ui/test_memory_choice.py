"""Memory is offered where there is a GPU that makes the videos."""

from __future__ import annotations

import pytest

from concat_id.ui.forms import memory_choice
from concat_id.ui.forms.memory_choice import build_memory_choice


@pytest.mark.parametrize(
    ("device", "is_offered", "visible"), [("cuda", True, True), ("cuda", False, False), ("cpu", True, False)]
)
def test_it_is_seen_where_it_matters(
    monkeypatch: pytest.MonkeyPatch, device: str, is_offered: bool, visible: bool
) -> None:
    monkeypatch.setattr(memory_choice, "choose_device", lambda _: device)
    assert build_memory_choice(is_offered=is_offered).visible == visible
