"""Concat-ID on Wan 2.1.

    pipeline = ConcatIDWanPipeline.from_pretrained(folder)
    frames = pipeline("A person laughing on a beach.", [face]).frames[0]

Axes: B batch, C latent channels, F latent frames, H, W latent size.
"""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler
from diffusers.loaders import WanLoraLoaderMixin
from diffusers.pipelines.wan.pipeline_wan import prompt_clean
from diffusers.utils.torch_utils import get_module_execution_device
from torch import Tensor
from transformers import PreTrainedTokenizerBase, UMT5EncoderModel

from concat_id.errors import InputError
from concat_id.models.transformer_wan import ConcatIDWanTransformer3DModel
from concat_id.pipelines.outputs import ConcatIDPipelineOutput, Step
from concat_id.pipelines.pipeline import ConcatIDPipeline, Generators

__all__ = ["ConcatIDPipelineOutput", "ConcatIDWanPipeline", "Step"]

MAX_TEXT_TOKENS = 512


class ConcatIDWanPipeline(ConcatIDPipeline, WanLoraLoaderMixin):
    """Flow matching by Euler steps; the pass without the prompt has the negative prompt instead."""

    default_size = (81, 480, 832)
    default_guidance_scale = 5.0

    def __init__(
        self,
        transformer: ConcatIDWanTransformer3DModel,
        scheduler: FlowMatchEulerDiscreteScheduler,
        tokenizer: PreTrainedTokenizerBase | None = None,
        text_encoder: UMT5EncoderModel | None = None,
        vae: AutoencoderKLWan | None = None,
    ) -> None:
        """Without tokenizer and text encoder, give embeddings; without VAE, give and take latents."""
        super().__init__(transformer, scheduler, tokenizer, text_encoder, vae)
        self.vae_scale_factor_temporal = vae.config.scale_factor_temporal if vae else 4
        self.vae_scale_factor_spatial = vae.config.scale_factor_spatial if vae else 8

    @torch.no_grad()
    def encode_prompt(self, prompt: str | list[str], max_sequence_length: int | None = None) -> Tensor:
        """Text embeddings (prompts, text length, text_dim), zero after each prompt's end, as Wan has it."""
        if self.text_encoder is None:
            raise InputError("The pipeline has no text encoder; give the prompts as embeddings.")
        prompts = [prompt] if isinstance(prompt, str) else prompt
        tokens = self.tokenizer(
            [prompt_clean(text) for text in prompts],
            padding="max_length",
            max_length=max_sequence_length or min(self.tokenizer.model_max_length, MAX_TEXT_TOKENS),
            truncation=True,
            return_attention_mask=True,
            return_tensors="pt",
        ).to(get_module_execution_device(self.text_encoder))
        embeds = self.text_encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state
        return embeds.masked_fill(tokens.attention_mask.unsqueeze(-1) == 0, 0)

    def encode_negative_prompt(
        self, prompts: list[str], prompt_embeds: Tensor, max_sequence_length: int | None = None
    ) -> Tensor:
        return self.encode_prompt(prompts, max_sequence_length)

    def prepare_timesteps(self, num_inference_steps: int) -> Tensor:
        """Timesteps in [0, 1000], uniform in sigma before the scheduler's shift."""
        sigmas = np.linspace(1, 0, num_inference_steps + 1)[:-1]
        self.scheduler.set_timesteps(sigmas=sigmas, device=self._execution_device)
        self.scheduler.set_begin_index(0)
        self._num_timesteps = num_inference_steps
        return self.scheduler.timesteps

    def sigma(self, index: int) -> float:
        return float(self.scheduler.sigmas[index])

    @torch.no_grad()
    def denoise(
        self,
        index: int,
        timestep: Tensor,
        tensors: dict[str, Tensor | None],
        generator: Generators | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One Euler step: the next latents, and the clean ones it predicts, x0 = x - sigma v."""
        latents, velocity = tensors["latents"], self.predict_velocity(index, timestep, **tensors)
        clean_latents = latents - self.scheduler.sigmas[index] * velocity
        latents = self.scheduler.step(velocity, timestep, latents, generator=generator, return_dict=False)[0]
        return latents, clean_latents
