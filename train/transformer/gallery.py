"""A callback that lets one watch a model learn: a sheet of sampled videos after each validation."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image
from torch import Tensor

from concat_id import ConcatIDWanPipeline
from train.footage.latents import load_autoencoder
from train.transformer.latent_data import Batch, load_pairs


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
    """Rows of pictures side by side.

    Args:
        rows: each (N, 3, H, W) in [0, 1].
    """
    lines = [torch.cat(list(row), dim=-1) for row in rows]
    sheet = (torch.cat(lines, dim=-2).clamp(0, 1) * 255).round().byte()
    return Image.fromarray(np.ascontiguousarray(sheet.permute(1, 2, 0).cpu().numpy()))


class Gallery(L.Callback):
    """Samples from every validation source; list it before EMA, whose weights it then shows.

    Args:
        vae: folder of the autoencoder.
        output: folder for the sheets, `STEP_TASK.png`: references, five frames; captions in `STEP_TASK.txt`.
        count: videos a sheet.
    """

    def __init__(
        self,
        vae: str,
        output: str,
        count: int = 8,
        num_inference_steps: int = 20,
        guidance: float = 2.5,
    ) -> None:
        self.vae, self.output, self.count = Path(vae), Path(output), count
        self.num_inference_steps, self.guidance = num_inference_steps, guidance

    @rank_zero_only
    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pipeline = build_pipeline(pl_module, self.vae, shift=pl_module.hparams.shift)
        self.output.mkdir(parents=True, exist_ok=True)
        for pairs in load_pairs(trainer.datamodule.validation):
            numbers = torch.arange(min(pairs.scenes_in(self.count), len(pairs)))
            batch = pairs.draw(numbers, torch.Generator().manual_seed(0))
            sheet = self._sample(pipeline, batch, with_references=pl_module.hparams.references)
            path = self.output / f"{trainer.global_step:06d}_{pairs.task}.png"
            sheet.save(path)
            path.with_suffix(".txt").write_text("\n".join(batch["captions"]) + "\n")

    def _sample(self, pipeline: ConcatIDWanPipeline, batch: Batch, *, with_references: bool) -> Image.Image:
        """One row for each sample: its references, then five frames of the video."""
        references = batch["reference_latents"] * batch["reference_mask"][:, None, :, None, None]
        references = references.to(pipeline.device)
        noise = torch.randn(batch["latents"].shape, generator=torch.Generator().manual_seed(0))
        videos = pipeline(
            batch["captions"],
            reference_latents=references if with_references else None,
            latents=noise.to(pipeline.device),
            num_inference_steps=self.num_inference_steps,
            guidance_scale=self.guidance,
            output_type="pt",
        ).frames
        # Each reference is decoded as the still that it is.
        pictures = torch.cat([pipeline.decode_latents(still) for still in references.split(1, dim=2)], dim=1)
        frames = torch.linspace(0, videos.shape[1] - 1, 5).round().long()
        rows = zip(pictures, videos[:, frames], strict=True)
        return contact_sheet([torch.cat(row) for row in rows])
