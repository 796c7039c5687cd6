"""The detector's anchors: where they stand, which face each one answers for, how offsets become boxes.

insightface's SCRFD layout: strides 8, 16 and 32, two square anchors per cell (2 and 4 strides wide)
standing on the cell's upper left corner, ordered row by row, anchors of a cell together. Boxes are
distances to the left, top, right and bottom, key points are x, y offsets, both in strides.

Axes: B pictures, N anchors, G faces.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

STRIDES: tuple[int, int, int] = (8, 16, 32)
# Widths of a cell's two anchors, in strides.
ANCHOR_SIZES: tuple[int, int] = (2, 4)
# States of a face slot: to be found; neither rewarded nor punished; empty.
FACE, IGNORED, NOTHING = 1, -1, 0


@dataclass(frozen=True)
class Anchors:
    """Anchors of one picture size: centers (N, 2) and sizes (N,) in px, strides (N,), levels (N,) in 0..5."""

    centers: Tensor
    sizes: Tensor
    strides: Tensor
    levels: Tensor


@lru_cache(maxsize=32)
def make_anchors(height: int, width: int) -> Anchors:
    """All anchors of a picture whose sides are multiples of 32."""
    centers, sizes, strides, levels = [], [], [], []
    for index, stride in enumerate(STRIDES):
        rows, columns = torch.meshgrid(
            torch.arange(height // stride), torch.arange(width // stride), indexing="ij"
        )
        cells = torch.stack([columns, rows], -1).reshape(-1, 1, 2).float() * stride
        centers.append(cells.expand(-1, 2, 2).reshape(-1, 2))
        sizes.append(torch.tensor(ANCHOR_SIZES).repeat(len(cells)) * float(stride))
        strides.append(torch.full((len(cells) * 2,), float(stride)))
        levels.append(torch.tensor([0, 1]).repeat(len(cells)) + 2 * index)
    return Anchors(torch.cat(centers), torch.cat(sizes), torch.cat(strides), torch.cat(levels))


def decode_boxes(distances: Tensor, anchors: Anchors) -> Tensor:
    """Boxes x1, y1, x2, y2 in px, (..., N, 4), from distances in strides (..., N, 4)."""
    distances = distances * anchors.strides[:, None]
    return torch.cat([anchors.centers - distances[..., :2], anchors.centers + distances[..., 2:]], -1)


def decode_landmarks(offsets: Tensor, anchors: Anchors) -> Tensor:
    """Key points in px, (..., N, 5, 2), from offsets in strides (..., N, 10)."""
    points = offsets.unflatten(-1, (5, 2)) * anchors.strides[:, None, None]
    return points + anchors.centers[:, None]


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes (..., 4) and (..., 4), broadcast."""
    overlap = (
        (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    )
    area = (a[..., 2:] - a[..., :2]).clamp(min=0).prod(-1) + (b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1)
    return overlap / (area - overlap).clamp(min=1e-6)


def assign_faces(
    anchors: Anchors, boxes: Tensor, states: Tensor, *, nearest: int = 9
) -> tuple[Tensor, Tensor]:
    """Adaptive training sample selection (Zhang et al. 2020, section 3.2): which anchors answer for which
    face.

    Args:
        anchors: N anchors.
        boxes: faces in px, (B, G, 4).
        states: FACE, IGNORED or NOTHING, (B, G).
        nearest: candidates taken per face and anchor level.

    Returns:
        faces: index of the assigned face, (B, N), long; meaningful where targets are 1.
        targets: 1 responsible for a face, 0 background, -1 left out of the loss, (B, N), float.
    """
    halves = anchors.sizes[:, None] / 2
    anchor_boxes = torch.cat([anchors.centers - halves, anchors.centers + halves], -1)
    iou = box_iou(anchor_boxes[None, None], boxes[:, :, None])
    distance = ((boxes[..., :2] + boxes[..., 2:])[:, :, None] / 2 - anchors.centers).square().sum(-1)
    candidates = _nearest_per_level(distance, anchors.levels, nearest)
    inside = _contains(boxes, anchors.centers)
    count = candidates.sum(-1, keepdim=True)
    mean = (iou * candidates).sum(-1, keepdim=True) / count
    spread = ((iou - mean).square() * candidates).sum(-1, keepdim=True).div(count - 1).sqrt()
    positive = candidates & (iou >= mean + spread) & inside & (states == FACE)[..., None]
    best, faces = torch.where(positive, iou, -1.0).max(1)
    targets = (best >= 0).float()
    ignored = ((states == IGNORED)[..., None] & inside).any(1)
    return faces, torch.where(ignored & (targets == 0), -1.0, targets)


def _nearest_per_level(distance: Tensor, levels: Tensor, nearest: int) -> Tensor:
    """True for the closest anchors of every level, (B, G, N)."""
    chosen = torch.zeros_like(distance, dtype=torch.bool)
    for level in levels.unique():
        index = (levels == level).nonzero().squeeze(1)
        closest = distance[..., index].topk(min(nearest, len(index)), largest=False).indices
        chosen.scatter_(-1, index[closest], True)
    return chosen


def _contains(boxes: Tensor, points: Tensor) -> Tensor:
    """Whether points (N, 2) lie inside boxes (B, G, 4), (B, G, N)."""
    boxes = boxes[:, :, None]
    return ((points > boxes[..., :2]) & (points < boxes[..., 2:])).all(-1)
