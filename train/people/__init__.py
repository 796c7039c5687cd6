"""Synthetic people: a batched renderer of stylised people with ground truth, for training and evaluation."""

from .captions import write_captions
from .identity import HAIR_STYLES
from .outfit import GARMENTS, HEADWEAR, PATTERNS
from .palette import COLORS
from .performance import EXPRESSIONS, MOTIONS
from .place import PLACES
from .renderer import Rendering, render
from .scene import SEED_RANGES, Scenes, Split, sample_scenes

__all__ = [
    "COLORS", "EXPRESSIONS", "GARMENTS", "HAIR_STYLES", "HEADWEAR", "MOTIONS", "PATTERNS", "PLACES",
    "Rendering", "SEED_RANGES", "Scenes", "Split", "render", "sample_scenes", "write_captions",
]  # fmt: skip
