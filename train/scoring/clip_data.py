"""Training batches of the models that watch videos, drawn from the clip cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from concat_id.scoring.video_clip import fit
from train.perception.data import PerceptionData
from train.pictures.degradation import Degradation
from train.scoring.clip_cache import (
    TOPICS,
    Clips,
    join_clips,
    load_clips,
    load_coded_clips,
    write_clip_captions,
)
from train.scoring.video_clip import FRAME_SIZE, start_tokenizer


class ClipData(PerceptionData):
    """Base: clips that are as soft, noisy and off in colour as generated ones."""

    degradation = Degradation(softness=4.0, noise=0.04)

    def __init__(
        self,
        folder: str = ".train/clips",
        num_chunks: int = 40,
        num_validation_chunks: int = 1,
        batch_size: int = 24,
        validation_batches: int = 4,
        seed: int = 0,
    ) -> None:
        super().__init__(folder, num_chunks, num_validation_chunks, batch_size, validation_batches, seed)

    def setup(self, stage: str) -> None:
        self.train_pictures = load_clips(self.folder, "train", self.num_chunks)
        self.validation_pictures = load_clips(self.folder, "validation", self.num_validation_chunks)

    def degrade(self, frames: Tensor, generator: torch.Generator) -> Tensor:
        """Clips (B, T, 3, H, W), uint8 to [0, 1]; all frames of a clip alike, as one strip of film."""
        count, num_frames = frames.shape[:2]
        strips = frames.permute(0, 2, 3, 1, 4).flatten(3).float() / 255  # (B, 3, H, T * W)
        return self.degradation(strips, generator).unflatten(3, (num_frames, -1)).permute(0, 3, 1, 2, 4)


class ReadingData(ClipData):
    """`frames` (B, T, 3, 96, 96) in [0, 1], and the category's number under each topic's name, (B,).

    Args:
        num_coded_chunks: besides the others, of clips that have been through the autoencoder.
        autoencoder: its folder.
        others: see `ClipData`.
    """

    def __init__(
        self, num_coded_chunks: int = 8, autoencoder: str = "assets/embedded/vae", **others: Any
    ) -> None:
        super().__init__(**others)
        self.num_coded_chunks, self.autoencoder = num_coded_chunks, Path(autoencoder)

    def setup(self, stage: str) -> None:
        super().setup(stage)
        # Of other clips than those that are shown as drawn.
        chunks = range(self.num_chunks, self.num_chunks + self.num_coded_chunks)
        coded = load_coded_clips(self.folder, "train", chunks, self.autoencoder)
        self.train_pictures = join_clips([self.train_pictures, coded])

    def make_batch(self, clips: Clips, generator: torch.Generator) -> dict[str, Tensor]:
        drawn = self.draw(clips, self.batch_size, generator)
        numbers = dict(zip(TOPICS, drawn.truth.unbind(1), strict=True))
        return {"frames": self.degrade(drawn.frames, generator), **numbers}


class VideoCaptionData(ClipData):
    """`frames` (B, T, 3, 64, 64) in [0, 1], and `input_ids`, `attention_mask` (B, L) of the captions."""

    def setup(self, stage: str) -> None:
        super().setup(stage)
        self.train_captions = write_clip_captions("train", self.num_chunks)
        self.validation_captions = write_clip_captions("validation", self.num_validation_chunks)
        self.tokenizer = start_tokenizer()

    def make_batch(self, clips: Clips, generator: torch.Generator) -> dict[str, Tensor]:
        captions = self.train_captions if clips is self.train_pictures else self.validation_captions
        index = torch.randint(len(clips), (self.batch_size,), generator=generator)
        texts = [captions[number] for number in index.tolist()]
        tokens = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        frames = self.degrade(clips.frames[index], generator)
        return {
            "frames": fit(frames.flatten(0, 1), FRAME_SIZE).unflatten(0, frames.shape[:2]),
            "input_ids": tokens["input_ids"],
            "attention_mask": tokens["attention_mask"],
        }
