"""Rendered clips of one person with what happens in them, kept on disk for the models that watch videos.

A chunk holds 128 clips of 8 frames, 96 px wide, rendered on demand and never again; all about them follows
from the split and the chunk number. Coded clips have been through an autoencoder, as whatever models make.
Axes: N clips, T = 8 frames, H = W.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan
from torch import Tensor

from concat_id.files.atomic import replacing
from concat_id.people import (
    EXPRESSIONS,
    GARMENTS,
    MOTIONS,
    PLACES,
    Scenes,
    Split,
    render,
    sample_scenes,
    write_captions,
)
from concat_id.scoring.video_clip import fit, middle_frames
from train.autoencoder.autoencoder import pass_through
from train.footage.latents import FRAMES_OF_A_CLIP, SIZE, load_autoencoder

LOGGER = logging.getLogger(__name__)
NUM_FRAMES = 8
CLIP_SIZE = 96
CHUNK_CLIPS = 128
BATCH = 16
FIRST_SEED = 700_000_000
# What can be read from a clip, and its categories.
TOPICS: dict[str, tuple[str, ...]] = {
    "expression": EXPRESSIONS,
    "motion": MOTIONS,
    "garment": GARMENTS,
    "place": PLACES,
}


@dataclass(frozen=True)
class Clips:
    """A batch of clips.

    Attributes:
        frames: (N, T, 3, H, W) uint8.
        truth: category numbers of the topics, (N, 4) int64.
    """

    frames: Tensor
    truth: Tensor

    def __len__(self) -> int:
        return len(self.frames)

    def rows(self, index: Tensor) -> Clips:
        """The clips with these numbers."""
        return Clips(**{name: value[index] for name, value in vars(self).items()})


def chunk_seeds(chunk: int) -> range:
    """Seeds of a chunk's batches of scenes."""
    first = FIRST_SEED + chunk * CHUNK_CLIPS
    return range(first, first + CHUNK_CLIPS, BATCH)


def take_clips(seed: int, split: Split) -> Clips:
    """Render one batch of clips."""
    scenes = sample_scenes(seed, BATCH, split=split, num_frames=NUM_FRAMES)
    return _with_truth(render(scenes, CLIP_SIZE, CLIP_SIZE).frames, scenes)


def take_coded_clips(seed: int, split: Split, vae: AutoencoderKLWan) -> Clips:
    """Render one batch of clips of 17 frames, and take 8 of those that the autoencoder makes of them."""
    scenes = sample_scenes(seed, BATCH, split=split, num_frames=FRAMES_OF_A_CLIP)
    video = render(scenes, SIZE, SIZE).frames.transpose(1, 2)
    decoded = (pass_through(vae, video * 2 - 1).transpose(1, 2).clamp(-1, 1) + 1) / 2
    chosen = decoded[:, middle_frames(FRAMES_OF_A_CLIP)]
    return _with_truth(fit(chosen.flatten(0, 1), CLIP_SIZE).unflatten(0, chosen.shape[:2]), scenes)


def _with_truth(frames: Tensor, scenes: Scenes) -> Clips:
    """Frames (N, T, 3, H, W) in [0, 1] with what happens in them."""
    numbers = [scenes.expression[:, 0], scenes.motion[:, 0], scenes.outfit.garment[:, 0], scenes.place]
    return Clips((frames.clamp(0, 1) * 255).round().byte(), torch.stack(numbers, -1))


def join_clips(parts: list[Clips]) -> Clips:
    """All clips of the parts, in order."""
    return Clips(**{name: torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])})


def load_clips(folder: Path, split: Split, num_chunks: int) -> Clips:
    """The first chunks of a split, rendered now where they are missing."""
    return _load(folder / split, range(num_chunks), lambda seed: take_clips(seed, split))


def load_coded_clips(folder: Path, split: Split, chunks: range, autoencoder: Path) -> Clips:
    """Likewise these chunks, through an autoencoder."""
    vae = load_autoencoder(autoencoder)
    return _load(folder / "coded" / split, chunks, lambda seed: take_coded_clips(seed, split, vae))


def write_clip_captions(split: Split, num_chunks: int) -> list[str]:
    """Captions of the first chunks' clips, in their order."""
    seeds = [seed for chunk in range(num_chunks) for seed in chunk_seeds(chunk)]
    return [
        caption
        for seed in seeds
        for caption in write_captions(sample_scenes(seed, BATCH, split=split, num_frames=1), seed)
    ]


def _load(folder: Path, chunks: range, take: Callable[[int], Clips]) -> Clips:
    return join_clips([_load_or_take(folder / f"chunk_{chunk:04d}.pt", chunk, take) for chunk in chunks])


def _load_or_take(path: Path, chunk: int, take: Callable[[int], Clips]) -> Clips:
    if not path.is_file():
        LOGGER.info("rendering %s", path)
        clips = join_clips([take(seed) for seed in chunk_seeds(chunk)])
        with replacing(path) as unfinished:
            torch.save(vars(clips), unfinished)
    return Clips(**torch.load(path, weights_only=True))
