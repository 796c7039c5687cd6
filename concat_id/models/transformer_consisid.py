"""ConsisID's transformer (Yuan et al. 2024, arXiv:2411.17440), called as those of Concat-ID are.

Axes: B batch, C latent channels, F latent frames, H, W latent size.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.transformers.consisid_transformer_3d import ConsisIDTransformer3DModel
from einops import rearrange
from torch import Tensor

from concat_id.errors import InputError
from concat_id.models.reference_transformer import ReferenceTransformerMixin, check_shapes
from concat_id.models.transformer_cogvideox import rotary_positions

# ModelMixin is named here because diffusers looks for it in the module of a component that it loads.
__all__ = ["StreamedConsisIDTransformer3DModel", "ModelMixin"]


class StreamedConsisIDTransformer3DModel(ReferenceTransformerMixin, ConsisIDTransformer3DModel):
    """The stock model with its own parameters, for a pipeline that yields each step.

    It sees the face in two ways: as latents beside those of the first frame, and as recognisers describe it.
    """

    _repeated_blocks = ["ConsisIDBlock"]

    @property
    def patch_sides(self) -> tuple[int, int]:
        """Height and width of a patch, in latent cells."""
        return self.config.patch_size, self.config.patch_size

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
        """Predict the velocity v of the video.

        Args:
            hidden_states: noisy video latents, (B, C, F, H, W).
            timestep: (B,), from 0 to 999.
            encoder_hidden_states: text embeddings, (B, text length, text_embed_dim).
            reference_latents: clean latents of the face, (B, C, 1, H, W).
            return_dict: whether to return an output object instead of a tuple.
            attention_kwargs: `id_cond` and `id_vit_hidden`, as the stock model takes them, and maybe `scale`,
                the strength of the loaded LoRA.
            skip_layers: none; the stock model computes all.

        Returns:
            The prediction, (B, C, F, H, W), as `.sample` or as the only element of a tuple.
        """
        told = dict(attention_kwargs or {})
        if reference_latents is None or reference_latents.shape[2] != 1 or "id_cond" not in told:
            raise InputError("ConsisID makes videos of one person; give one reference with a face.")
        if skip_layers:
            raise InputError(f"ConsisID leaves out no layers, got skip_layers {tuple(skip_layers)}.")
        check_shapes(hidden_states, timestep, reference_latents)
        beside = torch.zeros_like(hidden_states)
        beside[:, :, :1] = reference_latents
        inputs = torch.cat([hidden_states, beside], dim=1)
        sample = super().forward(
            rearrange(inputs, "b c f h w -> b f c h w"),
            encoder_hidden_states,
            timestep,
            image_rotary_emb=rotary_positions(self.config, hidden_states),
            id_cond=told.pop("id_cond"),
            id_vit_hidden=told.pop("id_vit_hidden"),
            attention_kwargs=told,
            return_dict=False,
        )[0]
        sample = rearrange(sample, "b f c h w -> b c f h w")
        return Transformer2DModelOutput(sample=sample) if return_dict else (sample,)
