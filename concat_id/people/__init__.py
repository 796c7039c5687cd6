"""Synthetic people: a batched renderer of stylised people with ground truth, for training and evaluation."""

from __future__ import annotations

from concat_id.people.captions import Given, write_captions
from concat_id.people.identity import HAIR_STYLES
from concat_id.people.outfit import GARMENTS, HEADWEAR, PATTERNS
from concat_id.people.palette import COLORS
from concat_id.people.performance import EXPRESSIONS, MOTIONS
from concat_id.people.place import PLACES
from concat_id.people.renderer import Rendering, render
from concat_id.people.scene import SEED_RANGES, Scenes, Split, sample_scenes
from concat_id.people.takes import sample_takes

__all__ = [
    "COLORS", "EXPRESSIONS", "GARMENTS", "Given", "HAIR_STYLES", "HEADWEAR", "MOTIONS", "PATTERNS", "PLACES",
    "Rendering", "SEED_RANGES", "Scenes", "Split", "render", "sample_scenes", "sample_takes",
    "write_captions",
]  # fmt: skip
