"""Parsers: tiny SegFormers that label every pixel; `face_parser` and `clothes_parser` say which labels.

A batch holds `pixel_values` (B, 3, H, W) in [0, 1] and `labels` (B, H, W) long. Axes: K labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from train.optimizer import MuonModule

INPUT_SIZE = 128
IMAGE_MEAN = (0.5, 0.5, 0.5)
IMAGE_STD = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class LabelMap:
    """The labels of a parser on the hub, whose numbers an embedded parser shares.

    Attributes:
        names: of all K labels, in order.
        occurring: numbers of those that the synthetic people have.
    """

    names: tuple[str, ...]
    occurring: tuple[int, ...]

    def confusion(self, predicted: Tensor, labels: Tensor) -> Tensor:
        """Pixel counts (K, K): rows are true labels, columns predicted ones; any shape, long."""
        count = len(self.names)
        pairs = labels.flatten() * count + predicted.flatten()
        return torch.bincount(pairs, minlength=count**2).view(count, count)

    def iou(self, confusion: Tensor) -> dict[str, float]:
        """Intersection over union of every occurring label."""
        confusion = confusion.double()
        hits = confusion.diag()
        union = confusion.sum(0) + confusion.sum(1) - hits
        return {self.names[i]: (hits[i] / union[i].clamp(min=1)).item() for i in self.occurring}


def build_segformer(label_map: LabelMap, first_stride: int) -> SegformerForSemanticSegmentation:
    """A fresh embedded parser.

    Args:
        first_stride: 2 keeps half the resolution, for thin lips and lids; 4 is three times as fast.
    """
    config = SegformerConfig(
        depths=(1, 1, 2, 1),
        hidden_sizes=(24, 48, 96, 128),
        num_attention_heads=(1, 2, 3, 4),
        patch_sizes=(first_stride + 3, 3, 3, 3),
        strides=(first_stride, 2, 2, 2),
        mlp_ratios=(2, 2, 3, 3),
        decoder_hidden_size=64,
        drop_path_rate=0.0,
        classifier_dropout_prob=0.0,
        id2label=dict(enumerate(label_map.names)),
        label2id={name: index for index, name in enumerate(label_map.names)},
    )
    return SegformerForSemanticSegmentation(config)


def normalise(pixels: Tensor) -> Tensor:
    """Pixels (B, 3, H, W) in [0, 1] as the model's image processor would give them."""
    mean = torch.tensor(IMAGE_MEAN, device=pixels.device).view(3, 1, 1)
    return (pixels - mean) / torch.tensor(IMAGE_STD, device=pixels.device).view(3, 1, 1)


def soft_dice_loss(logits: Tensor, labels: Tensor, occurring: tuple[int, ...]) -> Tensor:
    """1 - mean Dice overlap of the occurring labels (Milletari et al. 2016): small labels count fully."""
    probabilities = logits.softmax(1)[:, list(occurring)]
    truth = torch.stack([labels == i for i in occurring], 1).float()
    overlap = (probabilities * truth).sum((0, 2, 3))
    total = (probabilities + truth).sum((0, 2, 3))
    seen = truth.sum((0, 2, 3)) > 0
    return 1 - (2 * overlap / total.clamp(min=1))[seen].mean()


class Parser(MuonModule):
    """Base: cross-entropy plus Dice at the full resolution; subclasses say which labels."""

    label_map: LabelMap
    first_stride: int

    def __init__(
        self,
        lr: float = 1.5e-3,
        warmup_steps: int = 50,
        decay_steps: int = 400,
        weight_decay: float = 0.01,
        dice_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.parser = build_segformer(self.label_map, self.first_stride)
        self.confusion = torch.zeros(len(self.label_map.names), len(self.label_map.names), dtype=torch.long)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Logits (B, K, H, W) of pixels (B, 3, H, W) in [0, 1]."""
        logits = self.parser(pixel_values=normalise(pixel_values)).logits.float()
        return F.interpolate(logits, pixel_values.shape[-2:], mode="bilinear")

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        logits = self(batch["pixel_values"])
        cross_entropy = F.cross_entropy(logits, batch["labels"])
        dice = soft_dice_loss(logits, batch["labels"], self.label_map.occurring)
        loss = cross_entropy + self.hparams.dice_weight * dice
        self.log_dict(
            {"train/loss": loss, "train/cross_entropy": cross_entropy, "train/dice": dice}, prog_bar=True
        )
        return loss

    def on_validation_epoch_start(self) -> None:
        self.confusion.zero_()

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        predicted = self(batch["pixel_values"]).argmax(1)
        self.confusion += self.label_map.confusion(predicted, batch["labels"]).cpu()

    def on_validation_epoch_end(self) -> None:
        overlaps = self.label_map.iou(self.confusion)
        self.log("val/mean_iou", sum(overlaps.values()) / len(overlaps), prog_bar=True)
