"""Exact, balanced or fast: what is left out of a run to save time, none of which needs other weights.

    with at_speed(pipeline.transformer, SPEEDS["balanced"]):
        pipeline(...)

The price is measured by `python -m concat_id evaluate --speeds`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffusers import TaylorSeerCacheConfig

    from concat_id.models.reference_transformer import ReferenceTransformerMixin

# Steps at the start that are always computed: the layout is decided in them.
FIRST_STEPS = 3


@dataclass(frozen=True)
class Speed:
    """What a run leaves out.

    Attributes:
        step_interval: after the first steps, the transformer computes every n-th one; in between, what it
            would predict follows from its last two predictions (TaylorSeer, Liu et al., 2025). 1: all.
        reference_interval: steps from one computation of the references to the next, see `ReferenceCache`.
    """

    step_interval: int = 1
    reference_interval: int = 1

    def count_computed(self, steps: int) -> int:
        """Of a run's steps, those that the transformer computes."""
        return sum(self.computes(step) for step in range(steps))

    def computes(self, step: int) -> bool:
        """Whether the transformer computes a step, from 0; TaylorSeer's own rule."""
        return step < FIRST_STEPS or (step - FIRST_STEPS - 1) % self.step_interval == 0


SPEEDS: dict[str, Speed] = {
    "exact": Speed(),
    "balanced": Speed(step_interval=2),
    "fast": Speed(step_interval=3, reference_interval=2),
}


@contextmanager
def at_speed(transformer: ReferenceTransformerMixin, speed: Speed) -> Iterator[None]:
    """Enable a speed's caches for a run, and disable them behind it.

    Args:
        transformer: with no cache enabled.
    """
    with ExitStack() as stack:
        if speed.reference_interval > 1:
            transformer.enable_reference_cache(speed.reference_interval)
            stack.callback(transformer.disable_reference_cache)
        if speed.step_interval > 1:
            transformer.enable_cache(_step_cache(speed.step_interval))
            stack.callback(transformer.disable_cache)
        yield


def _step_cache(interval: int) -> TaylorSeerCacheConfig:
    import torch
    from diffusers import TaylorSeerCacheConfig

    return TaylorSeerCacheConfig(
        cache_interval=interval,
        disable_cache_before_step=FIRST_STEPS,
        taylor_factors_dtype=torch.float32,
        use_lite_mode=True,  # only what the whole transformer predicts is kept
    )
