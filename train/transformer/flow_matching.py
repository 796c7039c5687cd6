"""Flow matching on a straight path, as pure functions (Lipman et al., 2023; Wan 2.1's convention).

`sigma` is 1 at pure noise and 0 at the clean sample; the timestep a transformer sees is 1000 sigma.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

NUM_TRAIN_TIMESTEPS = 1000


def sample_sigmas(
    count: int, *, shift: float, logit_normal: bool, generator: Generator | None = None
) -> Tensor:
    """Draw (count,) noise levels in (0, 1) and shift them towards noise: s' = shift s / (1 + (shift - 1) s).

    Args:
        logit_normal: draw the sigmoid of a normal (Esser et al., 2024), which small models like better;
            otherwise uniform, as the paper does.
    """
    if logit_normal:
        sigmas = torch.randn(count, generator=generator).sigmoid()
    else:
        sigmas = torch.rand(count, generator=generator)
    return shift * sigmas / (1 + (shift - 1) * sigmas)


def interpolate(x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
    """The noisy sample (1 - sigma) x0 + sigma noise.

    Args:
        x0, noise: (B, ...).
        sigmas: (B,).
    """
    sigmas = sigmas.view(-1, *[1] * (x0.ndim - 1))
    return (1 - sigmas) * x0 + sigmas * noise


def velocity(x0: Tensor, noise: Tensor) -> Tensor:
    """What the model predicts: d x_sigma / d sigma = noise - x0."""
    return noise - x0
