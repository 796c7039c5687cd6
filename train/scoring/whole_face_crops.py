"""Crops of whole and of broken faces, made once and stored, for the judge of whole faces.

A chunk shows people of the split at all moments and with all expressions: as drawn, at two sizes; through the
autoencoder, where it keeps them; as the transformer mends them after a little noise: these are whole. Broken
are faces that were damaged in their latents or in their pixels (`train.scoring.damage`), and what the
transformer guesses in one step from the truth under much noise, which is smeared. All are cut out where the
product's detector finds a face.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from concat_id.evaluation.wholeness import WIDENING, crop_face
from concat_id.loading.load import load_pipeline
from concat_id.loading.presets import DEFAULT_PRESET, PRESETS, Preset
from concat_id.people import EXPRESSIONS, Split, render, sample_scenes
from concat_id.references.faces import FaceFinder
from train.footage.latents import encode
from train.pictures.alignment import ARCFACE_POINTS
from train.scoring.damage import LATENT_OPERATIONS, PIXEL_OPERATIONS, break_faces
from train.transformer.continuation import (
    ContinuingPipeline,
    Truth,
    decode,
    draw_noise,
    film_truth,
    to_pixels,
)
from train.transformer.flow_matching import NUM_TRAIN_TIMESTEPS, interpolate

LOGGER = logging.getLogger(__name__)
SLIGHT_NOISE = (0.1, 0.25)
MUCH_NOISE = (0.6, 0.95)
CLIP_FRAMES = 8
SCENES = 64
CLIPS = 4
GROUPS = 6
DRAWN, LARGE = 200, 12
RETAKE_SHARE = 0.6
# Mean difference of pixels in the damaged part below which a face counts neither as whole nor as broken.
LEAST_CHANGE = 0.035
# The same difference of the whole face, by the autoencoder, up to which it counts as whole.
MOST_CHANGE = 0.06
WHOLE, BROKEN = 1, 0


class ChunkMaker:
    """Makes chunks of crops with the embedded model."""

    def __init__(self) -> None:
        self.preset: Preset = PRESETS[DEFAULT_PRESET]
        pipeline = load_pipeline(DEFAULT_PRESET)
        self.pipeline = ContinuingPipeline(**pipeline.components)
        self.pipeline.set_progress_bar_config(disable=True)
        self.finder = FaceFinder(self.preset.face_pack, frame_size_px=self.preset.face_frame_size_px)

    @torch.no_grad()
    def make(self, seed: int, split: Split) -> dict[str, Tensor]:
        """A chunk: `crops` (N, 3, 112, 112) uint8; whether they are `whole`, (N,) uint8; and, of those that
        were broken in their pixels, the number of the whole one, `source` (N,), else -1.
        """
        crops, whole = [], []
        for frames, is_whole in self._frames(seed, split):
            found = [
                crop_face(frame, face.landmarks)
                for frame in frames
                for face in self.finder.find_in_frame(frame)
            ]
            crops += found
            whole += [is_whole] * len(found)
        pixels = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()
        chunk = {"crops": pixels, "whole": torch.tensor(whole, dtype=torch.uint8)}
        return with_broken_pixels(chunk, Generator().manual_seed(seed))

    def _frames(self, seed: int, split: Split) -> Iterator[tuple[np.ndarray, int]]:
        """Frames (N, H, W, 3) uint8 and whether their faces are whole."""
        generator = Generator().manual_seed(seed)
        stills = self._film(seed, SCENES, split, stills=True)
        yield to_pixels(stills.frames[:, 0]), WHOLE
        for count, size in ((DRAWN, self.preset.height), (LARGE, 2 * self.preset.height)):
            scenes = sample_scenes(seed + size * 100, count, split=split, num_frames=1)
            yield to_pixels(render(scenes, size, size).frames[:, 0]), WHOLE
        coded = decode(self.pipeline, stills.latents)[:, 0]
        yield to_pixels(coded), WHOLE
        noise = draw_noise(stills, seed)
        yield self._guess(stills, noise, SLIGHT_NOISE, slice(0, None, 2), generator), WHOLE
        yield self._guess(stills, noise, MUCH_NOISE, slice(1, None, 2), generator), BROKEN
        others = torch.where(
            torch.rand(SCENES, generator=generator).view(-1, 1, 1, 1, 1) < RETAKE_SHARE,
            self._retake(stills, seed, split),
            stills.latents.roll(1, 0),
        )
        yield self._damage(stills, coded, others, generator), BROKEN

        clips = self._film(seed + SCENES, CLIPS, split)
        yield _some(clips.frames), WHOLE
        coded = decode(self.pipeline, clips.latents)
        yield to_pixels(coded[are_faces_kept(clips.frames, coded, clips.landmarks)]), WHOLE
        noise = draw_noise(clips, seed + SCENES)
        yield self._guess(clips, noise, MUCH_NOISE, slice(0, None, 2), generator), BROKEN

        for num_people in (2, 3):
            yield from self._groups(seed + num_people * 1000, num_people, split)

    def _film(self, seed: int, count: int, split: Split, **options: Any) -> Truth:
        return film_truth(self.pipeline, self.preset, seed, count, split=split, references=False, **options)

    def _retake(self, stills: Truth, seed: int, split: Split) -> Tensor:
        """Latents of the same moments with other expressions."""
        turn = len(EXPRESSIONS) // 2
        other = [
            EXPRESSIONS[(EXPRESSIONS.index(names[0]) + turn) % len(EXPRESSIONS)]
            for names in stills.scenes.expression_names
        ]
        return self._film(seed, SCENES, split, stills=True, expressions=other).latents

    def _damage(self, truth: Truth, coded: Tensor, others: Tensor, generator: Generator) -> np.ndarray:
        """Frames of faces that were broken in the latents; those that hardly differ are left out.

        Args:
            coded: the truth through the autoencoder, (B, 3, H, W).
            others: latents to mix in.
        """
        latents, cell = truth.latents[:, :, 0], self.preset.height // truth.latents.shape[-1]
        landmarks = (truth.landmarks[:, 0] + 0.5) / cell - 0.5
        parts = zip(latents.split(8), others[:, :, 0].split(8), landmarks.split(8), strict=True)
        broken, masks = zip(
            *[break_faces(*part, LATENT_OPERATIONS, generator) for part in parts], strict=True
        )
        frames = decode(self.pipeline, torch.cat(broken)[:, :, None])[:, 0]
        change = (frames - coded).abs().mean(1, keepdim=True)
        mask = F.interpolate(torch.cat(masks), change.shape[-2:], mode="bilinear")
        seen = (change * mask).sum((1, 2, 3)) / mask.sum((1, 2, 3)) >= LEAST_CHANGE
        return to_pixels(frames[seen])

    def _guess(
        self, truth: Truth, noise: Tensor, levels: tuple[float, float], rows: slice, generator: Generator
    ) -> np.ndarray:
        """What the transformer takes some of the truths under noise of these levels for, in one step."""
        low, high = levels
        x0, noise = truth.latents[rows], noise[rows]
        sigmas = low + (high - low) * torch.rand(len(noise), generator=generator)
        noisy = interpolate(x0, noise, sigmas).to(self.pipeline.transformer.dtype)
        texts = self.pipeline.encode_prompt(truth.captions[rows], self.preset.max_sequence_length)
        velocity = self.pipeline.transformer(
            noisy,
            timestep=sigmas * NUM_TRAIN_TIMESTEPS,
            encoder_hidden_states=texts,
            reference_latents=truth.reference_latents[rows].to(noisy),
            return_dict=False,
        )[0]
        return _some(decode(self.pipeline, noisy.float() - sigmas.view(-1, 1, 1, 1, 1) * velocity.float()))

    def _groups(self, seed: int, num_people: int, split: Split) -> Iterator[tuple[np.ndarray, int]]:
        """Several people, as drawn, through the autoencoder, and broken."""
        scenes = sample_scenes(seed, GROUPS, split=split, num_people=num_people, num_frames=1)
        drawn = render(scenes, self.preset.height, self.preset.width)
        yield to_pixels(drawn.frames[:, 0]), WHOLE
        latents = encode(self.pipeline.vae, drawn.frames.transpose(1, 2) * 2 - 1).float()
        yield self._decode(latents), WHOLE
        cell = self.preset.height // latents.shape[-1]
        broken = latents[:, :, 0]
        for person in range(num_people):
            landmarks = (drawn.landmarks[:, 0, person] + 0.5) / cell - 0.5
            broken, _ = break_faces(
                broken,
                latents[:, :, 0].roll(1, 0),
                landmarks,
                LATENT_OPERATIONS,
                Generator().manual_seed(seed),
            )
        yield self._decode(broken[:, :, None]), BROKEN

    def _decode(self, latents: Tensor) -> np.ndarray:
        """Stills' latents as frames."""
        return to_pixels(decode(self.pipeline, latents)[:, 0])


