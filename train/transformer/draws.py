"""What is drawn in training, as a function of the seed and of the batch's number alone.

Batches are numbered through all processes: of W, the r-th takes every W-th batch from the r-th on. So a run
that goes on from a checkpoint draws what an undisturbed one does, and W processes learn from the batches that
one learns from with `--trainer.accumulate_grad_batches W`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import lightning as L
import torch
from torch import Generator


def batch_generators(trainer: L.Trainer | None) -> Iterator[Generator]:
    """A generator for each of this process's batches, endlessly, from the trainer's step on.

    Args:
        trainer: None, where no trainer takes them: from the first on.
    """
    seed = torch.initial_seed() % 2**31
    first, stride = 0, 1
    if trainer:
        first, stride = trainer.global_step * trainer.accumulate_grad_batches, trainer.world_size
        first = first * stride + trainer.global_rank
    for number in count(first, stride):
        yield Generator().manual_seed(seed << 32 | number)


def draw_seed(generator: Generator) -> int:
    """A seed for draws that have nothing to do with the generator's own."""
    return int(torch.randint(2**40, (), generator=generator))
