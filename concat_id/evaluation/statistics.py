"""Means with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ROUNDS = 2000


@dataclass(frozen=True)
class Estimate:
    """A mean, its 95 % interval, and of how many videos it is."""

    mean: float
    low: float
    high: float
    count: int


def estimate(values: Sequence[float], groups: Sequence[str], *, rounds: int = ROUNDS) -> Estimate:
    """Mean of values with a percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13).

    Whole groups are drawn: the videos of one person are no independent samples.

    Args:
        values: one for each video, at least one.
        groups: what each video has in common with others.
    """
    names, members = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.bincount(members, weights=np.asarray(values, float))
    counts = np.bincount(members)
    drawn = np.random.default_rng(0).integers(len(names), size=(rounds, len(names)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(float(np.mean(values)), float(low), float(high), len(values))
