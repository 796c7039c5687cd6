"""Step 6, backgrounds: what lies behind the people of a frame, made up.

The paper's way is SDXL's inpainting, told to show some thing at random, so that a background is never just
what
surrounds the people, smeared: it names one of COCO's classes.
"""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from concat_id.references.backgrounds import fill_people

# The 80 classes of COCO without the person.
COCO_THINGS = (
    "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard",
    "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase",
    "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
# Of the area that SDXL was trained on, the side of the square.
SDXL_PX = 1024
SDXL_MULTIPLE_PX = 8
# Around a mask, at a picture's own size: its edge is never exact.
MARGIN_PX = 9


class Filler(Protocol):
    """Fills in what people hide."""

    def fill(self, picture: Image.Image, people: np.ndarray, seed: str) -> Image.Image:
        """The picture, RGB, without the pixels of people, (H, W) bool; the same for the same seed."""


class SmoothFiller:
    """By OpenCV: from what surrounds the people, without any model."""

    def fill(self, picture: Image.Image, people: np.ndarray, seed: str) -> Image.Image:
        """As `Filler`; nothing is left to chance."""
        return fill_people(picture, people)


class DiffusionFiller:
    """By a diffusers inpainting pipeline.

    Args:
        weights: its folder.
        device: where it runs; on CUDA in half precision.
        num_inference_steps, guidance_scale: of its sampler.
    """

    def __init__(
        self,
        weights: Path,
        *,
        device: str = "cpu",
        num_inference_steps: int = 20,
        guidance_scale: float = 8.0,
    ) -> None:
        import torch
        from diffusers import AutoPipelineForInpainting

        dtype = torch.float16 if device.startswith("cuda") else torch.float32
        self._pipeline = AutoPipelineForInpainting.from_pretrained(weights, dtype=dtype).to(device)
        self._pipeline.set_progress_bar_config(disable=True)
        self._steps, self._guidance = num_inference_steps, guidance_scale

    def fill(self, picture: Image.Image, people: np.ndarray, seed: str) -> Image.Image:
        """As `Filler`."""
        import cv2
        import torch

        mask = cv2.dilate(people.astype(np.uint8), np.ones((MARGIN_PX, MARGIN_PX), np.uint8))
        scale = SDXL_PX / (picture.width * picture.height) ** 0.5
        width, height = (
            max(SDXL_MULTIPLE_PX, round(side * min(1.0, scale) / SDXL_MULTIPLE_PX) * SDXL_MULTIPLE_PX)
            for side in picture.size
        )
        filled = self._pipeline(
            prompt=choose_thing(seed),
            image=picture.resize((width, height), Image.Resampling.LANCZOS),
            mask_image=Image.fromarray(mask * 255).resize((width, height), Image.Resampling.NEAREST),
            height=height,
            width=width,
            num_inference_steps=self._steps,
            guidance_scale=self._guidance,
            strength=0.99,
            generator=torch.Generator().manual_seed(_number(seed)),
        ).images[0]
        made = np.asarray(filled.resize(picture.size, Image.Resampling.LANCZOS))
        return Image.fromarray(np.where(mask[..., None] > 0, made, np.asarray(picture)))


def choose_thing(seed: str) -> str:
    """One of COCO's things, the same for the same seed."""
    return random.Random(_number(seed)).choice(COCO_THINGS)


def _number(seed: str) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:7])
