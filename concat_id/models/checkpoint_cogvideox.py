"""The authors' CogVideoX checkpoints, as SAT writes them: their parameters' names, and their schedule."""

from __future__ import annotations

import re
from typing import Any

# CogVideoX-5B's: v-prediction down to pure noise.
SCHEDULE: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "set_alpha_to_one": True,
    "snr_shift_scale": 1.0,
    "timestep_spacing": "trailing",
}

_PREFIX = "model.diffusion_model."
# What a whole training engine holds besides, and tables that are computed anew.
_DROPPED = re.compile(
    r"(conditioner|first_stage_model)\..+"
    r"|model\.diffusion_model\.(.+\.)?(freqs_\w+|position_embeddings?|embed_tokens)(\..+)?"
)

# SAT's module names -> diffusers'.
_TOP_LEVEL = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "mixins.patch_embed.proj": "patch_embed.proj",
    "mixins.patch_embed.text_proj": "patch_embed.text_proj",
    "transformer.final_layernorm": "norm_final",
    "mixins.final_layer.norm_final": "norm_out.norm",
    "mixins.final_layer.adaLN_modulation.1": "norm_out.linear",
    "mixins.final_layer.linear": "proj_out",
}
_IN_BLOCK = {
    "transformer.layers.input_layernorm": ("norm1.norm",),
    "transformer.layers.attention.query_key_value": ("attn1.to_q", "attn1.to_k", "attn1.to_v"),
    "transformer.layers.attention.dense": ("attn1.to_out.0",),
    "transformer.layers.post_attention_layernorm": ("norm2.norm",),
    "transformer.layers.mlp.dense_h_to_4h": ("ff.net.0.proj",),
    "transformer.layers.mlp.dense_4h_to_h": ("ff.net.2",),
    "mixins.adaln_layer.query_layernorm_list": ("attn1.norm_q",),
    "mixins.adaln_layer.key_layernorm_list": ("attn1.norm_k",),
    # Shift, scale and gate of attention and feed-forward: of the video, then of the text.
    "mixins.adaln_layer.adaLN_modulations.1": ("norm1.linear", "norm2.linear") * 2,
}


def find_targets(name: str) -> tuple[str, ...] | None:
    """Our names of one of SAT's parameters, see `convert.Release`."""
    if _DROPPED.fullmatch(name):
        return ()
    module, _, parameter = name.removeprefix(_PREFIX).rpartition(".")
    if not name.startswith(_PREFIX) or parameter not in ("weight", "bias"):
        return None
    if module in _TOP_LEVEL:
        return (f"{_TOP_LEVEL[module]}.{parameter}",)
    block = re.fullmatch(r"(transformer\.layers|mixins\.adaln_layer\.\w+)\.(\d+)((?:\..+)?)", module)
    if block is None or block[1] + block[3] not in _IN_BLOCK:
        return None
    targets = _IN_BLOCK[block[1] + block[3]]
    return tuple(f"transformer_blocks.{block[2]}.{target}.{parameter}" for target in targets)
