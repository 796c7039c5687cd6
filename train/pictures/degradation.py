"""What happens to pictures on their way to a perception model: light, softness, noise, compression.

Frames are (B, 3, H, W) in [0, 1]; every amount is drawn per picture from the given generator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Degradation:
    """Largest amounts of each change; 0 leaves a picture alone.

    Attributes:
        brightness: shift of all values.
        contrast: relative change about the picture's mean.
        saturation: relative change about grey.
        tint: relative change of each colour channel.
        softness: largest factor by which detail is lost (1 keeps all).
        noise: standard deviation of the grain.
        compression: quantisation step of an 8 x 8 block transform, as in JPEG and in latent codes.
    """

    brightness: float = 0.12
    contrast: float = 0.25
    saturation: float = 0.3
    tint: float = 0.08
    softness: float = 3.0
    noise: float = 0.03
    compression: float = 0.12

    def __call__(self, frames: Tensor, generator: torch.Generator) -> Tensor:
        """Degraded copies of frames (B, 3, H, W), same shape."""
        frames = self._recolor(frames, generator)
        frames = self._soften(frames, generator)
        frames = self._compress(frames, generator)
        grain = torch.randn(frames.shape, generator=generator) * self._draw(frames, generator, 0, self.noise)
        return (frames + grain).clamp(0, 1)

    @staticmethod
    def _draw(
        frames: Tensor, generator: torch.Generator, low: float, high: float, channels: int = 1
    ) -> Tensor:
        """One uniform amount per picture, (B, channels, 1, 1)."""
        amount = torch.rand(len(frames), channels, 1, 1, generator=generator)
        return amount * (high - low) + low

    def _recolor(self, frames: Tensor, generator: torch.Generator) -> Tensor:
        mean = frames.mean((1, 2, 3), keepdim=True)
        frames = mean + (frames - mean) * self._draw(frames, generator, 1 - self.contrast, 1 + self.contrast)
        grey = frames.mean(1, keepdim=True)
        frames = grey + (frames - grey) * self._draw(
            frames, generator, 1 - self.saturation, 1 + self.saturation
        )
        frames = frames * self._draw(frames, generator, 1 - self.tint, 1 + self.tint, channels=3)
        return (frames + self._draw(frames, generator, -self.brightness, self.brightness)).clamp(0, 1)

    def _soften(self, frames: Tensor, generator: torch.Generator) -> Tensor:
        """Blend each picture with a reduced and re-enlarged copy: the whole batch at one random factor."""
        factor = 1 + (self.softness - 1) * torch.rand((), generator=generator).item()
        height, width = frames.shape[-2:]
        small = F.interpolate(frames, scale_factor=1 / factor, mode="bilinear", antialias=True)
        soft = F.interpolate(small, (height, width), mode="bilinear")
        return torch.lerp(frames, soft, self._draw(frames, generator, 0, 1.3).clamp(max=1))

    def _compress(self, frames: Tensor, generator: torch.Generator) -> Tensor:
        """Quantise 8 x 8 block transforms, finer details more coarsely."""
        if self.compression == 0:
            return frames
        height, width = frames.shape[-2:]
        padded = F.pad(frames, (0, -width % 8, 0, -height % 8), mode="replicate")
        basis = cosine_basis().to(frames)
        blocks = F.conv2d(padded.flatten(0, 1)[:, None], basis, stride=8)
        step = (self._draw(frames, generator, 0, self.compression) * step_weights().to(frames)).clamp(
            min=1e-3
        )
        step = step.repeat_interleave(3, 0)
        restored = F.conv_transpose2d((blocks / step).round() * step, basis, stride=8)
        return restored.view_as(padded)[..., :height, :width].clamp(0, 1)


def cosine_basis() -> Tensor:
    """The orthonormal 8 x 8 cosine transform as 64 convolution kernels, (64, 1, 8, 8)."""
    k, n = torch.arange(8.0)[:, None], torch.arange(8.0)[None]
    rows = torch.cos(math.pi * (n + 0.5) * k / 8) * torch.where(k == 0, math.sqrt(1 / 8), 0.5)
    return torch.einsum("iy,jx->ijyx", rows, rows).reshape(64, 1, 8, 8)


def step_weights() -> Tensor:
    """Relative quantisation step of each of the 64 coefficients, (1, 64, 1, 1)."""
    k = torch.arange(8.0)
    return (0.5 + 0.35 * (k[:, None] + k[None])).reshape(1, 64, 1, 1)
