"""The reader: what happens in a clip, as a small network over frames and time reads it.

    python -m train fit --config train/configs/reader.yaml

A batch holds `frames` (B, 8, 3, 96, 96) in [0, 1] and, under the names of the topics, category numbers (B,).
Axes: T frames, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.optimizer import MuonModule
from train.perception.detector import ResidualBlock, conv_unit
from train.scoring.clip_cache import CLIP_SIZE, TOPICS, Clips


class ClipReader(nn.Module):
    """Logits (B, categories) by topic, of clips (B, T, 3, 96, 96) in [0, 1]."""

    def __init__(self, widths: tuple[int, int, int] = (24, 48, 96), dim: int = 160) -> None:
        super().__init__()
        first, second, third = widths
        self.frames = nn.Sequential(
            conv_unit(3, first, kernel=5, stride=2),
            conv_unit(first, first, stride=2),
            ResidualBlock(first),
            conv_unit(first, second, stride=2),
            ResidualBlock(second),
            conv_unit(second, third, stride=2),
            ResidualBlock(third),
        )
        # What is where in the frame, and what is anywhere in it.
        self.places = nn.Conv2d(third, third, CLIP_SIZE // 16, groups=third)
        self.project = nn.Linear(2 * third, dim)
        # Motion shows in how a feature changes over time.
        self.time = nn.ModuleList(nn.Conv1d(dim, dim, 3, padding=1) for _ in range(2))
        self.heads = nn.ModuleDict(
            {topic: nn.Linear(2 * dim, len(categories)) for topic, categories in TOPICS.items()}
        )

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        maps = self.frames(frames.flatten(0, 1) * 2 - 1)  # (B * T, C, 6, 6)
        features = self.project(torch.cat([self.places(maps).flatten(1), maps.mean((2, 3))], 1))
        track = features.unflatten(0, frames.shape[:2]).transpose(1, 2)  # (B, D, T)
        for layer in self.time:
            track = track + F.relu(layer(track))
        summary = torch.cat([track.mean(2), track.amax(2)], 1)
        return {topic: head(summary) for topic, head in self.heads.items()}


@torch.inference_mode()
def read_clips(reader: ClipReader, clips: Clips) -> dict[str, Tensor]:
    """Whether each clip's category is read right, (N,) bool by topic."""
    parts = [reader(frames.float() / 255) for frames in clips.frames.split(16)]
    return {
        topic: torch.cat([part[topic] for part in parts]).argmax(1) == clips.truth[:, number]
        for number, topic in enumerate(TOPICS)
    }


class Reader(MuonModule):
    """Classification of all topics at once."""

    def __init__(
        self,
        lr: float = 2e-3,
        warmup_steps: int = 30,
        decay_steps: int = 300,
        weight_decay: float = 0.05,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.reader = ClipReader()

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        logits = self.reader(batch["frames"])
        losses = {topic: F.cross_entropy(logits[topic], batch[topic]) for topic in TOPICS}
        loss = torch.stack(list(losses.values())).sum()
        self.log_dict({"train/loss": loss, **{f"train/{k}": v for k, v in losses.items()}}, prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        logits = self.reader(batch["frames"])
        right = {f"val/{topic}": (logits[topic].argmax(1) == batch[topic]).float().mean() for topic in TOPICS}
        self.log_dict(right, prog_bar=True, batch_size=len(batch["frames"]))
