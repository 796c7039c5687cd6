"""ViCLIP (Wang et al. 2024): how well a video does what its prompt says.

The architecture is CLIP with one change: the image tower sees the patches of all frames as one sequence, with
an embedding of the frame's place in time. The embedded model is the same in small, trained by
`train/scoring/video_clip.py`. Axes: B videos, T frames, N patches, D width, E embedding width.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer, initialization

from concat_id.errors import WeightsUnavailable

NUM_FRAMES = 8
# OpenAI's CLIP, whose weights ViCLIP was started from; the embedded model takes the same values.
IMAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)
IMAGE_STD = (0.26862954, 0.26130258, 0.27577711)
VICLIP_CONFIG: dict[str, Any] = {
    "projection_dim": 768,
    "num_frames": NUM_FRAMES,
    "text_config": {
        "vocab_size": 49408,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "max_position_embeddings": 32,
        "bos_token_id": 49406,
        "eos_token_id": 49407,
        "projection_dim": 768,
    },
    "vision_config": {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": 224,
        "patch_size": 14,
        "projection_dim": 768,
    },
}


class VideoClip(CLIPModel):
    """CLIP over videos; its config has `num_frames` besides CLIP's own values."""

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__(config)
        self.temporal_embedding = nn.Parameter(torch.zeros(config.num_frames, self.vision_embed_dim))

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, VideoClip) and hasattr(module, "temporal_embedding"):
            initialization.zeros_(module.temporal_embedding)

    def embed_videos(self, frames: Tensor) -> Tensor:
        """Unit vectors (B, E) of videos (B, T, 3, H, W) in [0, 1] at the model's size."""
        vision, (batch, num_frames) = self.vision_model, frames.shape[:2]
        tokens = vision.embeddings(normalise(frames.flatten(0, 1)))  # (B * T, 1 + N, D)
        tokens = tokens.unflatten(0, (batch, num_frames))
        summary = tokens[:, 0, :1]
        patches = tokens[:, :, 1:] + self.temporal_embedding[:, None]
        # Joint attention over space and time.
        hidden = vision.pre_layrnorm(torch.cat([summary, patches.flatten(1, 2)], 1))
        hidden = vision.post_layernorm(vision.encoder(inputs_embeds=hidden).last_hidden_state[:, 0])
        return F.normalize(self.visual_projection(hidden).float(), dim=-1)

    def embed_texts(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Unit vectors (B, E) of tokenised texts (B, L)."""
        hidden = self.text_model(input_ids=input_ids, attention_mask=attention_mask).pooler_output
        return F.normalize(self.text_projection(hidden).float(), dim=-1)


class VideoTextScorer:
    """Cosine between a video and a text.

    Args:
        model: a video-text model.
        tokenizer: of the model's vocabulary.
    """

    def __init__(self, model: VideoClip, tokenizer: CLIPTokenizer) -> None:
        self._model = model.eval()
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, weights: Path, clip: Path) -> VideoTextScorer:
        """The embedded model (a folder) or the published one (a file).

        Args:
            clip: the folder of the CLIP whose vocabulary ViCLIP took over.
        """
        if weights.is_dir():
            return cls(VideoClip.from_pretrained(weights).float(), CLIPTokenizer.from_pretrained(weights))
        return cls(load_viclip(weights), CLIPTokenizer.from_pretrained(clip))

    @torch.inference_mode()
    def score(self, frames: np.ndarray, text: str) -> float:
        """Compare a video, (T, H, W, 3) uint8 RGB, with a text."""
        config = self._model.config
        tokens = self._tokenizer(
            text,
            truncation=True,
            max_length=config.text_config.max_position_embeddings,
            return_tensors="pt",
        )
        chosen = torch.from_numpy(frames[middle_frames(len(frames))]).permute(0, 3, 1, 2)
        video = fit(chosen.float() / 255, config.vision_config.image_size)
        embeddings = self._model.embed_videos(video[None]), self._model.embed_texts(**tokens)
        return float((embeddings[0] * embeddings[1]).sum())


def middle_frames(num_frames: int) -> list[int]:
    """The middles of 8 equal intervals, as VBench takes them; a short video repeats frames."""
    edges = np.linspace(0, num_frames, NUM_FRAMES + 1).astype(int)
    return [int((low + max(low, high - 1)) // 2) for low, high in zip(edges[:-1], edges[1:], strict=True)]


def fit(frames: Tensor, size: int) -> Tensor:
    """Frames (T, 3, H, W) in [0, 1], the shorter side scaled to `size` px, cut to their middle.

    Bicubic without anti-aliasing, as in VBench.
    """
    height, width = frames.shape[-2:]
    scale = size / min(height, width)
    sides = (max(size, round(height * scale)), max(size, round(width * scale)))
    frames = F.interpolate(frames, sides, mode="bicubic").clamp(0, 1)
    top, left = (sides[0] - size) // 2, (sides[1] - size) // 2
    return frames[..., top : top + size, left : left + size]


def normalise(pixels: Tensor) -> Tensor:
    """Pixels (B, 3, H, W) in [0, 1] with CLIP's mean and deviation."""
    mean = torch.tensor(IMAGE_MEAN, device=pixels.device).view(3, 1, 1)
    return (pixels - mean) / torch.tensor(IMAGE_STD, device=pixels.device).view(3, 1, 1)


def load_viclip(checkpoint: Path) -> VideoClip:
    """The authors' ViCLIP-L from `ViClip-InternVid-10M-FLT.pth`."""
    weights = torch.load(checkpoint, map_location="cpu", weights_only=True)
    weights = weights.get("model", weights)
    with torch.device("meta"):
        model = VideoClip(CLIPConfig(**VICLIP_CONFIG))
    try:
        model.load_state_dict(convert_viclip(weights), assign=True)
    except (KeyError, RuntimeError) as error:
        raise WeightsUnavailable(
            f"'{checkpoint}' does not hold ViCLIP's weights; fetch ViClip-InternVid-10M-FLT.pth again."
        ) from error
    _restore_position_ids(model)
    return model.float()


def convert_viclip(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """ViCLIP's parameter names and layouts -> those of `VideoClip`; an unknown name is a `KeyError`."""
    converted: dict[str, Tensor] = {}
    for name, value in weights.items():
        tower, _, rest = name.partition(".")
        if ".resblocks." in name:
            prefix = {"vision_encoder": "vision_model", "text_encoder": "text_model"}[tower]
            index, _, part = rest.removeprefix("transformer.resblocks.").partition(".")
            converted |= _convert_block(f"{prefix}.encoder.layers.{index}", part, value)
        else:
            renamed, reshape = _OUTSIDE_BLOCKS[name]
            converted[renamed] = reshape(value)
    return converted


def _convert_block(prefix: str, part: str, value: Tensor) -> dict[str, Tensor]:
    """One parameter of a transformer block; the fused attention projection becomes three."""
    module, _, kind = part.rpartition(".")
    if module == "attn":
        kind = kind.removeprefix("in_proj_")
        names = [f"{prefix}.self_attn.{letter}_proj.{kind}" for letter in "qkv"]
        return dict(zip(names, value.chunk(3), strict=True))
    return {f"{prefix}.{_BLOCK_MODULES[module]}.{kind}": value}


def _same(value: Tensor) -> Tensor:
    return value


def _transpose(value: Tensor) -> Tensor:
    return value.T.contiguous()


_BLOCK_MODULES = {
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_OUTSIDE_BLOCKS = {
    # A convolution over one frame at a time.
    "vision_encoder.conv1.weight": (
        "vision_model.embeddings.patch_embedding.weight",
        lambda value: value.squeeze(2),
    ),
    "vision_encoder.class_embedding": ("vision_model.embeddings.class_embedding", _same),
    "vision_encoder.positional_embedding": ("vision_model.embeddings.position_embedding.weight", _same),
    "vision_encoder.temporal_positional_embedding": ("temporal_embedding", lambda value: value[0]),
    "vision_encoder.ln_pre.weight": ("vision_model.pre_layrnorm.weight", _same),
    "vision_encoder.ln_pre.bias": ("vision_model.pre_layrnorm.bias", _same),
    "vision_encoder.ln_post.weight": ("vision_model.post_layernorm.weight", _same),
    "vision_encoder.ln_post.bias": ("vision_model.post_layernorm.bias", _same),
    "vision_encoder.proj": ("visual_projection.weight", _transpose),
    "text_encoder.token_embedding.weight": ("text_model.embeddings.token_embedding.weight", _same),
    "text_encoder.positional_embedding": ("text_model.embeddings.position_embedding.weight", _same),
    "text_encoder.ln_final.weight": ("text_model.final_layer_norm.weight", _same),
    "text_encoder.ln_final.bias": ("text_model.final_layer_norm.bias", _same),
    "text_encoder.text_projection": ("text_projection.weight", _transpose),
    "temp": ("logit_scale", lambda value: -value.log()),
}


def _restore_position_ids(model: VideoClip) -> None:
    """The buffers that no checkpoint holds."""
    for embeddings in (model.vision_model.embeddings, model.text_model.embeddings):
        count = embeddings.position_embedding.num_embeddings
        embeddings.position_ids = torch.arange(count).expand((1, -1))
