"""Bands of similarity between a reference and a clip, and how the paper's carry over to another recogniser.

The paper's bounds are cosines of its ArcFace. Another recogniser spreads the same pairs over other numbers; a
bound is therefore carried over by its rank: `RANKS` says which share of all pairs of one person from two
clips lies below each of the paper's bounds, and that share of the other recogniser's cosines gives its bound.
The paper does not print the distribution of its cosines; the ranks are our reading of what each bound is for:

    .70  leaves out the pairs in which the person is hard to recognise            the lowest three tenths
    .87  the later, stricter lower bound (Wan release, several people, try-on)    the lower seven tenths
    .90  cross-video pairs end, trade-off pairs begin                             the lower eight tenths
    .97  the stricter upper bound                                                 all but a twentieth
    .99  beyond are copies of the reference                                       all but a hundredth
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

RANKS = {0.70: 0.30, 0.87: 0.70, 0.90: 0.80, 0.97: 0.95, 0.99: 0.99}


@dataclass(frozen=True)
class Band:
    """Cosines from `low` to `high`, both included."""

    low: float
    high: float

    def holds(self, cosines: Tensor) -> Tensor:
        """Whether cosines, of any shape, lie in the band."""
        return (cosines >= self.low) & (cosines <= self.high)


# Stage II, one person.
CROSS_VIDEO = Band(0.70, 0.90)
# Stage II of the Wan release, several people, try-on, background.
CROSS_VIDEO_STRICT = Band(0.87, 0.97)
# Stage III; its upper bound keeps the model from pasting the reference into the video.
TRADE_OFF = Band(0.90, 0.99)


def carry_over(band: Band, cosines: Tensor) -> Band:
    """One of the paper's bands for another recogniser.

    Args:
        band: with bounds out of `RANKS`.
        cosines: of that recogniser for pairs of one person from two clips, (M,).
    """
    unknown = {band.low, band.high} - RANKS.keys()
    if unknown:
        raise ValueError(f"no rank is known for the bounds {sorted(unknown)}; choose from {sorted(RANKS)}.")
    low, high = cosines.float().quantile(torch.tensor([RANKS[band.low], RANKS[band.high]])).tolist()
    return Band(low, high)
