"""The embedded model's video autoencoder: diffusers' `AutoencoderKLWan`, in small.

    python -m train fit --config train/configs/autoencoder.yaml

A batch holds `video` (B, 3, T, H, W) in [-1, 1], T = 4k + 1, and `weight` (B, 1, T, H, W), how much each
pixel counts. Stills, short clips and whole clips are mixed: stills teach the picture cheaply, whole clips
keep the causal decoder from drifting.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify
from torch import Tensor

from concat_id.models.autoencoder_wan import speed_up
from train.autoencoder.resizing import double_size, widen_decoder
from train.optimizer import MuonModule

EMBEDDED_CONFIG: dict[str, Any] = {
    "base_dim": 32,
    "z_dim": 24,
    "dim_mult": [1, 2, 2],
    "is_residual": True,
    "num_res_blocks": 1,
    "temperal_downsample": [True, True],
    "patch_size": 2,
    "in_channels": 12,
    "out_channels": 12,
    "scale_factor_temporal": 4,
    "scale_factor_spatial": 8,
    "latents_mean": [0.0] * 24,
    "latents_std": [1.0] * 24,
}


def build_autoencoder() -> AutoencoderKLWan:
    """A fresh embedded autoencoder: 8x in space, 4x in time, 24 latent channels, 2.7 M parameters."""
    vae = AutoencoderKLWan(**EMBEDDED_CONFIG)
    speed_up(vae)
    # Start with little posterior noise, so that the first steps learn the picture and not the noise's size.
    log_variance = slice(vae.config.z_dim, None)
    torch.nn.init.normal_(vae.quant_conv.weight.data[log_variance], std=1e-3)
    torch.nn.init.constant_(vae.quant_conv.bias.data[log_variance], -5.0)
    return vae


def start_autoencoder(init_from: str | None, doubled: bool, decoder_base_dim: int | None) -> AutoencoderKLWan:
    """What a training begins with: fresh, or of a folder; larger where that is wanted and not yet so."""
    vae = build_autoencoder()
    if init_from is not None:
        vae = AutoencoderKLWan.from_pretrained(init_from, dtype=torch.float32)
        speed_up(vae)
    if doubled and vae.config.patch_size == EMBEDDED_CONFIG["patch_size"]:
        vae = double_size(vae)
    width = vae.config.decoder_base_dim or vae.config.base_dim
    return vae if decoder_base_dim in (None, width) else widen_decoder(vae, decoder_base_dim)


def decode(vae: AutoencoderKLWan, latents: Tensor) -> Tensor:
    """(B, C, F, H, W) -> (B, 3, 4F - 3, 8H, 8W), without the clamp of the model's own `decode`."""
    vae.clear_cache()
    hidden = vae.post_quant_conv(latents)
    chunks = []
    for index in range(latents.shape[2]):
        vae._conv_idx = [0]
        chunks.append(
            vae.decoder(
                hidden[:, :, index : index + 1],
                feat_cache=vae._feat_map,
                feat_idx=vae._conv_idx,
                first_chunk=index == 0,
            )
        )
    vae.clear_cache()
    return unpatchify(torch.cat(chunks, dim=2), vae.config.patch_size)


def gradient_l1(error: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of the error's absolute differences between neighbours, in x and in y."""
    horizontal = error.diff(dim=-1).abs() * weight[..., 1:]
    vertical = error.diff(dim=-2).abs() * weight[..., 1:, :]
    return horizontal.mean() + vertical.mean()


@torch.no_grad()
def pass_through(vae: AutoencoderKLWan, video: Tensor) -> Tensor:
    """What the autoencoder makes of clips (N, 3, T, H, W) in [-1, 1]."""
    return torch.cat([vae.decode(vae.encode(clip).latent_dist.mode()).sample for clip in video.split(1)])


class Autoencoder(MuonModule):
    """L1, weighted towards faces, plus gradient L1 plus a light KL term.

    Args:
        init_from: diffusers folder of an autoencoder to start from instead of fresh weights.
        decoder_only: freeze the encoder, once latents of it are in use elsewhere.
        doubled: make the pictures of `init_from` twice as large, see `double_size`.
        decoder_base_dim: make the decoder of `init_from` wider, see `widen_decoder`.
        latent_noise: deviation of noise on normalised latents: what a transformer makes is not exact either.
    """

    def __init__(
        self,
        init_from: str | None = None,
        lr: float = 1.2e-3,
        warmup_steps: int = 50,
        decay_steps: int = 1000,
        gradient_weight: float = 0.5,
        kl_weight: float = 3e-4,
        decoder_only: bool = False,
        doubled: bool = False,
        decoder_base_dim: int | None = None,
        latent_noise: float = 0.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.vae = start_autoencoder(init_from, doubled, decoder_base_dim)
        if decoder_only:
            self.vae.encoder.requires_grad_(False)
            self.vae.quant_conv.requires_grad_(False)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        video, weight = batch["video"], batch["weight"]
        with torch.set_grad_enabled(not self.hparams.decoder_only):
            posterior = self.vae.encode(video).latent_dist
        decoded = decode(self.vae, self._disturb(posterior.sample()))
        kl = 0.5 * (posterior.mean.square() + posterior.var - 1.0 - posterior.logvar).float().mean()
        loss = self.compare(decoded, video, weight) + self.hparams.kl_weight * kl
        kind = f"train/l1_{video.shape[2]}_frames"
        error = (decoded.float() - video).abs().mean()
        self.log_dict({"train/loss": loss, kind: error, "train/kl": kl}, prog_bar=True)
        return loss

    def compare(self, decoded: Tensor, video: Tensor, weight: Tensor) -> Tensor:
        """L1 and gradient L1 of the error, each pixel counting by its weight."""
        error = decoded.float() - video
        return (error.abs() * weight).mean() + self.hparams.gradient_weight * gradient_l1(error, weight)

    def _disturb(self, latents: Tensor) -> Tensor:
        if not self.hparams.latent_noise:
            return latents
        deviation = torch.tensor(self.vae.config.latents_std).to(latents).view(1, -1, 1, 1, 1)
        strength = self.hparams.latent_noise * torch.rand(len(latents), 1, 1, 1, 1, device=latents.device)
        return latents + strength * deviation * torch.randn_like(latents)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        video, weight = batch["video"], batch["weight"]
        decoded = self.vae.decode(self.vae.encode(video).latent_dist.mode()).sample.float()
        squares = (decoded - video).square() / 4  # of values in [0, 1]
        self.log("val/psnr", -10 * squares.mean().log10(), prog_bar=True)
        self.log(
            "val/psnr_weighted", -10 * ((squares * weight).mean() / weight.mean()).log10(), prog_bar=True
        )
