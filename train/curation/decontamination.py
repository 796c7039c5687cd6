"""The paper's rule of decontamination: who looks like anybody in training is no test.

A benchmark's person is dropped as a whole if its cosine with any training picture lies above .45, a cosine of
the paper's ArcFace. As in `bands`, the bound is carried over to another recogniser by its rank, here among
strangers: for ArcFace, about one pair of strangers in a hundred thousand is that much alike. The paper does
not say so; it is our reading.
"""

from __future__ import annotations

import torch
from torch import Tensor

MAX_COSINE = 0.45
# Share of the pairs of strangers that are more alike than that.
STRANGERS_ABOVE = 1e-5


def carry_over_bound(strangers: Tensor) -> float:
    """The bound for another recogniser.

    Args:
        strangers: its cosines for pairs of two people, of any shape, a hundred thousand of them or more.
    """
    above = int(strangers.numel() * STRANGERS_ABOVE)
    if above < 1:
        needed = round(1 / STRANGERS_ABOVE)
        raise ValueError(
            f"the bound needs {needed} pairs of strangers or more, got {strangers.numel()}; give more faces."
        )
    return strangers.flatten().topk(above + 1).values[-1].item()


def find_nearest(people: Tensor, training: Tensor) -> tuple[Tensor, Tensor]:
    """For each person the greatest cosine with a training picture, (N,), and that picture's number, (N,).

    Args:
        people: unit embeddings (N, D).
        training: unit embeddings (M, D).
    """
    return torch.max(people @ training.T, dim=1)
