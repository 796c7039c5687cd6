"""Pictures for the face detector: cached pictures placed on canvases at every size, one or two on each.

Axes: B canvases, G = 2 x P face slots, S canvas size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from train.perception.anchors import FACE, IGNORED, NOTHING
from train.perception.picture_cache import Pictures
from train.pictures.alignment import transform_points, warp

# Smallest and largest height of a face, as a share of the canvas.
FACE_SHARES: tuple[float, float] = (0.07, 1.0)
SMALLEST_FACE_PX = 9.0
# Radians; heads already tilt by themselves.
LARGEST_ROLL = 0.2


def compose_canvases(
    front: Pictures, back: Pictures, size: int, generator: torch.Generator, *, details: float = 0.0
) -> dict[str, Tensor]:
    """Place one picture on another on a plain ground.

    Args:
        front, back: N = B pictures each; the one in front may hide the other's faces.
        size: canvas side in px, a multiple of 32.
        details: share of the canvases whose back picture is seen about at its own size, from any part of it.

    Returns:
        `pictures` (B, 3, S, S) in [0, 1], `boxes` (B, G, 4), `landmarks` (B, G, 5, 2), `states` (B, G).
    """
    canvas = _plain_ground(len(front), size, generator)
    back_matrix = _placement(back, size, generator, fill=0.6, details=details)
    front_matrix = _placement(front, size, generator, fill=0.35)
    canvas, _ = _paste(canvas, back, back_matrix)
    canvas, front_area = _paste(canvas, front, front_matrix)
    back_faces = _place_faces(back, back_matrix, size)
    hidden = _mean_inside(front_area, back_faces["boxes"])
    back_faces["states"] = _hide(back_faces["states"], hidden)
    front_faces = _place_faces(front, front_matrix, size)
    faces = {name: torch.cat([front_faces[name], back_faces[name]], 1) for name in front_faces}
    return {"pictures": canvas, **faces}


def _plain_ground(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Black, grey or any colour, (B, 3, S, S)."""
    color = torch.rand(count, 3, generator=generator)
    kind = torch.rand(count, 1, generator=generator)
    color = torch.where(kind < 0.4, 0.0, torch.where(kind < 0.6, 0.5, color))
    return color[:, :, None, None].expand(-1, -1, size, size)


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator) * (high - low) + low


def _placement(
    pictures: Pictures, size: int, generator: torch.Generator, *, fill: float, details: float = 0.0
) -> Tensor:
    """Picture-to-canvas matrices (B, 2, 3).

    A share `details` of the pictures keeps about its own size, any of its points in the canvas's middle; a
    share `fill` of the others covers the canvas about as it stands; of the rest the largest face is brought
    to a height drawn evenly in octaves, at any place.
    """
    count, side = len(pictures), pictures.frames.shape[-1]
    filled = torch.rand(count, generator=generator) < fill
    detailed = torch.rand(count, generator=generator) < details
    whole = size / side * _uniform((count,), 0.95, 1.3, generator)
    scale = torch.where(filled, whole, _face_scale(pictures, size, generator))
    scale = torch.where(detailed, _uniform((count,), 0.45, 1.1, generator), scale)
    anywhere = _uniform((count, 2), 0, side, generator)
    # The anchor point of the picture goes to a drawn place of the canvas.
    anchor = torch.where(filled[:, None], torch.full((count, 2), side / 2), _face_centers(pictures))
    anchor = torch.where(detailed[:, None], anywhere, anchor)
    wobble = torch.where(filled | detailed, 0.08, 0.5)[:, None]
    place = size * (0.5 + wobble * _uniform((count, 2), -0.9, 0.9, generator))
    rotation = _rotation(scale, generator)
    return torch.cat([rotation, (place[:, :, None] - rotation @ anchor[:, :, None])], 2)


