"""A callback that lets one watch a large model learn: a few videos, as MP4 files, after each validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch

from concat_id.output.video import write_video
from concat_id.pipelines.pipeline import ConcatIDPipeline


class ValidationVideos(L.Callback):
    """Videos of the first validation batches; list it before EMA, whose weights it then shows.

    It takes embeddings and reference latents as `PairsDataModule` has them, and needs no text encoder.

    Args:
        model: a diffusers folder, whose autoencoder and schedule are used.
        output: folder for the videos, `STEP/NUMBER.mp4`, with captions in `STEP/captions.txt`.
        count: of videos.
        num_inference_steps: of each.
    """

    def __init__(self, model: str, output: str, count: int = 2, num_inference_steps: int = 30) -> None:
        self.model, self.output = Path(model), Path(output)
        self.count, self.num_inference_steps = count, num_inference_steps

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # Every process computes them, for they may hold only parts of the weights; the first one writes.
        pipeline = self._build_pipeline(pl_module)
        folder, fps = self.output / f"{trainer.global_step:06d}", trainer.datamodule.shape.fps
        captions: list[str] = []
        for batch in trainer.datamodule.validation:
            for number in range(min(len(batch["captions"]), self.count - len(captions))):
                with trainer.precision_plugin.forward_context():
                    frames = self._sample(pipeline, batch, number)
                if trainer.is_global_zero:
                    write_video(frames, fps, folder / f"{len(captions)}.mp4")
                captions.append(batch["captions"][number])
        if trainer.is_global_zero:
            (folder / "captions.txt").write_text("\n".join(captions) + "\n", encoding="utf-8")

    def _build_pipeline(self, module: L.LightningModule) -> ConcatIDPipeline:
        """The pipeline around the module's live weights, without a text encoder."""
        pipeline = module.pipeline_class.from_pretrained(
            self.model, transformer=module.transformer, text_encoder=None, tokenizer=None, dtype=torch.float32
        )
        pipeline.vae.to(module.device)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def _sample(self, pipeline: ConcatIDPipeline, batch: dict[str, Any], number: int) -> np.ndarray:
        """Frames (T, H, W, 3), uint8, of a batch's sample; always from the same noise."""
        own = {
            name: batch[name][number : number + 1].to(pipeline.vae.device)
            for name in ("prompt_embeds", "negative_prompt_embeds", "reference_latents")
        }
        latents = torch.randn(1, *batch["latents"].shape[1:], generator=torch.Generator().manual_seed(number))
        frames = pipeline(
            latents=latents, num_inference_steps=self.num_inference_steps, output_type="np", **own
        ).frames[0]
        return (frames * 255).round().astype(np.uint8)
