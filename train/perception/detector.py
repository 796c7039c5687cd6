"""The face detector: a small feature pyramid network in insightface's SCRFD layout.

    python -m train fit --config train/configs/detector.yaml

A batch holds `pictures` (B, 3, H, W) in [0, 1], H and W multiples of 32, `boxes` (B, G, 4) and `landmarks`
(B, G, 5, 2) in px, and `states` (B, G), see `train.perception.anchors`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.optimizer import MuonModule
from train.perception.anchors import (
    ANCHOR_SIZES,
    Anchors,
    assign_faces,
    box_iou,
    decode_boxes,
    decode_landmarks,
    make_anchors,
)

# Slow: batches of few large canvases and of many small ones take turns.
NORM_MOMENTUM = 0.03


def conv_unit(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, rectifier."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs, momentum=NORM_MOMENTUM), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a straight way through."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv_unit(width, width)
        self.second = conv_unit(width, width)[:2]

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))


class FaceDetector(nn.Module):
    """Scores, boxes and key points at strides 8, 16 and 32.

    Input: RGB, (B, 3, H, W), (x - 127.5) / 128, sides multiples of 32.
    """

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 96, 128), neck: int = 48) -> None:
        super().__init__()
        stem, quarter, *pyramid = widths
        self.stem = nn.Sequential(
            conv_unit(3, stem, stride=2), conv_unit(stem, quarter, stride=2), ResidualBlock(quarter)
        )
        depths = (1, 1, 2)
        self.stages = nn.ModuleList(
            nn.Sequential(conv_unit(a, b, stride=2), *(ResidualBlock(b) for _ in range(depth)))
            for a, b, depth in zip((quarter, *pyramid), pyramid, depths, strict=False)
        )
        self.laterals = nn.ModuleList(conv_unit(width, neck, kernel=1) for width in pyramid)
        self.smooth = nn.ModuleList(conv_unit(neck, neck) for _ in pyramid)
        self.head = nn.Sequential(conv_unit(neck, neck), conv_unit(neck, neck))
        anchors = len(ANCHOR_SIZES)
        self.score = nn.Conv2d(neck, anchors, 3, padding=1)
        self.box = nn.Conv2d(neck, anchors * 4, 3, padding=1)
        self.landmarks = nn.Conv2d(neck, anchors * 10, 3, padding=1)
        self.register_buffer("half_sizes", torch.tensor(ANCHOR_SIZES, dtype=torch.float32)[:, None] / 2)
        nn.init.constant_(self.score.bias, -4.0)

    def features(self, x: Tensor) -> list[Tensor]:
        """Pyramid maps at strides 8, 16 and 32, each (B, neck, h, w)."""
        x = self.stem(x)
        maps = []
        for stage, lateral in zip(self.stages, self.laterals, strict=True):
            x = stage(x)
            maps.append(lateral(x))
        for i in (1, 0):
            maps[i] = maps[i] + F.interpolate(maps[i + 1], scale_factor=2.0, mode="nearest")
        return [smooth(level) for smooth, level in zip(self.smooth, maps, strict=True)]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (B, N, 1), box distances (B, N, 4) and key point offsets (B, N, 10), both in strides."""
        levels = [self.read_level(level) for level in self.features(x)]
        logits, distances, offsets = (torch.cat(parts, 1) for parts in zip(*levels, strict=True))
        return logits, distances, offsets

    def read_level(self, level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The three outputs of one pyramid map, (B, anchors of the map, 1 | 4 | 10)."""
        level = self.head(level)
        logits, boxes, points = (
            # (B, anchors x k, h, w) -> (B, h x w, anchors, k): row by row, a cell's anchors together
            part(level).float().flatten(2).transpose(1, 2).unflatten(-1, (len(ANCHOR_SIZES), -1))
            for part in (self.score, self.box, self.landmarks)
        )
        distances = boxes.clamp(max=3.0).exp() * self.half_sizes
        return logits.flatten(1, 2), distances.flatten(1, 2), (points * self.half_sizes).flatten(1, 2)


def quality_focal_loss(logits: Tensor, quality: Tensor, *, beta: float = 2.0) -> Tensor:
    """Generalized focal loss (Li et al. 2020, eq. 4): the score aims at the box's overlap; elementwise."""
    cross_entropy = F.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    return cross_entropy * (quality - logits.sigmoid()).abs().pow(beta)


def distance_iou_loss(boxes: Tensor, targets: Tensor) -> Tensor:
    """Distance-IoU loss of boxes (N, 4) (Zheng et al. 2020, eq. 7): (N,)."""
    corners = torch.maximum(boxes[:, 2:], targets[:, 2:]) - torch.minimum(boxes[:, :2], targets[:, :2])
    offset = (boxes[:, :2] + boxes[:, 2:] - targets[:, :2] - targets[:, 2:]) / 2
    return 1 - box_iou(boxes, targets) + offset.square().sum(1) / corners.square().sum(1).clamp(min=1e-6)


class Detector(MuonModule):
    """Quality focal loss on scores, distance IoU on boxes, smooth L1 on key points.

    Args:
        frozen_norm_steps: so many steps before the end batch normalisation stops following the batches, and
            the weights learn to do with the statistics that the exported model will have.
    """

    def __init__(
        self,
        lr: float = 2e-3,
        warmup_steps: int = 50,
        decay_steps: int = 800,
        weight_decay: float = 0.02,
        box_weight: float = 2.0,
        landmark_weight: float = 2.0,
        frozen_norm_steps: int = 400,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.detector = FaceDetector()

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The three losses and their weighted sum."""
        pictures = batch["pictures"]
        anchors = make_anchors(*pictures.shape[-2:])
        faces, targets = assign_faces(anchors, batch["boxes"], batch["states"])
        logits, distances, offsets = self.detector((pictures * 255 - 127.5) / 128)
        chosen, count = targets == 1, (targets == 1).sum().clamp(min=1)
        box_loss, overlap = self._box_loss(distances, anchors, batch["boxes"], faces, chosen)
        quality = torch.zeros_like(targets)
        quality[chosen] = overlap
        score_loss = (quality_focal_loss(logits[..., 0], quality) * (targets >= 0)).sum() / count
        landmark_loss = self._landmark_loss(offsets, anchors, batch, faces, chosen)
        total = score_loss + self.hparams.box_weight * box_loss + self.hparams.landmark_weight * landmark_loss
        return {"loss": total, "score": score_loss, "box": box_loss, "landmark": landmark_loss}

    def _box_loss(
        self, distances: Tensor, anchors: Anchors, boxes: Tensor, faces: Tensor, chosen: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean loss of the chosen anchors, and the overlap each reached."""
        predicted = decode_boxes(distances, anchors)[chosen]
        wanted = torch.gather(boxes, 1, faces[..., None].expand(-1, -1, 4))[chosen]
        overlap = box_iou(predicted, wanted).detach()
        return distance_iou_loss(predicted, wanted).sum() / max(1, len(wanted)), overlap

    def _landmark_loss(
        self, offsets: Tensor, anchors: Anchors, batch: dict[str, Tensor], faces: Tensor, chosen: Tensor
    ) -> Tensor:
        """Smooth L1 in tenths of the face's size."""
        index = faces[..., None].expand(-1, -1, 10)
        wanted = torch.gather(batch["landmarks"].flatten(2), 1, index)[chosen].view(-1, 5, 2)
        boxes = torch.gather(batch["boxes"], 1, faces[..., None].expand(-1, -1, 4))[chosen]
        size = (boxes[:, 2:] - boxes[:, :2]).amax(1).clamp(min=4)[:, None, None]
        error = (decode_landmarks(offsets, anchors)[chosen] - wanted) / (0.1 * size)
        return F.smooth_l1_loss(error, torch.zeros_like(error), reduction="sum") / max(1, wanted.numel())

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        if self.global_step >= self.trainer.max_steps - self.hparams.frozen_norm_steps:
            for layer in self.detector.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.eval()

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        losses = self.losses(batch)
        self.log_dict({f"train/{name}": value for name, value in losses.items()}, prog_bar=True)
        return losses["loss"]

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        losses = self.losses(batch)
        named = {f"val/{name}": value for name, value in losses.items()}
        self.log_dict(named, batch_size=len(batch["pictures"]))
