"""What the pipelines give: a step while they denoise, videos at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils import BaseOutput
from PIL import Image
from torch import Tensor

OutputType = Literal["pil", "np", "pt", "latent"]
Frames = list[list[Image.Image]] | np.ndarray | Tensor


@dataclass(frozen=True)
class Step:
    """One denoising step.

    Attributes:
        index: 0 for the first step.
        total: number of steps.
        latents: normalised latents after the step, (B, C, F, H, W), float32.
        clean_latents: the clean latents the step predicts, (B, C, F, H, W), float32.
    """

    index: int
    total: int
    latents: Tensor
    clean_latents: Tensor


@dataclass
class ConcatIDPipelineOutput(BaseOutput):
    """The videos.

    Attributes:
        frames: "pil": a list of pictures per video; "np": (B, T, H, W, 3) in [0, 1]; "pt": (B, T, 3, H, W) in
            [0, 1]; "latent": (B, C, F, H, W), normalised.
    """

    frames: Frames


def format_frames(videos: Tensor, output_type: OutputType) -> Frames:
    """Videos (B, T, 3, H, W) in [0, 1] as "pt", "np" or "pil" frames."""
    if output_type == "pt":
        return videos
    arrays = videos.permute(0, 1, 3, 4, 2).cpu().numpy()  # (B, T, H, W, 3)
    if output_type == "np":
        return arrays
    return [VaeImageProcessor.numpy_to_pil(array) for array in arrays]
