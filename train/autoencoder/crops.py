"""Crops of rendered footage for the autoencoder, rendered while it trains.

A ring of clips is kept as bytes and renewed a few clips at a time, so that rendering costs a fixed share of
the training time and no clip is seen for long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import lightning as L
import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, IterableDataset

from concat_id.people import Split, render, sample_scenes
from train.pictures.reference_pictures import prepare_references

NUM_FRAMES = 17
FACE_WEIGHT = 2.0
# Of the windows: most are laid around a face, where errors are seen first.
FACE_SHARE = 0.75


@dataclass(frozen=True)
class Crop:
    """One kind of training batch.

    Attributes:
        frames: 4k + 1 consecutive frames; 1 is a still.
        size: height and width in px.
        batch_size: clips a batch.
        share: how often, relative to the other kinds.
    """

    frames: int
    size: int
    batch_size: int
    share: float


@dataclass(frozen=True)
class Clips:
    """Footage as bytes: `frames` (N, 3, T, H, W), `faces` (N, 1, T, H, W), both uint8; faces 0 or 1."""

    frames: Tensor
    faces: Tensor


@torch.no_grad()
def render_clips(
    seed: int, count: int, size: int, *, split: Split = "train", num_people: int = 1, device: str = "cpu"
) -> Clips:
    """Render `count` clips of 17 frames and `size` px; deterministic in (seed, split)."""
    rendering = render(
        sample_scenes(seed, count, split=split, num_people=num_people, num_frames=NUM_FRAMES, device=device),
        size,
        size,
    )
    frames = (rendering.frames * 255).round().byte().transpose(1, 2)
    return Clips(frames, rendering.face_masks.any(2).byte()[:, None])


@torch.no_grad()
def render_references(
    seed: int, count: int, size: int, *, split: Split = "train", device: str = "cpu"
) -> Clips:
    """Prepared reference pictures, as one-frame clips in which everything left is face."""
    scenes = sample_scenes(seed, count, split=split, num_frames=1, camera="portrait", device=device)
    rendering = render(scenes, size, size)
    crops = prepare_references(
        rendering.frames[:, 0], rendering.labels[:, 0], rendering.landmarks[:, 0, 0], size
    )
    frames = (crops * 255).round().byte()[:, :, None]
    return Clips(frames, (frames.amax(1, keepdim=True) > 0).byte())


def to_batch(frames: Tensor, faces: Tensor) -> dict[str, Tensor]:
    """`video` in [-1, 1] and the pixels' `weight`, 1 + 2 on faces, from bytes."""
    return {"video": frames.float() / 127.5 - 1, "weight": 1 + FACE_WEIGHT * faces.float()}


class ClipRing(IterableDataset):
    """Endless random crops from a ring of clips, of one person mostly, and of prepared references."""

    def __init__(
        self, crops: list[Crop], size: int, capacity: int, steps_per_clip: int, seed: int, device: str
    ):
        self.crops, self.size, self.capacity = crops, size, capacity
        self.steps_per_clip, self.seed, self.device = steps_per_clip, seed, device

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        # Another stretch of the world after every resumption: a chain of short runs sees no clip twice.
        seed = self.seed + int(torch.randint(2**40, ()))
        generator = torch.Generator().manual_seed(seed)
        chunk = 8
        rings = [render_clips(seed + i, chunk, self.size, device=self.device) for i in range(3)]
        references = render_references(seed, 64, self.size, device=self.device)
        shares = torch.tensor([crop.share for crop in self.crops])
        step = 0
        while True:
            step += 1
            if step % (chunk * self.steps_per_clip) == 0:
                people = 1 + int(torch.multinomial(torch.tensor([0.7, 0.15, 0.15]), 1, generator=generator))
                rings.append(
                    render_clips(seed + step, chunk, self.size, num_people=people, device=self.device)
                )
                rings = rings[-self.capacity // chunk :]
                references = render_references(seed + step, chunk, self.size, device=self.device)
            crop = self.crops[int(torch.multinomial(shares, 1, generator=generator))]
            yield self._draw(crop, rings, references, generator)

    def _draw(
        self, crop: Crop, rings: list[Clips], references: Clips, generator: Generator
    ) -> dict[str, Tensor]:
        def integer(end: int) -> int:
            return int(torch.randint(end, (), generator=generator))

        pieces = []
        for index in range(crop.batch_size):
            is_reference = crop.frames == 1 and index % 3 == 0
            clips = references if is_reference else rings[integer(len(rings))]
            n, t = integer(len(clips.frames)), integer(clips.frames.shape[2] - crop.frames + 1)
            y, x = self._choose_corner(clips.faces[n, 0, t], crop.size, generator)
            window = (
                n,
                slice(None),
                slice(t, t + crop.frames),
                slice(y, y + crop.size),
                slice(x, x + crop.size),
            )
            pieces.append((clips.frames[window], clips.faces[window]))
        return to_batch(torch.stack([f for f, _ in pieces]), torch.stack([m for _, m in pieces]))

    def _choose_corner(self, faces: Tensor, size: int, generator: Generator) -> tuple[int, int]:
        """Top and left of a window: around some pixel of a face where it can be, else anywhere.

        Args:
            faces: where they are, (H, W).
        """
        free = self.size - size
        pixels = faces.nonzero()
        if not free or not len(pixels) or torch.rand((), generator=generator) > FACE_SHARE:
            return tuple(torch.randint(free + 1, (2,), generator=generator).tolist())
        pixel = pixels[int(torch.randint(len(pixels), (), generator=generator))]
        return tuple((pixel - size // 2).clamp(0, free).tolist())


class FootageData(L.LightningDataModule):
    """Training crops, and whole validation clips.

    Args:
        crops: the kinds of batches to mix.
        size: rendered height and width, px.
        capacity: clips in the ring.
        steps_per_clip: training steps for each newly rendered clip.
        validation_clips: clips of the validation split.
        device: where to render.
    """

    def __init__(
        self,
        crops: list[Crop],
        size: int = 128,
        capacity: int = 160,
        steps_per_clip: int = 4,
        validation_clips: int = 8,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        super().__init__()
        self.ring = ClipRing(crops, size, capacity, steps_per_clip, seed, device)
        self.validation_clips = validation_clips

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.ring, batch_size=None)

    def val_dataloader(self) -> DataLoader:
        clips = render_clips(0, self.validation_clips, self.ring.size, split="validation")
        batches = [
            to_batch(frames[None], faces[None])
            for frames, faces in zip(clips.frames, clips.faces, strict=True)
        ]
        return DataLoader(batches, batch_size=None)
