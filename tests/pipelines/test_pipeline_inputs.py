"""What the pipeline refuses, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from toys import TEXT_DIM

from concat_id import ConcatIDWanPipeline
from concat_id.errors import InputError
from concat_id.pipelines.checks import check_multiple

PICTURE = Image.new("RGB", (8, 8))
LATENTS = torch.zeros(1, 4, 2, 4, 4)
EMBEDS = torch.zeros(1, 5, TEXT_DIM)


@pytest.fixture(scope="module")
def pipeline(toy_folder: Path) -> ConcatIDWanPipeline:
    """One toy pipeline for all tests here: none of them changes it."""
    return ConcatIDWanPipeline.from_pretrained(toy_folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_frames": 16}, r"num_frames must be 4k \+ 1, got 16; try 17"),
        ({"num_frames": 0}, r"num_frames must be 4k \+ 1, got 0; try 1\."),
        ({"height": 120}, "height must be a multiple of 16, got 120; try 128"),
        ({"width": -5}, "width must be a multiple of 16, got -5; try 16"),
        ({"num_inference_steps": 0}, "num_inference_steps must be at least 1, got 0"),
        ({"num_videos_per_prompt": 0}, "num_videos_per_prompt must be at least 1, got 0"),
        ({"guidance_scale": -1.0}, "guidance_scale must be a number from 0 up, got -1.0"),
        ({"guidance_scale": float("nan")}, "guidance_scale must be a number from 0 up, got nan"),
        ({"reference_guidance_scale": 2.0}, "reference_guidance_scale needs references"),
        ({"reference_guidance_scale": -2.0, "references": [PICTURE]}, "from 0 up, got -2.0"),
        ({"skip_guidance_layers": [0]}, "skip_guidance_layers must be from 1 to 1, got 0"),
        ({"skip_guidance_layers": [1, 2]}, "skip_guidance_layers must be from 1 to 1, got 2"),
        ({"output_type": "mp4"}, "output_type must be one of pil, np, pt, latent, got 'mp4'"),
        ({"callback_on_step_end_tensor_inputs": ["noise"]}, "must be one of latents, .* got 'noise'"),
        ({"generator": [torch.Generator()] * 2}, "a list of 1, one for each video, got a list of 2"),
        ({"prompt": None}, "There is no prompt"),
        ({"prompt": []}, "There is no prompt"),
        ({"prompt_embeds": EMBEDS}, "prompt and prompt_embeds were both given"),
        ({"negative_prompt": ["a", "b"]}, "There are 2 negative prompts for 1 prompts"),
        ({"negative_prompt": "a", "negative_prompt_embeds": EMBEDS}, "were both given"),
        ({"prompt": None, "prompt_embeds": EMBEDS[0]}, r"prompt_embeds must have the shape \(prompts,"),
        (
            {"prompt": None, "prompt_embeds": EMBEDS, "negative_prompt_embeds": EMBEDS[:, :4]},
            r"negative_prompt_embeds must have the shape \(1, 5, 64\), got \(1, 4, 64\)",
        ),
        ({"references": PICTURE}, "must be a list of pictures, got one picture"),
        ({"references": ["face.png"]}, "references must be PIL pictures"),
        ({"references": [[PICTURE], [PICTURE]]}, r"for 2 prompt\(s\), but 1 prompts"),
        ({"references": [PICTURE], "prompt": ["a", "b"]}, r"for 1 prompt\(s\), but 2 prompts"),
        (
            {"references": [[PICTURE], [PICTURE] * 2], "prompt": ["a", "b"]},
            r"the same number of references, got \[1, 2\]",
        ),
        ({"references": [PICTURE], "reference_latents": LATENTS}, "were both given"),
        ({"reference_latents": LATENTS[0]}, r"must have the shape \(1, 4, R, 4, 4\), got \(4, 2, 4, 4\)"),
        ({"reference_latents": LATENTS[..., :2]}, r"\(1, 4, R, 4, 4\), got \(1, 4, 2, 4, 2\)"),
        ({"latents": LATENTS[:, :, :1]}, r"\(1, 4, 2, 4, 4\), got \(1, 4, 1, 4, 4\)"),
        ({"latents": LATENTS[0]}, r"\(B, C, F, H, W\), got \(4, 2, 4, 4\)"),
    ],
)
def test_refuses(pipeline: ConcatIDWanPipeline, options: dict[str, Any], message: str) -> None:
    small = {"prompt": "A person.", "height": 32, "width": 32, "num_frames": 5, "num_inference_steps": 1}
    with pytest.raises(InputError, match=message):
        pipeline(**small | options)


def test_missing_components(pipeline: ConcatIDWanPipeline) -> None:
    bare = ConcatIDWanPipeline(pipeline.transformer, pipeline.scheduler)
    small = {"latents": LATENTS, "num_inference_steps": 1, "guidance_scale": 1.0}
    with pytest.raises(InputError, match="no VAE; choose output_type"):
        bare("A person.", **small)
    with pytest.raises(InputError, match="no text encoder"):
        bare("A person.", **small, output_type="latent")
    with pytest.raises(InputError, match="no VAE; give reference_latents"):
        bare(prompt_embeds=EMBEDS, references=[PICTURE], **small, output_type="latent")
    assert bare(prompt_embeds=EMBEDS, **small, output_type="latent").frames.shape == LATENTS.shape


@pytest.mark.parametrize(
    ("value", "offset", "nearest"), [(5, 0, 16), (23, 0, 16), (25, 0, 32), (100, 1, 97), (-7, 1, 1)]
)
def test_nearest_valid_value(value: int, offset: int, nearest: int) -> None:
    with pytest.raises(InputError, match=rf"got {value}; try {nearest}\."):
        check_multiple("size", value, 16, offset)
    check_multiple("size", nearest, 16, offset)
