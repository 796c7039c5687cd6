"""What the transformers of both backbones share: step caches that know of references, and checks.

Axes: B batch, R references, C latent channels, F latent frames, H, W latent size.
"""

from __future__ import annotations

from typing import Any

from diffusers.hooks import FasterCacheConfig, PyramidAttentionBroadcastConfig
from diffusers.models.cache_utils import CacheMixin
from torch import Tensor


class ReferenceTransformerMixin(CacheMixin):
    """A transformer whose `forward` takes `reference_latents`."""

    @property
    def is_cache_shared_by_passes(self) -> bool:
        """Whether the enabled cache keeps one state, so that a step's passes must come as one batch."""
        return isinstance(self._cache_config, FasterCacheConfig | PyramidAttentionBroadcastConfig)

    def enable_cache(self, config: Any) -> None:
        """Turn on one of diffusers' step caches; FasterCache halves the references like the other inputs."""
        if isinstance(config, FasterCacheConfig):
            config._unconditional_conditional_input_kwargs_identifiers = (
                *config._unconditional_conditional_input_kwargs_identifiers,
                "reference_latents",
            )
        super().enable_cache(config)


def check_shapes(hidden_states: Tensor, timestep: Tensor, reference_latents: Tensor) -> None:
    """Refuse references of another size than the video, and a timestep per token."""
    batch, channels, _, height, width = hidden_states.shape
    references = tuple(reference_latents.shape)
    if reference_latents.ndim != 5 or references[:2] + references[3:] != (batch, channels, height, width):
        raise ValueError(
            f"reference_latents must be ({batch}, {channels}, R, {height}, {width}) to fit the video, "
            f"got {references}."
        )
    if timestep.ndim != 1:
        raise ValueError(f"timestep must be one value per sample, (B,), got {tuple(timestep.shape)}.")
