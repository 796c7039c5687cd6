"""A callback that lets one watch a model learn: a sheet of sampled videos after each validation."""

from pathlib import Path

import lightning as L
import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image
from torch import Tensor

from concat_id import ConcatIDWanPipeline
from train.latents import LatentShards, load_autoencoder


def build_pipeline(module: L.LightningModule, vae_folder: Path, *, shift: float) -> ConcatIDWanPipeline:
    """The pipeline around a module's live weights; shares them."""
    pipeline = ConcatIDWanPipeline(
        transformer=module.transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=shift),
        tokenizer=module.tokenizer,
        text_encoder=module.text_encoder,
        vae=load_autoencoder(vae_folder),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def contact_sheet(rows: list[Tensor]) -> Image.Image:
    """Rows of pictures side by side. Args: rows: each (N, 3, H, W) in [0, 1]."""
    lines = [torch.cat(list(row), dim=-1) for row in rows]
    sheet = (torch.cat(lines, dim=-2).clamp(0, 1) * 255).round().byte()
    return Image.fromarray(np.ascontiguousarray(sheet.permute(1, 2, 0).cpu().numpy()))


class Gallery(L.Callback):
    """Samples validation captions with their references; list it before EMA, whose weights it then shows.

    Args:
        vae: folder of the autoencoder.
        latents: folder of validation latents.
        output: folder for the sheets, `STEP.png`: reference, five frames; captions in `STEP.txt`.
        count: videos a sheet.
    """

    def __init__(
        self,
        vae: str,
        latents: str,
        output: str,
        count: int = 8,
        num_inference_steps: int = 20,
        guidance: float = 2.5,
    ) -> None:
        self.vae, self.latents, self.output = Path(vae), Path(latents), Path(output)
        self.count, self.num_inference_steps, self.guidance = count, num_inference_steps, guidance

    @rank_zero_only
    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pipeline = build_pipeline(pl_module, self.vae, shift=pl_module.hparams.shift)
        batch = LatentShards(self.latents).draw(torch.arange(self.count), torch.Generator().manual_seed(0))
        references = batch["reference_latents"] if pl_module.hparams.references else None
        noise = torch.randn(batch["latents"].shape, generator=torch.Generator().manual_seed(0))
        videos = pipeline(
            batch["captions"],
            reference_latents=references,
            latents=noise.to(pl_module.device),
            num_inference_steps=self.num_inference_steps,
            guidance_scale=self.guidance,
            output_type="pt",
        ).frames
        pictures = pipeline.decode_latents(batch["reference_latents"].to(pl_module.device))
        frames = torch.linspace(0, videos.shape[1] - 1, 5).round().long()
        self.output.mkdir(parents=True, exist_ok=True)
        rows = [torch.cat([picture, video[frames]]) for picture, video in zip(pictures, videos, strict=True)]
        contact_sheet(rows).save(self.output / f"{trainer.global_step:06d}.png")
        (self.output / f"{trainer.global_step:06d}.txt").write_text("\n".join(batch["captions"]) + "\n")
