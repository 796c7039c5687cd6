"""Concat-ID on CogVideoX.

    pipeline = ConcatIDCogVideoXPipeline.from_pretrained(folder)
    frames = pipeline("Two people laugh on a beach.", [left_face, right_face]).frames[0]

Axes: B batch, C latent channels, F latent frames, H, W latent size.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXDDIMScheduler, CogVideoXDPMScheduler
from diffusers.loaders import CogVideoXLoraLoaderMixin
from diffusers.utils.torch_utils import get_module_execution_device
from torch import Tensor
from transformers import PreTrainedTokenizerBase, T5EncoderModel

from concat_id.errors import InputError
from concat_id.models.transformer_cogvideox import ConcatIDCogVideoXTransformer3DModel
from concat_id.pipelines.pipeline import ConcatIDPipeline, Generators

__all__ = ["ConcatIDCogVideoXPipeline"]


class ConcatIDCogVideoXPipeline(ConcatIDPipeline, CogVideoXLoraLoaderMixin):
    """v-prediction on a schedule that ends in pure noise; without a prompt, its embeddings are zeros.

    The authors sample with `CogVideoXDPMScheduler`, which draws new noise at every step.
    """

    default_size = (49, 480, 720)
    default_guidance_scale = 6.0
    max_references = 3

    def __init__(
        self,
        transformer: ConcatIDCogVideoXTransformer3DModel,
        scheduler: CogVideoXDDIMScheduler | CogVideoXDPMScheduler,
        tokenizer: PreTrainedTokenizerBase | None = None,
        text_encoder: T5EncoderModel | None = None,
        vae: AutoencoderKLCogVideoX | None = None,
    ) -> None:
        """Without tokenizer and text encoder, give embeddings; without VAE, give and take latents."""
        super().__init__(transformer, scheduler, tokenizer, text_encoder, vae)
        self.vae_scale_factor_temporal = vae.config.temporal_compression_ratio if vae else 4
        self.vae_scale_factor_spatial = 2 ** (len(vae.config.block_out_channels) - 1) if vae else 8
        self._clean_latents: Tensor | None = None  # that the step before predicted, (B, F, C, H, W)

    @property
    def frame_stride(self) -> int:
        """The VAE decodes the latent frames after the first in pairs."""
        return 2 * self.vae_scale_factor_temporal

    @torch.no_grad()
    def encode_prompt(self, prompt: str | list[str], max_sequence_length: int | None = None) -> Tensor:
        """Text embeddings (prompts, text length, text_dim); what pads a prompt is encoded with it."""
        if self.text_encoder is None:
            raise InputError("The pipeline has no text encoder; give the prompts as embeddings.")
        tokens = self.tokenizer(
            [prompt] if isinstance(prompt, str) else prompt,
            padding="max_length",
            max_length=max_sequence_length or self.transformer.config.max_text_seq_length,
            truncation=True,
            return_tensors="pt",
        ).to(get_module_execution_device(self.text_encoder))
        return self.text_encoder(tokens.input_ids).last_hidden_state

    def encode_negative_prompt(
        self, prompts: list[str], prompt_embeds: Tensor, max_sequence_length: int | None = None
    ) -> Tensor:
        """Zeros where there is no negative prompt: that is how Concat-ID was trained to go without text."""
        if not any(prompts):
            return torch.zeros_like(prompt_embeds)
        embeds = self.encode_prompt(prompts, max_sequence_length)
        is_empty = torch.tensor([not prompt for prompt in prompts], device=embeds.device)
        return embeds.masked_fill(is_empty[:, None, None], 0)

    def prepare_latents(
        self,
        shape: tuple[int, ...],
        generator: Generators | None = None,
        latents: Tensor | None = None,
    ) -> Tensor:
        """The noise, (B, C, F, H, W) float32: the given one, or drawn frame by frame as in the stock one."""
        if latents is not None:
            return super().prepare_latents(shape, latents=latents)
        batch, channels, frames, *sides = shape
        return super().prepare_latents((batch, frames, channels, *sides), generator).transpose(1, 2)

    def prepare_timesteps(self, num_inference_steps: int) -> Tensor:
        """Timesteps from 999 down."""
        self.scheduler.set_timesteps(num_inference_steps, device=self._execution_device)
        self._num_timesteps = num_inference_steps
        self._clean_latents = None
        return self.scheduler.timesteps

    def sigma(self, index: int) -> float:
        return float((1 - self.scheduler.alphas_cumprod[self.scheduler.timesteps[index]]) ** 0.5)

    @torch.no_grad()
    def denoise(
        self,
        index: int,
        timestep: Tensor,
        tensors: dict[str, Tensor | None],
        generator: Generators | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One step: the next latents, and the clean ones it predicts, x0 = sqrt(a) x - sqrt(1 - a) v."""
        velocity = self.predict_velocity(index, timestep, **tensors).transpose(1, 2)
        latents = tensors["latents"].transpose(1, 2)  # (B, F, C, H, W), the order in which noise is drawn
        if isinstance(self.scheduler, CogVideoXDPMScheduler):
            last = self.scheduler.timesteps[index - 1] if index else None
            latents, clean_latents = self.scheduler.step(
                velocity, self._clean_latents, timestep, last, latents, generator=generator, return_dict=False
            )
        else:
            latents, clean_latents = self.scheduler.step(velocity, timestep, latents, return_dict=False)
        self._clean_latents = clean_latents
        return latents.transpose(1, 2), clean_latents.transpose(1, 2)
