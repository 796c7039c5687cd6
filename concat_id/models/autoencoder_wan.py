"""Wan's autoencoder as it runs fast on a processor: same weights, same results.

    speed_up(pipeline.vae)

Axes: B batch, C channels, T frames, H, W size in the layer's own cells.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_kl_wan import WanCausalConv3d, WanRMS_norm
from torch import Tensor, nn


class FastCausalConv3d(WanCausalConv3d):
    """`WanCausalConv3d` without the work on empty frames, by oneDNN where torch would not take it.

    A still, and the first frame of every clip, is convolved together with two frames of zeros: there the
    kernel's last time slice alone gives the same result, a 2-D convolution. And torch hands small 3-D
    convolutions of one clip, up to 20,480 values of channel, frame and row, to a kernel that is eight times
    slower than oneDNN's on one thread, and slower still on two: nearly all of a decoder's.
    """

    def forward(self, x: Tensor, cache_x: Tensor | None = None) -> Tensor:
        """Args: x (B, C, T, H, W); cache_x: the frames before, (B, C, 1 or 2, H, W), or None at the start."""
        left, _, top, _, past, _ = self._padding
        if cache_x is None and past == 2 and x.shape[2] == 1:
            return F.conv2d(x[:, :, 0], self.weight[:, :, -1], self.bias, padding=(top, left)).unsqueeze(2)
        if cache_x is not None and past > 0:
            x, past = torch.cat([cache_x, x], dim=2), past - cache_x.shape[2]
        if past > 0:
            x = F.pad(x, (0, 0, 0, 0, past, 0))
        padding = (0, top, left)
        if torch.backends.mkldnn.is_available() and _is_inference(x):
            return torch.mkldnn_convolution(
                x, self.weight, self.bias, padding, self.stride, self.dilation, self.groups
            )
        return F.conv3d(x, self.weight, self.bias, self.stride, padding)


class FastRMSNorm(WanRMS_norm):
    """`WanRMS_norm` by elementwise operations: torch takes several times as long to norm an inner axis."""

    def forward(self, x: Tensor) -> Tensor:
        """Args: x (B, C, T, H, W), or with the channels last."""
        if not _is_inference(x):
            return super().forward(x)
        length = (x * x).sum(1 if self.channel_first else -1, keepdim=True).sqrt_().clamp_min_(1e-12)
        return x * length.reciprocal_() * (self.scale * self.gamma) + self.bias


def speed_up(autoencoder: nn.Module) -> None:
    """Give the layers of one of Wan's autoencoders the faster forward, in place; names and weights stay."""
    faster = {WanCausalConv3d: FastCausalConv3d, WanRMS_norm: FastRMSNorm}
    for module in autoencoder.modules():
        module.__class__ = faster.get(type(module), type(module))


def _is_inference(x: Tensor) -> bool:
    """Whether it is computed without gradients in float32 on a processor."""
    return x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_grad_enabled()
