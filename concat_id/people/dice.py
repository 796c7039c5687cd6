"""Random numbers as a pure function of (seed, name): the same on every device and in every batch."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor

MASK = 0xFFFFFFFF


def scramble(x: Tensor) -> Tensor:
    """Mix 32-bit integers held in int64 (the finaliser of MurmurHash3)."""
    x = x & MASK
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & MASK
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & MASK
    return x ^ (x >> 16)


class Dice:
    """Draws one number per seed and name; a name gives the same number again.

    Args:
        seeds: integers, any shape, int64; every draw has this shape.
        purpose: keeps draws for different ends independent of each other.
    """

    def __init__(self, seeds: Tensor, purpose: str) -> None:
        low = scramble(seeds ^ zlib.crc32(purpose.encode()))
        self.state = scramble(low + 0x9E3779B9 * (seeds >> 32))

    def integer(self, name: str, low: int, high: int) -> Tensor:
        """Whole numbers in [low, high), int64."""
        return low + (self.uniform(name).double() * (high - low)).long()

    def seed(self, name: str, low: int, high: int) -> Tensor:
        """Whole numbers in [low, high) from 32 random bits, int64: for wide ranges."""
        return low + scramble(self.state ^ zlib.crc32(name.encode())) % (high - low)

    def uniform(self, name: str, low: float | Tensor = 0.0, high: float | Tensor = 1.0) -> Tensor:
        """Real numbers in [low, high), float32; the bounds may be tensors of the seeds' shape."""
        bits = scramble(self.state ^ zlib.crc32(name.encode())) >> 8
        return low + (high - low) * (bits.float() * 2.0**-24)

    def chance(self, name: str, probability: float | Tensor) -> Tensor:
        """1.0 with the given probability, else 0.0."""
        return (self.uniform(name) < probability).float()

    def sign(self, name: str) -> Tensor:
        """-1.0 or 1.0."""
        return self.chance(name, 0.5) * 2 - 1

    def choice(self, name: str, weights: Tensor | int) -> Tensor:
        """Category numbers, int64.

        Args:
            weights: relative weights (..., K) that broadcast over the seeds, or K for equal chances.
        """
        if isinstance(weights, int):
            return self.integer(name, 0, weights)
        bounds = weights.to(self.state.device).double().cumsum(-1)
        draw = self.uniform(name).double().unsqueeze(-1) * bounds[..., -1:]
        return (draw >= bounds[..., :-1]).sum(-1)


def pick(table: Tensor, index: Tensor) -> Tensor:
    """Rows of a table (K, ...) by category number, on the index's device."""
    return table.to(index.device)[index]


def equal_seeds(seed: int, count: int, device: torch.device | str) -> Tensor:
    """Seeds of the clips of one call, (count,): clip i has the same seed whatever the count."""
    numbers = torch.arange(count, dtype=torch.int64, device=device)
    return (scramble(numbers + 0x51ED270B) << 31) ^ (seed & 0x3FFFFFFFFFFFFFFF)
