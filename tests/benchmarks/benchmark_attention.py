"""Seconds of attention forth and back, fused and plain: `python -m tests.benchmarks.benchmark_attention`.

The sequences are those of the embedded model's training: 17 frames with one reference, and stills with one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from train.transformer.attention import attend

SETTINGS = ((16, 384), (48, 128))
HEADS, HEAD_DIM = 4, 64


def seconds(attention: Callable[..., Tensor], batch: int, length: int, repeats: int) -> float:
    """The best of several runs, in processor time."""
    tensors = [
        torch.randn(batch, HEADS, length, HEAD_DIM, dtype=torch.bfloat16, requires_grad=True) for _ in "qkv"
    ]
    best = float("inf")
    for _ in range(repeats):
        began = time.process_time()
        attention(*tensors).sum().backward()
        best = min(best, time.process_time() - began)
    return best


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'batch':>6}{'tokens':>8}{'fused':>8}{'plain':>8}{'ratio':>7}")
    for batch, length in SETTINGS:
        fused = seconds(F.scaled_dot_product_attention, batch, length, args.repeats)
        plain = seconds(attend, batch, length, args.repeats)
        print(f"{batch:>6}{length:>8}{fused:>8.3f}{plain:>8.3f}{fused / plain:>7.2f}")


if __name__ == "__main__":
    main()