def are_faces_kept(frames: Tensor, coded: Tensor, landmarks: Tensor) -> Tensor:
    """Which faces are hardly changed by the autoencoder, (B, T) bool: it smears those that move fast.

    Args:
        frames, coded: (B, T, 3, H, W) in [0, 1].
        landmarks: five points, (B, T, 5, 2), px.
    """
    eyes = (landmarks[:, :, 1] - landmarks[:, :, 0]).norm(dim=-1)
    middle = landmarks.mean(2)[..., None, None]  # (B, T, 2, 1, 1)
    y, x = torch.meshgrid(torch.arange(frames.shape[-2]), torch.arange(frames.shape[-1]), indexing="ij")
    distance = ((middle[:, :, 0] - x).square() + (middle[:, :, 1] - y).square()).sqrt()
    face = (distance < eyes[..., None, None]).float()
    change = (coded - frames).abs().mean(2)
    return (change * face).sum((2, 3)) / face.sum((2, 3)).clamp(min=1) <= MOST_CHANGE


def _some(videos: Tensor) -> np.ndarray:
    """Some frames of each video (B, T, 3, H, W), all in a row."""
    moments = torch.linspace(0, videos.shape[1] - 1, min(CLIP_FRAMES, videos.shape[1])).round().long()
    return to_pixels(videos[:, moments].flatten(0, 1))


