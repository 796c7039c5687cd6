"""Clips for the models that watch videos: as drawn and coded, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from concat_id.loading.presets import EMBEDDED
from train.scoring import clip_cache
from train.scoring.clip_cache import CLIP_SIZE, NUM_FRAMES, load_clips, load_coded_clips


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_cache, "CHUNK_CLIPS", 4)
    monkeypatch.setattr(clip_cache, "BATCH", 2)


def test_coded_clips_show_the_same_as_drawn_ones_nearly(tmp_path: Path) -> None:
    drawn = load_clips(tmp_path, "validation", 1)
    coded = load_coded_clips(tmp_path, "validation", range(1), EMBEDDED / "vae")
    assert drawn.frames.shape == coded.frames.shape == (4, NUM_FRAMES, 3, CLIP_SIZE, CLIP_SIZE)
    assert torch.equal(drawn.truth, coded.truth)
    own = (drawn.frames.float() - coded.frames.float()).abs().mean((1, 2, 3, 4)) / 255
    others = (drawn.frames.float() - coded.frames.roll(1, 0).float()).abs().mean((1, 2, 3, 4)) / 255
    assert 0.001 < own.min() and own.max() < 0.06 and (own < 0.5 * others).all()


def test_a_chunk_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_clips(tmp_path, "validation", 2)
    monkeypatch.setattr(clip_cache, "take_clips", None)
    again = load_clips(tmp_path, "validation", 2)
    assert torch.equal(first.frames, again.frames) and torch.equal(first.truth, again.truth)
    assert not torch.equal(first.frames[:4], first.frames[4:])
