"""What the transformers of both backbones share: step caches that know of references, and checks.

Axes: B batch, R references, C latent channels, F latent frames, H, W latent size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from diffusers.hooks import FasterCacheConfig, PyramidAttentionBroadcastConfig, TaylorSeerCacheConfig
from diffusers.models.cache_utils import CacheMixin
from torch import Tensor, nn

from concat_id.models.reference_cache import ReferenceCache


class ReferenceTransformerMixin(CacheMixin):
    """A transformer whose `forward` takes `reference_latents`."""

    # Of a block's self-attention, `attn1`: as it is, and with a reference cache.
    _attn_processors: ClassVar[tuple[type, type]]
    _reference_cache: ReferenceCache | None = None

    @property
    def is_cache_shared_by_passes(self) -> bool:
        """Whether the enabled cache keeps one state, so that a step's passes must come as one batch."""
        return isinstance(self._cache_config, FasterCacheConfig | PyramidAttentionBroadcastConfig)

    def enable_cache(self, config: Any) -> None:
        """Turn on one of diffusers' step caches; FasterCache halves the references like the other inputs."""
        self._check_caches(config, self._reference_cache)
        if isinstance(config, FasterCacheConfig):
            config._unconditional_conditional_input_kwargs_identifiers = (
                *config._unconditional_conditional_input_kwargs_identifiers,
                "reference_latents",
            )
        super().enable_cache(config)

    def enable_reference_cache(self, interval: int) -> None:
        """Compute the references every few steps only, see `ReferenceCache`; step caches may help, too.

        Args:
            interval: steps from one computation to the next; 1: each step, the exact result.
        """
        cache = ReferenceCache(interval)
        self._check_caches(self._cache_config, cache)
        if self._parallel_config is not None:
            raise ValueError("references cannot be cached where one video runs on several devices.")
        self._reference_cache = cache
        self._set_attn_processors(lambda: self._attn_processors[1](cache))

    def disable_reference_cache(self) -> None:
        """Compute the references at every step again."""
        self._reference_cache = None
        self._set_attn_processors(self._attn_processors[0])

    @contextmanager
    def cache_context(self, name: str, **place: Any) -> Iterator[None]:
        """Tell all caches which pass of which step follows."""
        cache = self._reference_cache
        if cache:
            cache.enter(name, place.get("step_index"))
        try:
            with super().cache_context(name, **place):
                yield
        finally:
            if cache:
                cache.enter("", None)

    def _reset_stateful_cache(self, recurse: bool = True) -> None:
        super()._reset_stateful_cache(recurse)
        if self._reference_cache:
            self._reference_cache.forget()

    def _set_attn_processors(self, build: Callable[[], Any]) -> None:
        for block in self.list_blocks():
            former, processor = block.attn1.processor, build()
            if hasattr(former, "_attention_backend"):  # chosen by `set_attention_backend`
                processor._attention_backend = former._attention_backend
            block.attn1.set_processor(processor)

    def list_blocks(self) -> nn.ModuleList:
        raise NotImplementedError

    @staticmethod
    def _check_caches(config: Any, cache: ReferenceCache | None) -> None:
        """Refuse step caches of single layers, which would meet sequences with references and without."""
        is_of_layers = isinstance(config, FasterCacheConfig | PyramidAttentionBroadcastConfig) or (
            isinstance(config, TaylorSeerCacheConfig) and not config.use_lite_mode
        )
        if cache and is_of_layers:
            raise ValueError(
                f"{type(config).__name__} caches single layers, which does not work beside the reference "
                "cache; disable one of them, or take a cache of blocks: FirstBlockCacheConfig, "
                "MagCacheConfig, SeaCacheConfig, or TaylorSeerCacheConfig with use_lite_mode."
            )


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
