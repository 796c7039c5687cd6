"""What a person wears: garment, colours, pattern, now and then a hat or sunglasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from concat_id.people.columns import Columns
from concat_id.people.dice import Dice, pick, scramble
from concat_id.people.identity import per_frame
from concat_id.people.palette import COLORS, color_table

GARMENTS = ("t-shirt", "shirt", "jacket", "hoodie", "dress", "turtleneck")
PATTERNS = ("plain", "striped", "pinstriped", "dotted", "checked", "star", "heart")
HEADWEAR = ("none", "beanie", "headscarf", "sunglasses")

PATTERN_WEIGHTS = (2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
HEADWEAR_WEIGHTS = (0.97, 0.015, 0.01, 0.005)
# Combinations tried per garment seed until one belongs to the seed's split.
CANDIDATES = 200
# A combination of garment, colours and pattern belongs to one split only: tenths by its hash.
COMBINATION_SHARES = (("train", 0, 8), ("validation", 8, 9), ("test", 9, 10))


@dataclass(frozen=True)
class Outfit(Columns):
    """Outfits, (B, P) each, colours (B, P, 3); after the seed come six category numbers, int64."""

    seed: Tensor
    garment: Tensor
    pattern: Tensor
    color: Tensor
    second_color: Tensor
    headwear: Tensor
    headwear_color: Tensor
    # the same as colours and sizes
    rgb: Tensor
    second_rgb: Tensor
    headwear_rgb: Tensor
    pattern_scale: Tensor
    pompom: Tensor

    def at_frames(self, person: int, num_frames: int) -> Self:
        """One person of every clip, once per frame: (B * T, 1, 1, 1), colours (B * T, 3, 1, 1)."""
        return self.apply(lambda value: per_frame(value[:, person], num_frames))


def combination_share(garment: Tensor, pattern: Tensor, color: Tensor, second_color: Tensor) -> Tensor:
    """The tenth (0 to 9) that decides to which split a combination belongs."""
    number = ((garment * len(PATTERNS) + pattern) * len(COLORS) + color) * len(COLORS) + second_color
    return scramble(number + 0x2545F491) % 10


def sample_outfits(seeds: Tensor, *, split: str, garment: Tensor | None, headwear: Tensor | None) -> Outfit:
    """The outfits of these garment seeds, (B, P) int64.

    Args:
        split: whose combinations of garment, colours and pattern may appear.
        garment: category numbers to force, (B, P), or None.
        headwear: category numbers to force, (B, P), or None.
    """
    dice = Dice(seeds, "outfit")
    garment, pattern, color, second = _sample_combination(seeds, split, garment)
    if headwear is None:
        headwear = dice.choice("headwear", torch.tensor(HEADWEAR_WEIGHTS))
    table = color_table(COLORS)
    headwear_color = dice.choice("headwear_color", len(COLORS))
    return Outfit(
        seed=seeds,
        garment=garment,
        pattern=pattern,
        color=color,
        second_color=second,
        headwear=headwear,
        headwear_color=headwear_color,
        rgb=pick(table, color),
        second_rgb=pick(table, second),
        headwear_rgb=pick(table, headwear_color),
        pattern_scale=dice.uniform("pattern_scale", 0.75, 1.3),
        pompom=dice.chance("pompom", 0.6),
    )


def _sample_combination(seeds: Tensor, split: str, garment: Tensor | None) -> tuple[Tensor, ...]:
    """The first of several candidate combinations that belongs to the split, four (B, P) tensors."""
    tries = torch.arange(CANDIDATES, device=seeds.device)
    dice = Dice(seeds.unsqueeze(-1) * CANDIDATES + tries, "combination")  # (B, P, K)
    kind = (
        dice.choice("garment", len(GARMENTS))
        if garment is None
        else garment.unsqueeze(-1).expand(dice.state.shape)
    )
    pattern = dice.choice("pattern", torch.tensor(PATTERN_WEIGHTS))
    color = dice.choice("color", len(COLORS))
    second = (color + 1 + dice.choice("second_color", len(COLORS) - 1)) % len(COLORS)
    _, low, high = next(share for share in COMBINATION_SHARES if share[0] == split)
    share = combination_share(kind, pattern, color, second)
    first = ((share >= low) & (share < high)).float().argmax(-1, keepdim=True)
    return tuple(column.gather(-1, first).squeeze(-1) for column in (kind, pattern, color, second))
