"""The transformer's training on CogVideoX: the same step by v-prediction.

It starts from a diffusers folder on CogVideoX, such as `convert` writes, on latents of its autoencoder.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase, T5EncoderModel

from concat_id import ConcatIDCogVideoXPipeline, ConcatIDCogVideoXTransformer3DModel
from train.transformer import v_prediction
from train.transformer.training import ConcatIDTraining


class CogVideoXTraining(ConcatIDTraining):
    """v-prediction on latents; dropped captions are zeros. For the authors' own: shift 1, no logit_normal."""

    pipeline_class = ConcatIDCogVideoXPipeline

    def load_transformer(self, init_from: str | None) -> ConcatIDCogVideoXTransformer3DModel:
        if init_from is None:
            raise ValueError("init_from must name a diffusers folder on CogVideoX.")
        return ConcatIDCogVideoXTransformer3DModel.from_pretrained(Path(init_from) / "transformer").float()

    def load_text(
        self, init_from: str | None, text: str | None
    ) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        texts = Path(text or init_from)
        return (
            T5EncoderModel.from_pretrained(texts / "text_encoder").float(),
            AutoTokenizer.from_pretrained(texts / "tokenizer"),
        )

    def interpolate(self, x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
        return v_prediction.interpolate(x0, noise, sigmas)

    def velocity(self, x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
        return v_prediction.velocity(x0, noise, sigmas)

    def timesteps(self, sigmas: Tensor) -> Tensor:
        return v_prediction.timesteps(sigmas)

    def encode_captions(self, captions: list[str], keep: Tensor) -> Tensor:
        """Embeddings (B, L, D), as the pipeline makes them; those of a dropped caption are zeros."""
        tokens = self.tokenizer(
            captions,
            padding="max_length",
            max_length=self.transformer.config.max_text_seq_length,
            truncation=True,
            return_tensors="pt",
        ).to(self.text_encoder.device)
        embeds = self.text_encoder(tokens.input_ids).last_hidden_state
        return torch.where(keep.to(embeds.device)[:, None, None], embeds, 0)


def is_cogvideox(folder: str | None) -> bool:
    """Whether a diffusers folder is on CogVideoX."""
    if folder is None:
        return False
    config = json.loads((Path(folder) / "transformer" / "config.json").read_text(encoding="utf-8"))
    return config["_class_name"] == ConcatIDCogVideoXTransformer3DModel.__name__
