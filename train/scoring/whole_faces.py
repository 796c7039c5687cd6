"""The judge of whole faces: a small network over aligned crops, true against damaged.

    python -m train fit --config train/configs/whole_faces.yaml

A batch holds `crops` (B, 3, 112, 112) in [0, 1] and `whole` (B,), 1 or 0; see
`train.scoring.whole_face_data`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from concat_id.evaluation.wholeness import CROP_PX
from train.optimizer import MuonModule
from train.perception.detector import ResidualBlock, conv_unit

# So far the labels are from 0 and 1: some damage does not show, and some true faces look broken.
SMOOTHING = 0.02


class WholeFaceNetwork(nn.Module):
    """Logits (B,) of crops (B, 3, 112, 112) in [0, 1]."""

    def __init__(self, widths: tuple[int, int, int, int] = (24, 32, 64, 88)) -> None:
        super().__init__()
        first, second, third, fourth = widths
        self.features = nn.Sequential(
            conv_unit(3, first, kernel=5, stride=2),
            conv_unit(first, second, stride=2),
            ResidualBlock(second),
            conv_unit(second, third, stride=2),
            ResidualBlock(third),
            conv_unit(third, fourth, stride=2),
            ResidualBlock(fourth),
        )
        # Each place of the face has its own weight; and what is anywhere, for the worst part decides.
        self.places = nn.Conv2d(fourth, fourth, CROP_PX // 16, groups=fourth)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(3 * fourth, 1)

    def forward(self, crops: Tensor) -> Tensor:
        maps = self.features(crops * 2 - 1)
        summary = [self.places(maps).flatten(1), maps.mean((2, 3)), maps.amax((2, 3))]
        return self.head(self.drop(torch.cat(summary, 1))).squeeze(1)


class WholeFaces(MuonModule):
    """Binary cross-entropy."""

    def __init__(
        self,
        lr: float = 2e-3,
        warmup_steps: int = 30,
        decay_steps: int = 400,
        weight_decay: float = 0.05,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network = WholeFaceNetwork()

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        logits = self.network(batch["crops"]).float()
        labels = batch["whole"].clamp(SMOOTHING, 1 - SMOOTHING)
        loss = F.binary_cross_entropy_with_logits(logits, labels)
        right = ((logits > 0) == (batch["whole"] > 0.5)).float().mean()
        self.log_dict({"train/loss": loss, "train/right": right}, prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        called, whole = self.network(batch["crops"]) > 0, batch["whole"] > 0.5
        right = {"val/whole_right": called[whole].float(), "val/broken_right": (~called[~whole]).float()}
        shares = {name: values.mean() for name, values in right.items()}
        self.log_dict(shares, prog_bar=True, batch_size=len(whole))
