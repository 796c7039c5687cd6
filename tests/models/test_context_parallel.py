"""Context parallelism: two processes that share the sequence compute what one computes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from diffusers import ContextParallelConfig
from toys import TEXT_DIM, make_transformer

RANKS = 2
# Video frames, references, latent height and width.
CASES = [
    (3, 0, 4, 4),
    (2, 3, 2, 4),
    (1, 3, 4, 4),  # the second process has references alone
]


@torch.no_grad()
def compare(frames: int, references: int, height: int, width: int) -> None:
    """Predict on the whole sequence, then together with the other process."""
    transformer, total = make_transformer(), (frames + references) * height * width // 4
    latents = torch.randn(1, 4, frames + references, height, width)
    inputs = (
        latents[:, :, :frames],
        torch.tensor([500.0]),
        torch.randn(1, 5, TEXT_DIM),
        latents[:, :, frames:],
    )
    lengths: list[int] = []
    transformer.blocks[1].attn1.to_q.register_forward_pre_hook(
        lambda _, args: lengths.append(args[0].shape[1])
    )
    alone = transformer(*inputs).sample
    transformer.enable_parallelism(config=ContextParallelConfig(ulysses_degree=RANKS))
    torch.testing.assert_close(transformer(*inputs).sample, alone, atol=1e-6, rtol=1e-6)
    assert lengths == [total, total // RANKS]


def run_process(rank: int, store: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=RANKS)
    torch.accelerator.device_count = lambda: 1  # diffusers divides by the number of devices, which is 0 here
    for case in CASES:
        compare(*case)
    dist.barrier()
    # The ordinary way out tears gloo's threads down in no certain order, and now and then aborts.
    os._exit(0)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="would take the devices for the processes' own")
def test_two_processes_equal_one(tmp_path: Path) -> None:
    mp.spawn(run_process, (str(tmp_path / "store"),), nprocs=RANKS)
