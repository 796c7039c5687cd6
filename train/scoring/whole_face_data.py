"""Batches of whole and of broken faces, drawn from stored crops and from those that were judged by eye."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import lightning as L
import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset

from concat_id.evaluation.wholeness import CROP_PX
from train.pictures.degradation import Degradation
from train.scoring.whole_face_crops import WHOLE, load_crops


@torch.no_grad()
def jitter_crops(crops: Tensor, generator: Generator) -> Tensor:
    """Crops (B, 3, 112, 112) mirrored, turned, moved and resized a little, as detectors differ."""
    count = len(crops)

    def draw(low: float, high: float) -> Tensor:
        return torch.empty(count).uniform_(low, high, generator=generator)

    angle, scale = draw(-0.12, 0.12), draw(0.9, 1.1)
    mirrored = torch.where(draw(0, 1) < 0.5, -1.0, 1.0)
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    theta = torch.stack(
        [
            torch.stack([cosine * mirrored, -sine, draw(-0.06, 0.06)], 1),
            torch.stack([sine * mirrored, cosine, draw(-0.06, 0.06)], 1),
        ],
        1,
    )
    grid = F.affine_grid(theta, list(crops.shape), align_corners=False)
    return F.grid_sample(crops, grid, padding_mode="border", align_corners=False)


class WholeFaceBatches(IterableDataset):
    """Endless training batches, or a fixed number without jitter.

    A batch holds `crops` (B, 3, 112, 112) in [0, 1] and `whole` (B,), 1 or 0.
    """

    def __init__(
        self,
        stored: dict[str, Tensor],
        judged: dict[str, Tensor],
        batch_size: int,
        shares: tuple[float, float, float, float],
        seed: int,
        length: int | None = None,
    ) -> None:
        self.stored, self.judged, self.batch_size, self.shares = stored, judged, batch_size, shares
        self.seed, self.length = seed, length
        self.degradation = Degradation(
            brightness=0.06,
            contrast=0.15,
            saturation=0.2,
            tint=0.05,
            softness=1.8,
            noise=0.02,
            compression=0,
        )

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        generator = Generator().manual_seed(self.seed)
        made = 0
        while self.length is None or made < self.length:
            yield self._draw(generator)
            made += 1

    def _draw(self, generator: Generator) -> dict[str, Tensor]:
        def draw(fits: Tensor, share: float) -> Tensor:
            rows = fits.nonzero().squeeze(1)
            chosen = torch.randint(len(rows), (round(share * self.batch_size),), generator=generator)
            return rows[chosen]

        whole, broken, paired, judged = self.shares
        is_whole, source = self.stored["whole"] == WHOLE, self.stored["source"]
        spoilt = draw(source >= 0, paired / 2)
        rows = [draw(is_whole, whole), draw(~is_whole & (source < 0), broken), spoilt, source[spoilt]]
        by_eye = self.judged["whole"] == WHOLE
        picked = torch.cat([draw(by_eye, judged / 2), draw(~by_eye, judged / 2)])
        rows = torch.cat(rows)
        crops = torch.cat([self.stored["crops"][rows], self.judged["crops"][picked]]).float() / 255
        labels = torch.cat([self.stored["whole"][rows], self.judged["whole"][picked]]).float()
        return {"crops": self.degradation(jitter_crops(crops, generator), generator), "whole": labels}


class WholeFaceData(L.LightningDataModule):
    """Crops made by `ChunkMaker`, and faces of the first shipped model that were judged by eye.

    Args:
        shares: of a batch: whole; broken in the latents or by the model; whole beside the same broken in
            pixels; judged by eye, half of them whole.
    """

    def __init__(
        self,
        folder: str = ".train/whole_faces",
        num_chunks: int = 12,
        judged: str = "train/scoring/judged_faces/training.webp",
        batch_size: int = 64,
        shares: tuple[float, float, float, float] = (0.2, 0.3, 0.3, 0.2),
        validation_batches: int = 6,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.folder, self.num_chunks, self.judged = Path(folder), num_chunks, Path(judged)
        self.batch_size, self.shares = batch_size, shares
        self.validation_batches, self.seed = validation_batches, seed

    def setup(self, stage: str) -> None:
        self.train_crops = load_crops(self.folder, "train", self.num_chunks)
        self.validation_crops = load_crops(self.folder, "validation", 1)
        self.judged_crops = read_judged(self.judged)

    def train_dataloader(self) -> DataLoader:
        """Other batches after every resumption: the seed moves on with the steps already taken."""
        seed = self.seed + self.trainer.global_step
        batches = WholeFaceBatches(self.train_crops, self.judged_crops, self.batch_size, self.shares, seed)
        return DataLoader(batches, batch_size=None)

    def val_dataloader(self) -> DataLoader:
        """What the synthetic part of the training looks like on people never seen."""
        shares = (0.3, 0.3, 0.4, 0.0)
        batches = WholeFaceBatches(
            self.validation_crops, self.judged_crops, 128, shares, 1, self.validation_batches
        )
        return DataLoader(batches, batch_size=None)


def read_judged(path: Path) -> dict[str, Tensor]:
    """Faces judged by eye: a picture of square crops in rows, and beside it a JSON with their labels.

    Returns:
        `crops` (N, 3, 112, 112) uint8 and `whole` (N,) uint8.
    """
    labels = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["whole"]
    sheet = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)
    rows, columns = (side // CROP_PX for side in sheet.shape[1:])
    tiles = sheet.unflatten(1, (rows, CROP_PX)).unflatten(3, (columns, CROP_PX))  # (3, rows, px, columns, px)
    crops = tiles.permute(1, 3, 0, 2, 4).flatten(0, 1)[: len(labels)]
    return {"crops": crops.contiguous(), "whole": torch.tensor(labels, dtype=torch.uint8)}
