"""Scenes that the embedded model goes on with: the truth, noise on it, and what the model makes of that.

Axes: B clips, T frames, C latent channels, F latent frames, H, W in px, h, w latent size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from concat_id import ConcatIDWanPipeline
from concat_id.loading.presets import Preset
from concat_id.people import Scenes, Split, render, sample_scenes, write_captions
from train.footage.latents import encode
from train.footage.synthetic_footage import sample_moments
from train.pictures.reference_pictures import prepare_references
from train.transformer.flow_matching import interpolate

NUM_FRAMES = 17
# Latent frames decoded at once; clips one by one.
DECODED_FRAMES = 8
# Added to the scenes' seed, it gives the portraits that they are told of.
PORTRAIT_SEEDS = 500_000_000


@dataclass(frozen=True)
class Truth:
    """Clips of one person each, as the renderer draws them, and what the model is told of them.

    Attributes:
        frames: (B, T, 3, H, W) in [0, 1].
        landmarks: five points of the face, px, a pixel's centre on whole numbers, (B, T, 5, 2).
        latents: of the frames, normalised, (B, C, F, h, w).
        reference_latents: of a portrait of the person in another scene, (B, C, 1, h, w).
        captions: what the clips show.
        scenes: what they show, exactly.
    """

    frames: Tensor
    landmarks: Tensor
    latents: Tensor
    reference_latents: Tensor
    captions: list[str]
    scenes: Scenes


class ContinuingPipeline(ConcatIDWanPipeline):
    """The pipeline, begun at a noise level: `latents` are then samples with that much noise on them."""

    start = 1.0

    def prepare_timesteps(self, num_inference_steps: int) -> Tensor:
        """The levels of the whole schedule that lie below the start, and the start itself."""
        shift = self.scheduler.shift
        start = self.start / (shift - (shift - 1) * self.start)  # before the scheduler's shift
        sigmas = np.linspace(1, 0, num_inference_steps + 1)[:-1]
        sigmas = [start, *(sigma for sigma in sigmas if sigma < start - 1e-6)]
        self.scheduler.set_timesteps(sigmas=sigmas, device=self._execution_device)
        self.scheduler.set_begin_index(0)
        self._num_timesteps = len(sigmas)
        return self.scheduler.timesteps


def film_truth(
    pipeline: ConcatIDWanPipeline,
    preset: Preset,
    seed: int,
    count: int,
    *,
    split: Split,
    stills: bool = False,
    references: bool = True,
    expressions: list[str] | None = None,
) -> Truth:
    """Scenes of the split, rendered and encoded as the preset's videos are.

    Args:
        stills: one moment of each scene.
        references: whether portraits are drawn; else there are zeros, as where training drops references.
        expressions: one for each scene; default: drawn.
    """
    scenes = sample_scenes(seed, count, split=split, num_frames=NUM_FRAMES, expressions=expressions)
    if stills:
        scenes = scenes.at(sample_moments(scenes, 1, torch.Generator().manual_seed(seed))[:, 0])
    shown = render(scenes, preset.height, preset.width)
    frames, landmarks = shown.frames, shown.landmarks[:, :, 0]
    vae = pipeline.vae
    with torch.no_grad():
        latents = torch.cat([encode(vae, part).float() for part in (frames.transpose(1, 2) * 2 - 1).split(8)])
        given = torch.zeros_like(latents[:, :, :1])
        if references:
            given = encode(
                vae, draw_references(scenes, preset.height, seed, split)[:, :, None] * 2 - 1
            ).float()
    return Truth(frames, landmarks, latents, given, write_captions(scenes, seed), scenes)


def draw_references(scenes: Scenes, size: int, seed: int, split: Split) -> Tensor:
    """Prepared portraits of the scenes' people, (B, 3, size, size) in [0, 1]."""
    portraits = sample_scenes(
        seed + PORTRAIT_SEEDS,
        len(scenes),
        split=split,
        num_frames=1,
        camera="portrait",
        identity_seeds=scenes.identity_seeds,
        headwear="none",
    )
    drawn = render(portraits, 2 * size, 2 * size)
    return prepare_references(drawn.frames[:, 0], drawn.labels[:, 0], drawn.landmarks[:, 0, 0], size)


@torch.no_grad()
def continue_from(
    pipeline: ContinuingPipeline, preset: Preset, truth: Truth, start: float, noise: Tensor
) -> Tensor:
    """What the model makes of the truth at a noise level with the preset's settings, (B, C, F, h, w).

    Args:
        start: the noise level; at 1 nothing of the truth is left.
        noise: like the truth's latents.
    """
    pipeline.start = start
    return pipeline(
        truth.captions,
        reference_latents=truth.reference_latents,
        latents=interpolate(truth.latents, noise, torch.full((len(noise),), start)),
        num_inference_steps=preset.num_inference_steps,
        guidance_scale=preset.guidance_scale,
        reference_guidance_scale=preset.reference_guidance_scale,
        skip_guidance_layers=preset.skip_guidance_layers,
        max_sequence_length=preset.max_sequence_length,
        output_type="latent",
    ).frames


@torch.no_grad()
def decode(pipeline: ConcatIDWanPipeline, latents: Tensor) -> Tensor:
    """Videos (B, T, 3, H, W) in [0, 1] of normalised latents."""
    at_once = DECODED_FRAMES // latents.shape[2]
    return torch.cat([pipeline.decode_latents(part) for part in latents.split(at_once)])


def to_pixels(frames: Tensor) -> np.ndarray:
    """Frames (..., 3, H, W) in [0, 1] as (..., H, W, 3) uint8."""
    return (frames.clamp(0, 1) * 255).round().byte().movedim(-3, -1).contiguous().numpy()


def draw_noise(truth: Truth, seed: int) -> Tensor:
    """Noise like the truth's latents; clip by clip, so that the same clip gets the same in any company."""
    shape: Sequence[int] = truth.latents.shape[1:]
    return torch.stack(
        [
            torch.randn(shape, generator=torch.Generator().manual_seed(seed + i))
            for i in range(len(truth.latents))
        ]
    )
