"""ConsisID, whose results the paper compares with, step by step as Concat-ID's own pipelines.

It computes what diffusers' `ConsisIDPipeline` computes, but that the face's latents are the mode of what the
autoencoder says, not a sample. Axes: B batch, L tokens, D width.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXDDIMScheduler, CogVideoXDPMScheduler
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase, T5EncoderModel

from concat_id.errors import InputError, NoFaceFound
from concat_id.models.eva_clip import EvaClipVisionModel
from concat_id.models.transformer_consisid import StreamedConsisIDTransformer3DModel
from concat_id.pipelines.pipeline_cogvideox import ConcatIDCogVideoXPipeline

if TYPE_CHECKING:
    from concat_id.references.prepare import PreparedReference

__all__ = ["StreamedConsisIDPipeline"]

# Of red, green and blue in grey, and CLIP's statistics of pictures.
LUMINANCE = (0.299, 0.587, 0.114)
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class StreamedConsisIDPipeline(ConcatIDCogVideoXPipeline):
    """Videos of one person; without a prompt, guidance leads away from an empty one."""

    max_references = 1
    _optional_components = ["tokenizer", "text_encoder", "vae", "face_encoder"]

    def __init__(
        self,
        transformer: StreamedConsisIDTransformer3DModel,
        scheduler: CogVideoXDDIMScheduler | CogVideoXDPMScheduler,
        tokenizer: PreTrainedTokenizerBase | None = None,
        text_encoder: T5EncoderModel | None = None,
        vae: AutoencoderKLCogVideoX | None = None,
        face_encoder: EvaClipVisionModel | None = None,
    ) -> None:
        """Without face encoder, give `attention_kwargs` as the transformer takes them."""
        super().__init__(transformer, scheduler, tokenizer, text_encoder, vae)
        self.register_modules(face_encoder=face_encoder)

    def encode_negative_prompt(
        self, prompts: list[str], prompt_embeds: Tensor, max_sequence_length: int | None = None
    ) -> Tensor:
        """The text encoder's embeddings also where there is no negative prompt."""
        return self.encode_prompt(prompts, max_sequence_length)

    def encode_references(self, pictures: list[list[Image.Image]], height: int, width: int) -> Tensor:
        """Prepared pictures, stretched to the video's size, to normalised latents (prompts, C, 1, H, W)."""
        stretched = [
            [picture.resize((width, height), Image.Resampling.LANCZOS) for picture in group]
            for group in pictures
        ]
        return super().encode_references(stretched, height, width)

    @torch.no_grad()
    def describe_faces(self, references: Sequence[PreparedReference]) -> dict[str, Any]:
        """What recognisers say of the one face: ArcFace's embedding beside EVA-CLIP's of the picture in grey,
        (1, D), and EVA-CLIP's hidden states, five times (1, L, D).
        """
        (reference,) = references
        if reference.face is None:
            raise NoFaceFound("no face was found in the picture; ConsisID needs one: choose another picture.")
        embedding, hidden = self.face_encoder(_in_grey(reference.picture, self.face_encoder))
        arcface = torch.from_numpy(reference.face.embedding * reference.face.embedding_norm)[None]
        # Only one of them has length 1, as in the authors' code.
        id_cond = torch.cat([arcface.to(embedding), F.normalize(embedding)], dim=1)
        return {"id_cond": id_cond, "id_vit_hidden": hidden}

    def _set_guidance(
        self, text: float, reference: float | None, skipped: Collection[int] | None, has_references: bool
    ) -> None:
        """Keep the text's strength; the face has none of its own."""
        if reference not in (None, 1):
            raise InputError(
                f"reference_guidance_scale is {reference:g}; ConsisID always has its face: leave it at 1."
            )
        super()._set_guidance(text, None, skipped, has_references)

    def latent_shape(self, batch: int, num_frames: int, height: int, width: int) -> tuple[int, ...]:
        """(B, C, F, H, W): the transformer's input has the face's latents beside."""
        shape = super().latent_shape(batch, num_frames, height, width)
        return batch, self.transformer.config.out_channels, *shape[2:]


def _in_grey(picture: Image.Image, encoder: EvaClipVisionModel) -> Tensor:
    """A picture as the face encoder takes it, (1, 3, H, W)."""
    pixels = torch.from_numpy(np.asarray(picture, dtype=np.float32)) / 255  # (H, W, 3)
    grey = (pixels @ torch.tensor(LUMINANCE)).expand(1, 3, -1, -1)
    side = encoder.config.image_size
    grey = F.interpolate(grey, (side, side), mode="bicubic", antialias=True, align_corners=False)
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return ((grey - mean) / std).to(encoder.device, encoder.dtype)
