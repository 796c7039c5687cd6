"""Text and reference pictures in, video out: what the pipelines of both backbones share, the loop above all.

Axes: B batch (prompts times videos per prompt), R references, C latent channels, F latent frames, H, W latent
size, T video frames.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import DiffusionPipeline, ModelMixin, SchedulerMixin
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from concat_id.errors import InputError
from concat_id.pipelines import checks
from concat_id.pipelines.guidance import GuidanceMixin
from concat_id.pipelines.latents import decode_videos, encode_pictures
from concat_id.pipelines.outputs import ConcatIDPipelineOutput, OutputType, Step, format_frames

if TYPE_CHECKING:
    from concat_id.references.prepare import PreparedReference

Pictures = list[Image.Image] | list[list[Image.Image]]
Generators = torch.Generator | list[torch.Generator]
Callback = Callable[["ConcatIDPipeline", int, Tensor, dict[str, Tensor]], dict[str, Tensor]]


class ConcatIDPipeline(GuidanceMixin, DiffusionPipeline):
    """Generates videos of the people, garments and places in reference pictures.

    A backbone adds its components, with `vae_scale_factor_temporal` and `vae_scale_factor_spatial` from the
    VAE's configuration, the defaults below, how prompts are encoded and how a step denoises.
    """

    default_size: tuple[int, int, int]  # frames, height and width that the backbone was trained on
    default_guidance_scale: float
    max_references: int | None = None  # None: as many as fit

    model_cpu_offload_seq = "text_encoder->transformer->vae"
    _callback_tensor_inputs = ["latents", "prompt_embeds", "negative_prompt_embeds", "reference_latents"]
    _optional_components = ["tokenizer", "text_encoder", "vae"]

    def __init__(
        self,
        transformer: ModelMixin,
        scheduler: SchedulerMixin,
        tokenizer: PreTrainedTokenizerBase | None,
        text_encoder: PreTrainedModel | None,
        vae: ModelMixin | None,
    ) -> None:
        super().__init__()
        self.register_modules(
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            transformer=transformer,
            vae=vae,
            scheduler=scheduler,
        )

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        references: Pictures | None = None,
        *,
        negative_prompt: str | list[str] | None = None,
        height: int | None = None,
        width: int | None = None,
        num_frames: int | None = None,
        num_inference_steps: int = 50,
        guidance_scale: float | None = None,
        reference_guidance_scale: float | None = None,
        skip_guidance_layers: Collection[int] | None = None,
        num_videos_per_prompt: int = 1,
        generator: Generators | None = None,
        latents: Tensor | None = None,
        prompt_embeds: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
        reference_latents: Tensor | None = None,
        output_type: OutputType = "pil",
        return_dict: bool = True,
        attention_kwargs: dict[str, Any] | None = None,
        callback_on_step_end: Callback | None = None,
        callback_on_step_end_tensor_inputs: list[str] | None = None,
        max_sequence_length: int | None = None,
    ) -> ConcatIDPipelineOutput | tuple[Any]:
        """Generate videos: exhaust `stream`, decode the last latents.

        Args:
            prompt: what the videos show.
            references: prepared pictures of any size: a list for one prompt, or one list per prompt.
            negative_prompt: what they do not show; one for all prompts, or one for each.
            height: in pixels; by default that of `latents`, or else the backbone's.
            width: in pixels; by default that of `latents`, or else the backbone's.
            num_frames: 4k + 1, for CogVideoX 8k + 1; by default that of `latents`, or else the backbone's.
            num_inference_steps: denoising steps.
            guidance_scale: the text's strength; up to 1, the pass with the negative prompt is left out; by
                default the backbone's.
            reference_guidance_scale: the references' strength: above 1 more likeness, below 1 more freedom,
                for one more pass per step; None or 1: as the model was trained.
            skip_guidance_layers: blocks that the pass with the negative prompt leaves out, and the references
                with them, counted from 0; neither the first nor the last. `guidance_scale`, above 1, is then
                the strength of text and references alike. More faces of a small model are whole by it.
            num_videos_per_prompt: videos of each prompt with its references.
            generator: the noise's randomness, one for all videos or one for each.
            latents: the noise itself, (B, C, F, H, W).
            prompt_embeds: instead of `prompt`, (prompts, text length, text_dim).
            negative_prompt_embeds: instead of `negative_prompt`, like `prompt_embeds`.
            reference_latents: instead of `references`, normalised, (prompts, C, R, H, W).
            output_type: form of the frames, see `ConcatIDPipelineOutput`.
            return_dict: whether to return an output object instead of a tuple.
            attention_kwargs: may hold `scale`, the strength of the loaded LoRA.
            callback_on_step_end: called after each step with the pipeline, the step's index, its timestep and
                the tensors it asked for; those it returns replace them.
            callback_on_step_end_tensor_inputs: the names of these tensors; by default the latents alone.
            max_sequence_length: text tokens; by default what the backbone was trained on.
        """
        checks.check_choice("output_type", output_type, checks.OUTPUT_TYPES)
        if self.vae is None and output_type != "latent":
            raise InputError('The pipeline has no VAE; choose output_type="latent".')
        steps = self.stream(
            prompt,
            references,
            negative_prompt=negative_prompt,
            height=height,
            width=width,
            num_frames=num_frames,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            reference_guidance_scale=reference_guidance_scale,
            skip_guidance_layers=skip_guidance_layers,
            num_videos_per_prompt=num_videos_per_prompt,
            generator=generator,
            latents=latents,
            prompt_embeds=prompt_embeds,
            negative_prompt_embeds=negative_prompt_embeds,
            reference_latents=reference_latents,
            attention_kwargs=attention_kwargs,
            callback_on_step_end=callback_on_step_end,
            callback_on_step_end_tensor_inputs=callback_on_step_end_tensor_inputs,
            max_sequence_length=max_sequence_length,
        )
        for step in steps:
            latents = step.latents
        frames = (
            latents if output_type == "latent" else format_frames(self.decode_latents(latents), output_type)
        )
        self.maybe_free_model_hooks()
        return ConcatIDPipelineOutput(frames=frames) if return_dict else (frames,)

    def stream(
        self,
        prompt: str | list[str] | None = None,
        references: Pictures | None = None,
        *,
        negative_prompt: str | list[str] | None = None,
        height: int | None = None,
        width: int | None = None,
        num_frames: int | None = None,
        num_inference_steps: int = 50,
        guidance_scale: float | None = None,
        reference_guidance_scale: float | None = None,
        skip_guidance_layers: Collection[int] | None = None,
        num_videos_per_prompt: int = 1,
        generator: Generators | None = None,
        latents: Tensor | None = None,
        prompt_embeds: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
        reference_latents: Tensor | None = None,
        attention_kwargs: dict[str, Any] | None = None,
        callback_on_step_end: Callback | None = None,
        callback_on_step_end_tensor_inputs: list[str] | None = None,
        max_sequence_length: int | None = None,
    ) -> Iterator[Step]:
        """Denoise and yield each step; the arguments are `__call__`'s. It may be left at any step."""
        # 1. Check
        num_prompts = checks.count_prompts(prompt, prompt_embeds)
        checks.check_count("num_videos_per_prompt", num_videos_per_prompt)
        checks.check_count("num_inference_steps", num_inference_steps)
        checks.check_exclusive(negative_prompt=negative_prompt, negative_prompt_embeds=negative_prompt_embeds)
        checks.check_exclusive(references=references, reference_latents=reference_latents)
        negative_prompts = checks.expand_negative_prompt(negative_prompt, num_prompts)
        pictures = checks.group_references(references, num_prompts)
        num_references = len(pictures[0]) if pictures else 0
        if reference_latents is not None:
            num_references = reference_latents.shape[2]
        checks.check_references(num_references, self.max_references)
        self._set_guidance(
            self.default_guidance_scale if guidance_scale is None else guidance_scale,
            reference_guidance_scale,
            skip_guidance_layers,
            has_references=num_references > 0,
        )
        num_frames, height, width = self._resolve_size(num_frames, height, width, latents)
        shape = self.latent_shape(num_prompts * num_videos_per_prompt, num_frames, height, width)
        checks.check_generators(generator, shape[0])
        checks.check_tensors(
            num_prompts=num_prompts,
            latent_shape=shape,
            latents=latents,
            prompt_embeds=prompt_embeds,
            negative_prompt_embeds=negative_prompt_embeds,
            reference_latents=reference_latents,
        )
        self._attention_kwargs = attention_kwargs
        callback_names = self._callback_names(callback_on_step_end, callback_on_step_end_tensor_inputs)

        try:
            # 2. Encode the prompts
            if prompt_embeds is None:
                prompt_embeds = self.encode_prompt(prompt, max_sequence_length)
            if self.do_classifier_free_guidance and negative_prompt_embeds is None:
                negative_prompt_embeds = self.encode_negative_prompt(
                    negative_prompts, prompt_embeds, max_sequence_length
                )

            # 3. Encode the references
            if pictures:
                reference_latents = self.encode_references(pictures, height, width)

            # 4. Prepare noise and timesteps
            tensors = {
                "latents": self.prepare_latents(shape, generator, latents),
                "prompt_embeds": self._per_video(prompt_embeds, num_videos_per_prompt),
                "negative_prompt_embeds": self._per_video(negative_prompt_embeds, num_videos_per_prompt),
                "reference_latents": self._per_video(reference_latents, num_videos_per_prompt),
            }
            timesteps = self.prepare_timesteps(num_inference_steps)

            # 5. Denoise
            with self.progress_bar(total=num_inference_steps) as progress_bar:
                for index, timestep in enumerate(timesteps):
                    self._current_timestep = timestep
                    tensors["latents"], clean_latents = self.denoise(index, timestep, tensors, generator)
                    if callback_on_step_end is not None:
                        chosen = {name: tensors[name] for name in callback_names}
                        tensors |= callback_on_step_end(self, index, timestep, chosen) or {}
                    progress_bar.update()
                    yield Step(index, num_inference_steps, tensors["latents"], clean_latents)
                    if self._interrupt:
                        break
        finally:  # also when the consumer stops early and the generator is closed
            self._current_timestep = None
            self.maybe_free_model_hooks()

    def encode_prompt(self, prompt: str | list[str], max_sequence_length: int | None = None) -> Tensor:
        """Text embeddings (prompts, text length, text_dim)."""
        raise NotImplementedError

    def encode_negative_prompt(
        self, prompts: list[str], prompt_embeds: Tensor, max_sequence_length: int | None = None
    ) -> Tensor:
        """The embeddings that guidance leads away from, like `prompt_embeds`."""
        raise NotImplementedError

    @torch.no_grad()
    def encode_references(self, pictures: list[list[Image.Image]], height: int, width: int) -> Tensor:
        """Prepared pictures, R for each prompt, to normalised latents (prompts, C, R, H, W)."""
        if self.vae is None:
            raise InputError("The pipeline has no VAE; give reference_latents.")
        return encode_pictures(self.vae, pictures, height, width)

    def describe_faces(self, references: Sequence[PreparedReference]) -> dict[str, Any] | None:
        """What the transformer is told of references besides their latents, as `attention_kwargs`.

        Nothing: Concat-ID has no face encoder.
        """
        return None

    def prepare_latents(
        self,
        shape: tuple[int, ...],
        generator: Generators | None = None,
        latents: Tensor | None = None,
    ) -> Tensor:
        """The noise, (B, C, F, H, W) float32: drawn, or the given one."""
        if latents is not None:
            return latents.to(self._execution_device, torch.float32)
        return randn_tensor(shape, generator=generator, device=self._execution_device, dtype=torch.float32)

    def prepare_timesteps(self, num_inference_steps: int) -> Tensor:
        """Timesteps of the run, falling."""
        raise NotImplementedError

    def denoise(
        self,
        index: int,
        timestep: Tensor,
        tensors: dict[str, Tensor | None],
        generator: Generators | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One step: the next latents, and the clean ones it predicts.

        `tensors` are the arguments of `predict_velocity` of these names.
        """
        raise NotImplementedError

    @torch.no_grad()
    def decode_latents(self, latents: Tensor) -> Tensor:
        """Normalised latents (B, C, F, H, W) to videos (B, T, 3, H, W) in [0, 1], float32."""
        videos = decode_videos(self.vae, latents)
        checks.check_finite(videos, "in decoding")
        return videos

    def save_config(
        self, save_directory: str | os.PathLike[str], push_to_hub: bool = False, **kwargs: Any
    ) -> None:
        """Write `model_index.json`, and what lets diffusers find this class; part of `save_pretrained`."""
        super().save_config(save_directory, push_to_hub, **kwargs)
        (Path(save_directory) / "pipeline.py").write_text(self.loader())

    @classmethod
    def loader(cls) -> str:
        """A module to lie beside the weights, for `DiffusionPipeline.from_pretrained(folder,
        custom_pipeline="pipeline", trust_remote_code=True)`: diffusers finds a class of another package in no
        other way. It keeps all such modules of a process as one, so that their class has one name.
        """
        return f"from {cls.__module__} import {cls.__name__} as Pipeline\n"

    @property
    def frame_stride(self) -> int:
        """How many frames more make the next longer video that the VAE can decode."""
        return self.vae_scale_factor_temporal

    def _per_video(self, tensor: Tensor | None, num_videos_per_prompt: int) -> Tensor | None:
        """What is given per prompt, for each of its videos, where and as the transformer takes it."""
        if tensor is None:
            return None
        tensor = tensor.to(self._execution_device, self.transformer.dtype)
        return tensor.repeat_interleave(num_videos_per_prompt, dim=0)

    def _resolve_size(
        self, num_frames: int | None, height: int | None, width: int | None, latents: Tensor | None
    ) -> tuple[int, int, int]:
        """Frames, height and width: what is given, else what the latents imply, else the default; checked."""
        spatial, temporal = self.vae_scale_factor_spatial, self.vae_scale_factor_temporal
        default = self.default_size
        if latents is not None:
            checks.check_shape("latents", latents, tuple("BCFHW"))
            f, h, w = latents.shape[2:]
            default = (f - 1) * temporal + 1, h * spatial, w * spatial
        given = (num_frames, height, width)
        num_frames, height, width = (d if g is None else g for g, d in zip(given, default, strict=True))
        p, q = self.transformer.patch_sides
        checks.check_multiple("num_frames", num_frames, self.frame_stride, offset=1)
        checks.check_multiple("height", height, spatial * p)
        checks.check_multiple("width", width, spatial * q)
        return num_frames, height, width

    def latent_shape(self, batch: int, num_frames: int, height: int, width: int) -> tuple[int, ...]:
        """(B, C, F, H, W) of the latents of videos of this size."""
        spatial, temporal = self.vae_scale_factor_spatial, self.vae_scale_factor_temporal
        channels = self.transformer.config.in_channels
        return batch, channels, (num_frames - 1) // temporal + 1, height // spatial, width // spatial

    def _callback_names(self, callback: Callback | None, names: list[str] | None) -> list[str]:
        """The tensors a callback gets: those its class names, or those asked for, or the latents."""
        if isinstance(callback, PipelineCallback | MultiPipelineCallbacks):
            names = callback.tensor_inputs
        for name in names or []:
            checks.check_choice("callback_on_step_end_tensor_inputs", name, self._callback_tensor_inputs)
        return names or ["latents"]
