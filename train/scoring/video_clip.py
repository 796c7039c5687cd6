"""The small video-text model: ViCLIP's architecture, started from the embedded CLIP.

    python -m train fit --config train/configs/video_clip.yaml

A batch holds `frames` (B, 8, 3, 64, 64) in [0, 1], and `input_ids`, `attention_mask` (B, L) of the captions.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from transformers import CLIPConfig, CLIPTokenizer

from concat_id.scoring.video_clip import NUM_FRAMES, VideoClip
from train.optimizer import MuonModule
from train.scoring.clip import contrastive_loss

EMBEDDED_CLIP = Path("assets/embedded/clip")
FRAME_SIZE = 64
PATCH_SIZE = 16


def start_video_clip(clip: Path = EMBEDDED_CLIP) -> VideoClip:
    """A CLIP of pictures as a CLIP of videos: larger patches, for there are eight times as many."""
    config = CLIPConfig.from_pretrained(clip)
    config.num_frames = NUM_FRAMES
    config.vision_config.patch_size = PATCH_SIZE
    return VideoClip.from_pretrained(clip, config=config, dtype=torch.float32, ignore_mismatched_sizes=True)


def start_tokenizer(clip: Path = EMBEDDED_CLIP) -> CLIPTokenizer:
    """The tokenizer of the CLIP that the model is started from."""
    return CLIPTokenizer.from_pretrained(clip)


class VideoClipTraining(MuonModule):
    """Contrast of videos and captions."""

    def __init__(
        self,
        lr: float = 1e-3,
        warmup_steps: int = 30,
        decay_steps: int = 300,
        weight_decay: float = 0.02,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.video_clip = start_video_clip()

    def embed(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Unit vectors (B, E) of the videos and of the captions."""
        texts = self.video_clip.embed_texts(batch["input_ids"], batch["attention_mask"])
        return self.video_clip.embed_videos(batch["frames"]), texts

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        videos, texts = self.embed(batch)
        loss = contrastive_loss(videos, texts, self.video_clip.logit_scale.exp().clamp(max=100))
        self.log_dict({"train/loss": loss}, prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        videos, texts = self.embed(batch)
        own = torch.arange(len(videos), device=videos.device)
        found = {"val/caption_of_video": ((videos @ texts.T).argmax(1) == own).float().mean()}
        self.log_dict(found, prog_bar=True, batch_size=len(videos))
