"""Damaged files of every kind that is read are answered by a result or a sentence, in bounded time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fuzz import answer, build_targets, mutate

TARGETS = (
    *("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "transparent", "PNG with a profile"),
    *("JPEG with a profile", "WEBP with a profile", "TIFF with a profile", "MP4", "restored MP4", "WebM"),
    *("sidecar", "run", "jobs", "LoRA"),
)
# Reading a video starts a program.
NUMBER = {"MP4": 6, "restored MP4": 6, "WebM": 6}
MAX_S = 30


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_answered(name: str, tmp_path: Path) -> None:
    target = build_targets(tmp_path)[name]
    answer(target, target.good, tmp_path)
    for data in mutate(target, NUMBER.get(name, 40), seed=11):
        began = time.monotonic()
        answer(target, data, tmp_path)
        assert time.monotonic() - began < MAX_S


def test_every_kind_is_damaged(tmp_path: Path) -> None:
    assert set(TARGETS) == build_targets(tmp_path).keys()
