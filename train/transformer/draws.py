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


def batch_generators(trainer: L.Trainer) -> Iterator[Generator]:
    """A generator for each of this process's batches, endlessly, from the trainer's step on."""
    seed = torch.initial_seed() % 2**31
    first = trainer.global_step * trainer.accumulate_grad_batches
    for number in count(first * trainer.world_size + trainer.global_rank, trainer.world_size):
        yield Generator().manual_seed(seed << 32 | number)


def draw_seed(generator: Generator) -> int:
    """A seed for draws that have nothing to do with the generator's own."""
    return int(torch.randint(2**40, (), generator=generator))
