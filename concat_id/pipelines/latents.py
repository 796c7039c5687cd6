"""Pictures and videos to the transformer's latents and back, through a backbone's autoencoder.

Axes: B batch, R references, C latent channels, F latent frames, h, w latent size, T video frames.
"""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKLCogVideoX, AutoencoderKLWan
from diffusers.utils.torch_utils import get_module_execution_device
from einops import rearrange
from PIL import Image, ImageOps
from torch import Tensor

Autoencoder = AutoencoderKLWan | AutoencoderKLCogVideoX


def encode_pictures(vae: Autoencoder, pictures: list[list[Image.Image]], height: int, width: int) -> Tensor:
    """The pictures, R for each video, as one-frame clips: normalised latents' modes, (B, C, R, h, w)."""
    pixels = torch.stack([_fit_and_pad(picture, height, width) for group in pictures for picture in group])
    pixels = rearrange(pixels, "n h w c -> n c 1 h w").to(get_module_execution_device(vae), vae.dtype)
    latents = vae.encode(pixels).latent_dist.mode()
    mean, std = latent_statistics(vae, latents)
    return rearrange((latents - mean) / std, "(b r) c 1 h w -> b c r h w", b=len(pictures))


def encode_videos(vae: Autoencoder, frames: np.ndarray) -> Tensor:
    """Videos (B, T, H, W, 3) uint8 as normalised latents' modes, (B, C, F, h, w), float32."""
    pixels = torch.from_numpy(frames).to(get_module_execution_device(vae), vae.dtype) / 127.5 - 1
    with torch.inference_mode():
        latents = vae.encode(rearrange(pixels, "b t h w c -> b c t h w")).latent_dist.mode().float()
    mean, std = latent_statistics(vae, latents)
    return (latents - mean) / std


def decode_videos(vae: Autoencoder, latents: Tensor) -> Tensor:
    """Normalised latents (B, C, F, h, w) to videos (B, T, 3, H, W) in [0, 1], float32."""
    latents = latents.to(get_module_execution_device(vae), vae.dtype)
    mean, std = latent_statistics(vae, latents)
    pixels = vae.decode(latents * std + mean, return_dict=False)[0]
    return rearrange(pixels.float() / 2 + 0.5, "b c t h w -> b t c h w").clamp(0, 1)


def latent_statistics(vae: Autoencoder, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the autoencoder's latents, (1, C, 1, 1, 1), on the device of `like`."""
    mean, std = vae.config.latents_mean, vae.config.latents_std
    if mean is None:  # CogVideoX's has one scale for all channels
        mean, std = [0.0] * like.shape[1], [1 / vae.config.scaling_factor] * like.shape[1]
    statistics = torch.tensor([mean, std]).to(like)
    mean, std = rearrange(statistics, "s c -> s 1 c 1 1 1")
    return mean, std


def _fit_and_pad(picture: Image.Image, height: int, width: int) -> Tensor:
    """The picture resized to fit and centred on black, (height, width, 3) in [-1, 1]."""
    padded = ImageOps.pad(picture.convert("RGB"), (width, height))
    return torch.from_numpy(np.asarray(padded, dtype=np.float32)) / 127.5 - 1
