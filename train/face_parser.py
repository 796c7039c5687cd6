"""The face parser: a tiny SegFormer with the label numbering of `jonathandinu/face-parsing`.

    python -m train fit --config train/configs/face_parser.yaml

A batch holds `pixel_values` (B, 3, H, W) in [0, 1], aligned face crops, and `labels` (B, H, W) long.
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from train.optimizer import MuonModule

LABELS: tuple[str, ...] = (
    "background", "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear",
    "mouth", "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth",
)  # fmt: skip
OCCURRING: tuple[int, ...] = (0, 1, 4, 5, 10, 13, 14, 17, 18)
"""Labels the synthetic people have; ears, nose and brows count as skin, lips as mouth, beards as hair."""
INPUT_SIZE = 128
IMAGE_MEAN = (0.5, 0.5, 0.5)
IMAGE_STD = (0.5, 0.5, 0.5)


def build_face_parser() -> SegformerForSemanticSegmentation:
    """A fresh embedded parser; its first stage keeps half the resolution, for thin lips and lids."""
    config = SegformerConfig(
        depths=(1, 1, 2, 1),
        hidden_sizes=(24, 48, 96, 128),
        num_attention_heads=(1, 2, 3, 4),
        patch_sizes=(5, 3, 3, 3),
        strides=(2, 2, 2, 2),
        mlp_ratios=(2, 2, 3, 3),
        decoder_hidden_size=64,
        drop_path_rate=0.0,
        classifier_dropout_prob=0.0,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
    )
    return SegformerForSemanticSegmentation(config)


def normalise(pixels: Tensor) -> Tensor:
    """Pixels (B, 3, H, W) in [0, 1] as the model's image processor would give them."""
    mean = torch.tensor(IMAGE_MEAN, device=pixels.device).view(3, 1, 1)
    return (pixels - mean) / torch.tensor(IMAGE_STD, device=pixels.device).view(3, 1, 1)


def confusion_matrix(predicted: Tensor, labels: Tensor) -> Tensor:
    """Pixel counts (19, 19): rows are true labels, columns predicted ones; any shape, long."""
    count = len(LABELS)
    return torch.bincount(labels.flatten() * count + predicted.flatten(), minlength=count**2).view(
        count, count
    )


def label_iou(confusion: Tensor) -> dict[str, float]:
    """Intersection over union of every occurring label."""
    confusion = confusion.double()
    hits = confusion.diag()
    union = confusion.sum(0) + confusion.sum(1) - hits
    return {LABELS[i]: (hits[i] / union[i].clamp(min=1)).item() for i in OCCURRING}


def soft_dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """1 - mean Dice overlap of the occurring labels (Milletari et al. 2016): small labels count fully."""
    probabilities = logits.softmax(1)[:, list(OCCURRING)]
    truth = torch.stack([labels == i for i in OCCURRING], 1).float()
    overlap = (probabilities * truth).sum((0, 2, 3))
    total = (probabilities + truth).sum((0, 2, 3))
    seen = truth.sum((0, 2, 3)) > 0
    return 1 - (2 * overlap / total.clamp(min=1))[seen].mean()


class FaceParser(MuonModule):
    """Cross-entropy plus Dice at the full resolution."""

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
        self.parser = build_face_parser()
        self.confusion = torch.zeros(len(LABELS), len(LABELS), dtype=torch.long)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Logits (B, 19, H, W) of pixels (B, 3, H, W) in [0, 1]."""
        logits = self.parser(pixel_values=normalise(pixel_values)).logits.float()
        return F.interpolate(logits, pixel_values.shape[-2:], mode="bilinear")

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        logits = self(batch["pixel_values"])
        cross_entropy = F.cross_entropy(logits, batch["labels"])
        dice = soft_dice_loss(logits, batch["labels"])
        loss = cross_entropy + self.hparams.dice_weight * dice
        self.log_dict(
            {"train/loss": loss, "train/cross_entropy": cross_entropy, "train/dice": dice}, prog_bar=True
        )
        return loss

    def on_validation_epoch_start(self) -> None:
        self.confusion.zero_()

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        predicted = self(batch["pixel_values"]).argmax(1)
        self.confusion += confusion_matrix(predicted, batch["labels"]).cpu()

    def on_validation_epoch_end(self) -> None:
        overlaps = label_iou(self.confusion)
        self.log("val/mean_iou", sum(overlaps.values()) / len(overlaps), prog_bar=True)
