"""The two guidance strengths, the text's and the references', and the transformer passes they need.

Axes: B batch, R references, C latent channels, F latent frames, H, W latent size.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from concat_id.errors import InputError
from concat_id.pipelines import checks

# Up to here a step's passes run as one batch: fewer launches for a GPU, no slower on a CPU, little memory.
# Where it is known how much there is, more: weights that pass through the GPU then do so once a step.
MAX_BATCHED_TOKENS = 4096


@dataclass(frozen=True)
class Pass:
    """One prediction of the transformer within a step."""

    name: str  # by which a cache tells passes apart
    inputs: dict[str, Tensor]
    skip_layers: tuple[int, ...] = ()


def guide(
    cond: Tensor, uncond: Tensor | None, blank: Tensor | None, *, text: float, reference: float
) -> Tensor:
    """The guided velocity from the passes' (B, C, F, H, W).

    v = v(negative, r) + s (v(text, r) - v(negative, r)) + (s_r - 1) (v(text, r) - v(text, 0)).
    Where layers are skipped, v(negative, 0) without these layers stands for v(negative, r).

    Args:
        cond, uncond, blank: v(text, r), v(negative, r), v(text, 0); of the last two those that were computed.
        text, reference: the strengths s and s_r.
    """
    velocity = cond if uncond is None else uncond + text * (cond - uncond)
    return velocity if blank is None else velocity + (reference - 1) * (cond - blank)


class GuidanceMixin:
    """A pipeline's state during a run, and its guided prediction.

    The pipeline has a `transformer` that predicts velocities.
    """

    max_batched_tokens = MAX_BATCHED_TOKENS
    _guidance_scale = 1.0
    _reference_guidance_scale = 1.0
    _skip_guidance_layers: tuple[int, ...] = ()
    _attention_kwargs: dict[str, Any] | None = None
    _current_timestep: Tensor | None = None
    _num_timesteps = 0
    _interrupt = False

    @property
    def guidance_scale(self) -> float:
        return self._guidance_scale

    @property
    def do_classifier_free_guidance(self) -> bool:
        return self._guidance_scale > 1

    @property
    def reference_guidance_scale(self) -> float:
        return self._reference_guidance_scale

    @property
    def skip_guidance_layers(self) -> tuple[int, ...]:
        return self._skip_guidance_layers

    @property
    def attention_kwargs(self) -> dict[str, Any] | None:
        return self._attention_kwargs

    @property
    def num_timesteps(self) -> int:
        return self._num_timesteps

    @property
    def current_timestep(self) -> Tensor | None:
        return self._current_timestep

    @property
    def interrupt(self) -> bool:
        return self._interrupt

    def _set_guidance(
        self, text: float, reference: float | None, skipped: Collection[int] | None, has_references: bool
    ) -> None:
        """Check and keep the strengths; each step reads them anew, so that a callback may lower them."""
        checks.check_scale("guidance_scale", text)
        checks.check_scale("reference_guidance_scale", 1 if reference is None else reference)
        if reference is not None and not has_references:
            raise InputError("reference_guidance_scale needs references; give some, or leave it out.")
        checks.check_layers("skip_guidance_layers", skipped or (), self.transformer.config.num_layers)
        if skipped and text <= 1:
            raise InputError(
                f"skip_guidance_layers act where guidance_scale is above 1, got {text}; raise it, or leave "
                "the layers out."
            )
        if skipped and self.transformer.is_cache_shared_by_passes:
            raise InputError("skip_guidance_layers needs a cache that tells passes apart; leave either out.")
        self._skip_guidance_layers = tuple(skipped or ())
        self._guidance_scale = text
        self._reference_guidance_scale = 1 if reference is None else reference
        self._interrupt = False

    def sigma(self, index: int) -> float:
        """The noise's share at a step, from 1 down."""
        raise NotImplementedError

    @torch.no_grad()
    def predict_velocity(
        self,
        index: int,
        timestep: Tensor,
        latents: Tensor,
        prompt_embeds: Tensor,
        negative_prompt_embeds: Tensor | None,
        reference_latents: Tensor | None,
    ) -> Tensor:
        """The guided velocity at a step, (B, C, F, H, W) float32.

        See `guide`. Where the references' strength is 1 and nothing is skipped, this is Concat-ID's own
        sampling. Without references the model is known from their dropout in training. The negative pass
        may be one of a worse model that knows nothing, as in autoguidance (Karras et al., 2024) and
        skip-layer guidance (Stability AI, 2024): the video is then led away from what breaks first, which
        are faces, and towards prompt and references alike.
        """
        predicted: dict[str, Tensor] = {}
        passes = self._list_passes(prompt_embeds, negative_prompt_embeds, reference_latents)
        for skip_layers, group in groupby(passes, key=lambda one: one.skip_layers):
            inputs = {one.name: one.inputs for one in group}
            predicted |= self._run_passes(index, timestep, latents, inputs, skip_layers)
        velocity = guide(
            predicted["cond"],
            predicted.get("uncond"),
            predicted.get("blank"),
            text=self._guidance_scale,
            reference=self._reference_guidance_scale,
        )
        checks.check_finite(velocity, f"at step {index + 1} of {self._num_timesteps}")
        return velocity

    def _list_passes(
        self,
        prompt_embeds: Tensor,
        negative_prompt_embeds: Tensor | None,
        reference_latents: Tensor | None,
    ) -> Iterator[Pass]:
        """The passes that the strengths ask for."""
        references = {} if reference_latents is None else {"reference_latents": reference_latents}
        none = {name: torch.zeros_like(given) for name, given in references.items()}
        skipped = self._skip_guidance_layers
        if self.do_classifier_free_guidance:  # FasterCache wants this pass first
            left = none if skipped else references
            yield Pass("uncond", {"encoder_hidden_states": negative_prompt_embeds, **left}, skipped)
        yield Pass("cond", {"encoder_hidden_states": prompt_embeds, **references})
        if self._reference_guidance_scale != 1:
            yield Pass("blank", {"encoder_hidden_states": prompt_embeds, **none})

    def _run_passes(
        self,
        index: int,
        timestep: Tensor,
        latents: Tensor,
        passes: dict[str, dict[str, Tensor]],
        skip_layers: tuple[int, ...],
    ) -> dict[str, Tensor]:
        """The velocity (B, C, F, H, W) for the inputs of each pass: in one batch, or one by one."""
        latents = latents.to(self.transformer.dtype)
        place = {
            "step_index": index,
            "num_inference_steps": self._num_timesteps,
            "sigma": self.sigma(index),
        }
        velocities = {}
        for names in (
            [tuple(passes)] if self._fit_one_batch(latents, passes) else [(name,) for name in passes]
        ):
            inputs = {key: torch.cat([passes[name][key] for name in names]) for key in passes[names[0]]}
            with self.transformer.cache_context("+".join(names), **place):
                velocity = self.transformer(
                    hidden_states=torch.cat([latents] * len(names)),
                    timestep=timestep.expand(len(names) * len(latents)),
                    **inputs,
                    attention_kwargs=self._attention_kwargs,
                    skip_layers=skip_layers,
                    return_dict=False,
                )[0]
            velocities |= zip(names, velocity.float().chunk(len(names)), strict=True)
        return velocities

    def _fit_one_batch(self, latents: Tensor, passes: dict[str, dict[str, Tensor]]) -> bool:
        """Whether the passes run as one batch: few tokens, or a cache that cannot tell passes apart."""
        values_per_token = latents.shape[1] * math.prod(self.transformer.patch_sides)
        tokens = len(passes) * latents.numel() // values_per_token
        return tokens <= self.max_batched_tokens or self.transformer.is_cache_shared_by_passes