def _face_scale(pictures: Pictures, size: int, generator: torch.Generator) -> Tensor:
    """Scales (B,) that bring the largest face to a drawn height."""
    heights = (pictures.boxes[..., 3] - pictures.boxes[..., 1]).amax(1)
    heights = torch.where(heights > 4, heights, 0.5 * pictures.frames.shape[-1])
    low, high = (math.log(share * size) for share in FACE_SHARES)
    return _uniform((len(pictures),), low, high, generator).exp() / heights


def _rotation(scale: Tensor, generator: torch.Generator) -> Tensor:
    """Matrices (B, 2, 2) of this scale (B,), two in five of them turned a little."""
    turned = torch.rand(len(scale), generator=generator) < 0.4
    angle = turned * _uniform((len(scale),), -LARGEST_ROLL, LARGEST_ROLL, generator)
    a, b = scale * angle.cos(), scale * angle.sin()
    return torch.stack([a, -b, b, a], -1).view(-1, 2, 2)


def _face_centers(pictures: Pictures) -> Tensor:
    """Centre of the first face, or of the picture where nobody is, (B, 2)."""
    middle = torch.full((len(pictures), 2), pictures.frames.shape[-1] / 2)
    centers = (pictures.boxes[:, 0, :2] + pictures.boxes[:, 0, 2:]) / 2
    return torch.where(pictures.present[:, :1], centers, middle)


def _paste(canvas: Tensor, pictures: Pictures, matrices: Tensor) -> tuple[Tensor, Tensor]:
    """The canvas with the pictures on it, and where they lie, (B, 1, S, S)."""
    size = canvas.shape[-1]
    frames = pictures.frames.float() / 255
    layers = torch.cat([frames, torch.ones_like(frames[:, :1])], 1)
    warped = warp(layers, matrices, size, size)
    color, area = warped[:, :3], warped[:, 3:]
    return canvas * (1 - area) + color, area


def _place_faces(pictures: Pictures, matrices: Tensor, size: int) -> dict[str, Tensor]:
    """The pictures' faces in canvas coordinates; boxes keep their shape and end at the canvas's edge."""
    scale = torch.linalg.det(matrices[..., :2]).sqrt()[:, None, None]
    centers = transform_points((pictures.boxes[..., :2] + pictures.boxes[..., 2:]) / 2, matrices)
    halves = (pictures.boxes[..., 2:] - pictures.boxes[..., :2]) / 2 * scale
    whole = torch.cat([centers - halves, centers + halves], -1)
    boxes = whole.clamp(-0.5, size - 0.5)
    area = (halves * 2).prod(-1).clamp(min=1e-6)
    seen = (boxes[..., 2:] - boxes[..., :2]).prod(-1) / area
    clear = (seen > 0.65) & (halves.amax(-1) * 2 >= SMALLEST_FACE_PX)
    states = torch.where(pictures.present, torch.where(clear, FACE, IGNORED), NOTHING)
    states = torch.where(seen < 0.15, NOTHING, states)
    return {"boxes": boxes, "landmarks": transform_points(pictures.landmarks, matrices), "states": states}


def _mean_inside(area: Tensor, boxes: Tensor) -> Tensor:
    """Mean of a map (B, 1, S, S) inside boxes (B, G, 4), (B, G), by a 5 x 5 grid of samples."""
    steps = torch.linspace(0.1, 0.9, 5)
    grid = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).view(1, 1, 25, 2)
    points = boxes[:, :, None, :2] + grid * (boxes[:, :, None, 2:] - boxes[:, :, None, :2])
    # Without align_corners -1 and 1 are the map's edges, half a pixel beyond the outermost centres.
    shares = (points + 0.5) / area.shape[-1] * 2 - 1
    return torch.nn.functional.grid_sample(area, shares, align_corners=False)[:, 0].mean(-1)


def _hide(states: Tensor, hidden: Tensor) -> Tensor:
    """States after a share of each face was covered."""
    partly = torch.where((states == FACE) & (hidden > 0.1), IGNORED, states)
    return torch.where(hidden > 0.75, NOTHING, partly)