def load_crops(folder: Path, split: Split, num_chunks: int) -> dict[str, Tensor]:
    """The first chunks of a split, made now where they are missing."""
    maker, parts = None, []
    for number in range(num_chunks):
        path = folder / split / f"{number:04d}.pt"
        if not path.is_file():
            maker = maker or ChunkMaker()
            LOGGER.info("making %s", path)
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(maker.make(20_000 * (number + 1), split), path.with_suffix(".partial"))
            path.with_suffix(".partial").rename(path)
        parts.append(torch.load(path, weights_only=True))
    first = 0
    for part in parts:
        part["source"] = torch.where(part["source"] >= 0, part["source"] + first, -1)
        first += len(part["crops"])
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def with_broken_pixels(chunk: dict[str, Tensor], generator: Generator) -> dict[str, Tensor]:
    """The chunk and, of every whole crop, one that is broken in its pixels if it shows."""
    sources = chunk["whole"].nonzero().squeeze(1)
    sources = sources[torch.randperm(len(sources), generator=generator)]
    broken, shows = break_crops(chunk["crops"][sources].float() / 255, generator)
    broken, sources = (broken[shows].clamp(0, 1) * 255).round().byte(), sources[shows]
    return {
        "crops": torch.cat([chunk["crops"], broken]),
        "whole": torch.cat([chunk["whole"], torch.full((len(broken),), BROKEN, dtype=torch.uint8)]),
        "source": torch.cat([torch.full((len(chunk["whole"]),), -1), sources]),
    }


@torch.no_grad()
def break_crops(crops: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Crops (B, 3, 112, 112) in [0, 1] with a part broken, and which of them show it, (B,) bool."""
    points = torch.tensor(ARCFACE_POINTS)
    middle = points.mean(0)
    landmarks = (middle + (points - middle) / WIDENING).expand(len(crops), -1, -1)
    landmarks = landmarks + 3 * torch.randn(landmarks.shape, generator=generator)
    parts = zip(crops.split(2), crops.roll(1, 0).split(2), landmarks.split(2), strict=True)
    broken, masks = zip(*[break_faces(*part, PIXEL_OPERATIONS, generator) for part in parts], strict=True)
    broken, masks = torch.cat(broken), torch.cat(masks)
    change = ((broken - crops).abs().mean(1, keepdim=True) * masks).sum((1, 2, 3)) / masks.sum((1, 2, 3))
    return broken, change >= LEAST_CHANGE
