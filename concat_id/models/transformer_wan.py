"""The Concat-ID transformer on Wan 2.1: video latents and reference latents in one sequence.

Axes: B batch, R references, C latent channels, F latent frames, H, W latent size, L tokens, D width.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models._modeling_parallel import ContextParallelInput, ContextParallelOutput
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.transformers.transformer_wan import WanAttnProcessor, WanTransformer3DModel
from diffusers.utils import apply_lora_scale
from einops import rearrange
from torch import Tensor, nn

from concat_id.models.blocks_wan import ConcatIDWanRotaryPosEmbed, ConcatIDWanTransformerBlock
from concat_id.models.reference_cache import CachedWanAttnProcessor
from concat_id.models.reference_transformer import ReferenceTransformerMixin, check_shapes

# ModelMixin is named here because diffusers looks for it in the module of a component that it loads.
__all__ = ["ConcatIDWanTransformer3DModel", "ModelMixin"]


class ConcatIDWanTransformer3DModel(ReferenceTransformerMixin, WanTransformer3DModel):
    """Wan's text-to-video transformer that also sees reference latents.

    With `reference_adaln` the reference tokens have a time projection and modulation tables of their own.
    Without references it computes what `WanTransformer3DModel` computes.

    Under context parallelism the whole sequence, (F + R) * H * W / 4 tokens for the patch size (1, 2, 2), is
    split evenly, so that its length has to be divisible by the number of ranks, and for Ulysses the number of
    heads, too; on NCCL, `ulysses_anything` and `ring_anything` of `ContextParallelConfig` lift that.
    """

    _no_split_modules = ["ConcatIDWanTransformerBlock"]
    _repeated_blocks = ["ConcatIDWanTransformerBlock"]
    _attn_processors = (WanAttnProcessor, CachedWanAttnProcessor)
    _skip_layerwise_casting_patterns = [
        *WanTransformer3DModel._skip_layerwise_casting_patterns,
        "reference_time_proj",
    ]
    _keep_in_fp32_modules = [*WanTransformer3DModel._keep_in_fp32_modules, "reference_scale_shift_table"]
    _cp_plan = {
        "rope": {  # is_video is split like the positions: each rank learns which of its tokens are video
            0: ContextParallelInput(split_dim=1, expected_dims=4, split_output=True),
            1: ContextParallelInput(split_dim=1, expected_dims=4, split_output=True),
            2: ContextParallelInput(split_dim=0, expected_dims=1, split_output=True),
        },
        "blocks.0": {"hidden_states": ContextParallelInput(split_dim=1, expected_dims=3, split_output=False)},
        "proj_out": ContextParallelOutput(gather_dim=1, expected_dims=3),
    }

    @register_to_config
    def __init__(
        self,
        patch_size: tuple[int, int, int] = (1, 2, 2),
        num_attention_heads: int = 12,
        attention_head_dim: int = 128,
        in_channels: int = 16,
        out_channels: int = 16,
        text_dim: int = 4096,
        freq_dim: int = 256,
        ffn_dim: int = 8960,
        num_layers: int = 30,
        cross_attn_norm: bool = True,
        qk_norm: str | None = "rms_norm_across_heads",
        eps: float = 1e-6,
        image_dim: None = None,
        added_kv_proj_dim: None = None,
        rope_max_seq_len: int = 1024,
        pos_embed_seq_len: None = None,
        reference_adaln: bool = False,
    ) -> None:
        """The defaults are Wan 2.1 T2V-1.3B's.

        `image_dim`, `added_kv_proj_dim` and `pos_embed_seq_len` are part of every Wan configuration, but
        belong to its image-to-video models: here they have to be None.
        """
        if patch_size[0] != 1:
            raise ValueError(f"patch_size must start with 1: a reference is one frame; got {patch_size}.")
        if any(option is not None for option in (image_dim, added_kv_proj_dim, pos_embed_seq_len)):
            raise ValueError("image_dim, added_kv_proj_dim and pos_embed_seq_len must be None.")
        super().__init__(
            patch_size=patch_size,
            num_attention_heads=num_attention_heads,
            attention_head_dim=attention_head_dim,
            in_channels=in_channels,
            out_channels=out_channels,
            text_dim=text_dim,
            freq_dim=freq_dim,
            ffn_dim=ffn_dim,
            num_layers=0,
            cross_attn_norm=cross_attn_norm,
            qk_norm=qk_norm,
            eps=eps,
            rope_max_seq_len=rope_max_seq_len,
        )
        self.register_to_config(num_layers=num_layers)  # the stock class registered its own 0
        width = num_attention_heads * attention_head_dim
        self.rope = ConcatIDWanRotaryPosEmbed(attention_head_dim, patch_size, rope_max_seq_len)
        if reference_adaln:
            self.reference_time_proj = nn.Linear(width, 6 * width)
        self.blocks = nn.ModuleList(
            ConcatIDWanTransformerBlock(
                width, ffn_dim, num_attention_heads, qk_norm, cross_attn_norm, eps, reference_adaln
            )
            for _ in range(num_layers)
        )

    @property
    def patch_sides(self) -> tuple[int, int]:
        """Height and width of a patch, in latent cells."""
        return self.config.patch_size[1:]

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
        """Predict the velocity of the video part.

        Args:
            hidden_states: noisy video latents, (B, C, F, H, W).
            timestep: (B,), in [0, 1000].
            encoder_hidden_states: text embeddings, (B, text length, text_dim).
            reference_latents: clean latents of the references, (B, C, R, H, W), R >= 0; None: no references.
            return_dict: whether to return an output object instead of a tuple.
            attention_kwargs: may hold `scale`, the strength of the loaded LoRA.
            skip_layers: indices of blocks that are left out, for guidance away from what is worse without
                them; neither the first nor the last, on which caches and context parallelism hang.

        Returns:
            The prediction, (B, C, F, H, W), as `.sample` or as the only element of a tuple.
        """
        if reference_latents is None:
            reference_latents = hidden_states[:, :, :0]
        check_shapes(hidden_states, timestep, reference_latents)
        num_frames, num_references = hidden_states.shape[2], reference_latents.shape[2]
        cosines, sines, is_video = self.rope(hidden_states, num_references)

        # The references are concatenated (guarded by test_references_are_concatenated_behind_the_video).
        hidden_states = torch.cat([hidden_states, reference_latents], dim=2)
        hidden_states = self.patch_embedding(hidden_states)
        grid = dict(zip("fhw", hidden_states.shape[2:], strict=True))
        hidden_states = rearrange(hidden_states, "b d f h w -> b (f h w) d").contiguous()

        temb, temb_6, text, _ = self.condition_embedder(timestep, encoder_hidden_states)
        conditions = (text, temb_6.unflatten(1, (6, -1)), (cosines, sines))
        if num_references:
            num_video_tokens = _count_video_tokens(is_video, num_frames, grid)
            conditions += (self._project_reference_time(temb), num_video_tokens)
        if self._reference_cache and num_references:
            hidden_states, carried = self._reference_cache.take(hidden_states, num_video_tokens)
            if carried:
                conditions += (carried,)
            else:  # Wan's own blocks, but that their attention knows the references
                positions = tuple(table[:, :num_video_tokens] for table in conditions[2])
                conditions = (*conditions[:2], positions)
        for index, block in enumerate(self.blocks):
            if index in skip_layers:
                continue
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                hidden_states = self._gradient_checkpointing_func(block, hidden_states, *conditions)
            else:
                hidden_states = block(hidden_states, *conditions)

        shift, scale = (self.scale_shift_table.to(temb.device) + temb.unsqueeze(1)).chunk(2, dim=1)
        shift, scale = shift.to(hidden_states.device), scale.to(hidden_states.device)
        hidden_states = (self.norm_out(hidden_states.float()) * (1 + scale) + shift).type_as(hidden_states)
        sample = self._unpatchify(self.proj_out(hidden_states), grid["h"], grid["w"])
        # Their part of the prediction is stripped (guarded by test_references_are_stripped).
        sample = sample[:, :, :num_frames]
        return Transformer2DModelOutput(sample=sample) if return_dict else (sample,)

    def list_blocks(self) -> nn.ModuleList:
        return self.blocks

    def _project_reference_time(self, temb: Tensor) -> Tensor | None:
        """The references' own projection of the time embedding (B, D), (B, 6, D); None if they have none."""
        if not self.config.reference_adaln:
            return None
        return self.reference_time_proj(self.condition_embedder.act_fn(temb)).unflatten(1, (6, -1))

    def _unpatchify(self, tokens: Tensor, rows: int, columns: int) -> Tensor:
        """Tokens (B, L, patch volume * C) back to latents (B, C, frames, H, W)."""
        p, q = self.patch_sides
        return rearrange(tokens, "b (f h w) (p q c) -> b c f (h p) (w q)", h=rows, w=columns, p=p, q=q)


def _count_video_tokens(is_video: Tensor, num_frames: int, grid: dict[str, int]) -> int:
    """How many of this process's tokens are video; under context parallelism it holds only a part of them."""
    if len(is_video) == grid["f"] * grid["h"] * grid["w"]:
        return num_frames * grid["h"] * grid["w"]
    return int(is_video.sum())
