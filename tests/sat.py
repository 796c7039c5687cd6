"""Checkpoints as SAT writes them, made of our transformer's weights: the conversion's way back."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FILE = "mp_rank_00_model_states.pt"

# diffusers' module names -> SAT's, those that only change their names.
_RENAMED = {
    r"time_embedding\.linear_1": "time_embed.0",
    r"time_embedding\.linear_2": "time_embed.2",
    r"patch_embed\.(\w+)": r"mixins.patch_embed.\1",
    r"norm_final": "transformer.final_layernorm",
    r"norm_out\.norm": "mixins.final_layer.norm_final",
    r"norm_out\.linear": "mixins.final_layer.adaLN_modulation.1",
    r"proj_out": "mixins.final_layer.linear",
    r"transformer_blocks\.(\d+)\.norm1\.norm": r"transformer.layers.\1.input_layernorm",
    r"transformer_blocks\.(\d+)\.norm2\.norm": r"transformer.layers.\1.post_attention_layernorm",
    r"transformer_blocks\.(\d+)\.attn1\.to_out\.0": r"transformer.layers.\1.attention.dense",
    r"transformer_blocks\.(\d+)\.attn1\.norm_q": r"mixins.adaln_layer.query_layernorm_list.\1",
    r"transformer_blocks\.(\d+)\.attn1\.norm_k": r"mixins.adaln_layer.key_layernorm_list.\1",
    r"transformer_blocks\.(\d+)\.ff\.net\.0\.proj": r"transformer.layers.\1.mlp.dense_h_to_4h",
    r"transformer_blocks\.(\d+)\.ff\.net\.2": r"transformer.layers.\1.mlp.dense_4h_to_h",
}


def to_sat(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our transformer's parameters under SAT's names, joined where SAT joins them."""
    left, theirs = dict(state_dict), {}
    for name in [name for name in state_dict if ".attn1.to_q." in name]:
        _, number, _, _, parameter = name.split(".")
        block = f"transformer_blocks.{number}"
        fused = [left.pop(f"{block}.attn1.{part}.{parameter}") for part in ("to_q", "to_k", "to_v")]
        theirs[f"transformer.layers.{number}.attention.query_key_value.{parameter}"] = torch.cat(fused)
        attention = left.pop(f"{block}.norm1.linear.{parameter}").chunk(6)
        feed_forward = left.pop(f"{block}.norm2.linear.{parameter}").chunk(6)
        chunks = attention[:3] + feed_forward[:3] + attention[3:] + feed_forward[3:]
        theirs[f"mixins.adaln_layer.adaLN_modulations.{number}.1.{parameter}"] = torch.cat(chunks)
    for name, tensor in left.items():
        module, _, parameter = name.rpartition(".")
        (renamed,) = [
            re.sub(pattern, new, module) for pattern, new in _RENAMED.items() if re.fullmatch(pattern, module)
        ]
        theirs[f"{renamed}.{parameter}"] = tensor
    return {f"model.diffusion_model.{name}": tensor.clone() for name, tensor in theirs.items()}


def write_sat(folder: Path, state_dict: dict[str, Tensor], **more: Any) -> Path:
    """Save a folder as training with SAT leaves it, with all that lies beside the weights."""
    besides = {
        "model.diffusion_model.mixins.pos_embed.freqs_sin": torch.zeros(3),
        "model.diffusion_model.transformer.position_embeddings.weight": torch.zeros(3, 3),
        "conditioner.embedders.0.transformer.shared.weight": torch.zeros(3, 3),
        "first_stage_model.decoder.conv_in.conv.bias": torch.zeros(3),
    }
    (folder / "1000").mkdir(parents=True)
    (folder / "latest").write_text("1000")
    dice = {"np_rng_state": np.random.RandomState(0).get_state(), "random_rng_state": random.getstate()}
    module = {**to_sat(state_dict), **besides, **more}
    torch.save({"module": module, "iteration": 1000, **dice}, folder / "1000" / FILE)
    return folder
