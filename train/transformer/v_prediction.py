"""v-prediction on CogVideoX's schedule, as pure functions (Salimans and Ho, 2022).

`sigma` says where on the schedule a sample is, 0 at its clean start and 1 at its end in pure noise; the
timestep a transformer sees is a whole number, from 0 to 999.
"""

from __future__ import annotations

from functools import cache

from diffusers import CogVideoXDDIMScheduler
from torch import Tensor

from concat_id.models.checkpoint_cogvideox import SCHEDULE
from train.transformer.flow_matching import NUM_TRAIN_TIMESTEPS


def timesteps(sigmas: Tensor) -> Tensor:
    """The whole timesteps (B,) of places on the schedule (B,)."""
    return (sigmas * NUM_TRAIN_TIMESTEPS).long().clamp(max=NUM_TRAIN_TIMESTEPS - 1)


def interpolate(x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
    """The noisy sample sqrt(a) x0 + sqrt(1 - a) noise.

    Args:
        x0, noise: (B, ...).
        sigmas: (B,).
    """
    signal, rest = _amplitudes(sigmas, x0)
    return signal * x0 + rest * noise


def velocity(x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
    """What the model predicts: v = sqrt(a) noise - sqrt(1 - a) x0."""
    signal, rest = _amplitudes(sigmas, x0)
    return signal * noise - rest * x0


@cache
def _alphas_cumprod() -> Tensor:
    """a by timestep, (1000,): shares of the sample's variance, 0 at the last."""
    return CogVideoXDDIMScheduler(**SCHEDULE).alphas_cumprod


def _amplitudes(sigmas: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(a) and sqrt(1 - a), (B, 1, ...)."""
    alphas = _alphas_cumprod().to(like.device)[timesteps(sigmas)].view(-1, *[1] * (like.ndim - 1))
    return alphas.sqrt().to(like.dtype), (1 - alphas).sqrt().to(like.dtype)
