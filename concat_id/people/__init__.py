"""Synthetic people: a batched renderer of stylised people with ground truth, for training and evaluation."""

from .captions import Given, write_captions
from .identity import HAIR_STYLES
from .outfit import GARMENTS, HEADWEAR, PATTERNS
from .palette import COLORS
from .performance import EXPRESSIONS, MOTIONS
from .place import PLACES
from .renderer import Rendering, render
from .scene import SEED_RANGES, Scenes, Split, sample_scenes
from .takes import sample_takes

__all__ = [
    "COLORS", "EXPRESSIONS", "GARMENTS", "Given", "HAIR_STYLES", "HEADWEAR", "MOTIONS", "PATTERNS", "PLACES",
    "Rendering", "SEED_RANGES", "Scenes", "Split", "render", "sample_scenes", "sample_takes",
    "write_captions",
]  # fmt: skip
