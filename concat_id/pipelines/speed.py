"""Exact, balanced or fast: what is left out of a run to save time, and nothing of which needs other weights.

    with at_speed(pipeline, SPEEDS["balanced"]) as callback:
        pipeline(..., callback_on_step_end=callback)

Each option's price is measured by `python -m concat_id evaluate --speeds`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DiffusionPipeline, TaylorSeerCacheConfig
from diffusers.callbacks import PipelineCallback
from torch import Tensor

# Steps at the start that are always computed: the layout is decided in them.
FIRST_STEPS = 3


@dataclass(frozen=True)
class Speed:
    """What a run leaves out.

    Attributes:
        step_interval: after the first steps, the transformer computes every n-th one; in between, what it
            would predict follows from its last two predictions (TaylorSeer, Liu et al., 2025). 1: all.
        reference_interval: steps from one computation of the references to the next, see `ReferenceCache`.
        guided: share of the steps, from the first on, that have the passes of guidance.
    """

    step_interval: int = 1
    reference_interval: int = 1
    guided: float = 1.0


SPEEDS: dict[str, Speed] = {
    "exact": Speed(),
    "balanced": Speed(step_interval=2),
    "fast": Speed(step_interval=3, reference_interval=2, guided=0.7),
}


class GuidanceCutoff(PipelineCallback):
    """A step's callback that ends guidance after a share of the steps; the next run begins with it again."""

    tensor_inputs = ["latents"]

    def callback_fn(
        self, pipeline: DiffusionPipeline, step_index: int, timestep: Tensor, callback_kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """Called after each step."""
        if step_index + 1 >= self.config.cutoff_step_ratio * pipeline.num_timesteps:
            pipeline._guidance_scale = pipeline._reference_guidance_scale = 1.0
        return callback_kwargs


@contextmanager
def at_speed(pipeline: DiffusionPipeline, speed: Speed) -> Iterator[GuidanceCutoff | None]:
    """Set a pipeline's caches for runs at a speed; gives their `callback_on_step_end`.

    Args:
        pipeline: with none of these caches enabled.
    """
    transformer = pipeline.transformer
    try:
        if speed.reference_interval > 1:
            transformer.enable_reference_cache(speed.reference_interval)
        if speed.step_interval > 1:
            config = TaylorSeerCacheConfig(
                cache_interval=speed.step_interval,
                disable_cache_before_step=FIRST_STEPS,
                taylor_factors_dtype=torch.float32,
                use_lite_mode=True,
            )
            transformer.enable_cache(config)
        yield GuidanceCutoff(cutoff_step_ratio=speed.guided) if speed.guided < 1 else None
    finally:
        if speed.step_interval > 1 and transformer.is_cache_enabled:
            transformer.disable_cache()
        if speed.reference_interval > 1:
            transformer.disable_reference_cache()
