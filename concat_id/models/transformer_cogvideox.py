"""The Concat-ID transformer on CogVideoX: references are latent frames that follow the video's.

Axes: B batch, R references, C latent channels, F latent frames, H, W latent size, L tokens, D width.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import wraps
from typing import Any

import torch
from diffusers.configuration_utils import FrozenDict
from diffusers.hooks._helpers import TransformerBlockMetadata, TransformerBlockRegistry
from diffusers.models.attention_processor import CogVideoXAttnProcessor2_0
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXBlock, CogVideoXTransformer3DModel
from diffusers.pipelines.cogvideo.pipeline_cogvideox import get_resize_crop_region_for_grid
from diffusers.utils import apply_lora_scale
from einops import rearrange
from torch import Tensor, nn

from concat_id.models.reference_cache import CachedCogVideoXAttnProcessor, CarriedReferences
from concat_id.models.reference_transformer import ReferenceTransformerMixin, check_shapes

# ModelMixin is named here because diffusers looks for it in the module of a component that it loads.
__all__ = ["ConcatIDCogVideoXTransformer3DModel", "ModelMixin"]


class ConcatIDCogVideoXBlock(CogVideoXBlock):
    """CogVideoX's block, beside whose sequence references can be carried."""

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        temb: Tensor,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
        carried: CarriedReferences | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Run the block.

        Args:
            hidden_states: video tokens, then reference tokens, (B, L, D).
            encoder_hidden_states: text tokens, (B, text length, D).
            temb: time embedding.
            image_rotary_emb: cosines and sines, (L, head width).
            carried: the reference tokens, where `hidden_states` are the video's alone; they are replaced.
        """
        if not carried:
            return super().forward(hidden_states, encoder_hidden_states, temb, image_rotary_emb)
        tokens, text = super().forward(
            carried.join(hidden_states), encoder_hidden_states, temb, image_rotary_emb
        )
        return carried.part(tokens), text


TransformerBlockRegistry.register(  # what diffusers' step caches need to know
    ConcatIDCogVideoXBlock,
    TransformerBlockMetadata(return_hidden_states_index=0, return_encoder_hidden_states_index=1),
)


class ConcatIDCogVideoXTransformer3DModel(ReferenceTransformerMixin, CogVideoXTransformer3DModel):
    """CogVideoX's text-to-video transformer that also sees reference latents.

    It has the stock model's parameters and no others: to it the references are the frames F to F + R - 1.
    Without references it computes what `CogVideoXTransformer3DModel` computes. It is called like
    `ConcatIDWanTransformer3DModel`: frames are the third axis of latents, and positions are its own business.
    """

    _no_split_modules = ["ConcatIDCogVideoXBlock", "CogVideoXPatchEmbed"]
    _repeated_blocks = ["ConcatIDCogVideoXBlock"]
    _attn_processors = (CogVideoXAttnProcessor2_0, CachedCogVideoXAttnProcessor)

    @wraps(CogVideoXTransformer3DModel.__init__)
    def __init__(self, *args: Any, **config: Any) -> None:
        super().__init__(*args, **config)
        if self.config.patch_size_t is not None:
            raise ValueError(
                f"patch_size_t must be None: a reference is one frame; got {self.config.patch_size_t}."
            )
        if self.config.ofs_embed_dim is not None or self.config.use_learned_positional_embeddings:
            raise ValueError(
                "ofs_embed_dim must be None and use_learned_positional_embeddings False: "
                "they belong to the image-to-video models."
            )
        for block in self.transformer_blocks:
            block.__class__ = ConcatIDCogVideoXBlock

    @property
    def patch_sides(self) -> tuple[int, int]:
        """Height and width of a patch, in latent cells."""
        return self.config.patch_size, self.config.patch_size

    def list_blocks(self) -> nn.ModuleList:
        return self.transformer_blocks

    @apply_lora_scale("attention_kwargs")
    def forward(
        self,
        hidden_states: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        reference_latents: Tensor | None = None,
        return_dict: bool = True,
        attention_kwargs: dict[str, Any] | None = None,
        skip_layers: Collection[int] = (),
    ) -> Transformer2DModelOutput | tuple[Tensor]:
        """Predict the velocity v of the video part.

        Args:
            hidden_states: noisy video latents, (B, C, F, H, W).
            timestep: (B,), from 0 to 999.
            encoder_hidden_states: text embeddings, (B, text length, text_embed_dim).
            reference_latents: clean latents of the references, (B, C, R, H, W), R >= 0; None: no references.
            return_dict: whether to return an output object instead of a tuple.
            attention_kwargs: may hold `scale`, the strength of the loaded LoRA.
            skip_layers: indices of blocks that are left out; neither the first nor the last.

        Returns:
            The prediction, (B, C, F, H, W), as `.sample` or as the only element of a tuple.
        """
        if reference_latents is None:
            reference_latents = hidden_states[:, :, :0]
        check_shapes(hidden_states, timestep, reference_latents)
        num_frames, text_length = hidden_states.shape[2], encoder_hidden_states.shape[1]
        temb = self.time_embedding(self.time_proj(timestep).to(hidden_states.dtype))

        # The references are concatenated (guarded by test_references_are_concatenated_behind_the_video).
        hidden_states = torch.cat([hidden_states, reference_latents], dim=2)
        positions = rotary_positions(self.config, hidden_states)
        p, q = self.patch_sides
        grid = {"h": hidden_states.shape[3] // p, "w": hidden_states.shape[4] // q}
        tokens = self.patch_embed(encoder_hidden_states, rearrange(hidden_states, "b c f h w -> b f c h w"))
        tokens = self.embedding_dropout(tokens)
        text, hidden_states = tokens[:, :text_length], tokens[:, text_length:]  # (B, L, D) each

        conditions = (temb, positions)
        if self._reference_cache and reference_latents.shape[2]:
            num_video_tokens = num_frames * grid["h"] * grid["w"]
            hidden_states, carried = self._reference_cache.take(hidden_states, num_video_tokens, text_length)
            if carried:
                conditions += (carried,)
            elif positions:
                conditions = (temb, tuple(table[:num_video_tokens] for table in positions))
        for index, block in enumerate(self.transformer_blocks):
            if index in skip_layers:
                continue
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                hidden_states, text = self._gradient_checkpointing_func(
                    block, hidden_states, text, *conditions
                )
            else:
                hidden_states, text = block(hidden_states, text, *conditions)

        hidden_states = self.proj_out(self.norm_out(self.norm_final(hidden_states), temb=temb))
        sample = rearrange(hidden_states, "b (f h w) (c p q) -> b c f (h p) (w q)", **grid, p=p, q=q)
        # Their part of the prediction is stripped (guarded by test_references_are_stripped).
        sample = sample[:, :, :num_frames]
        return Transformer2DModelOutput(sample=sample) if return_dict else (sample,)


def rotary_positions(config: FrozenDict, latents: Tensor) -> tuple[Tensor, Tensor] | None:
    """Cosines and sines (L, head width) of all frames (B, C, F + R, H, W): time goes on from the video.

    None where the positions are sines that the patches' embedding adds, which go on alike.

    Args:
        config: of a transformer of CogVideoX's kind.
    """
    if not config.use_rotary_positional_embeddings:
        return None
    p = config.patch_size
    frames, rows, columns = latents.shape[2], latents.shape[3] // p, latents.shape[4] // p
    trained_size = config.sample_width // p, config.sample_height // p
    return get_3d_rotary_pos_embed(
        embed_dim=config.attention_head_dim,
        crops_coords=get_resize_crop_region_for_grid((rows, columns), *trained_size),
        grid_size=(rows, columns),
        temporal_size=frames,
        device=latents.device,
    )
