"""Face boxes and landmarks from the geometry, and whether a landmark can be seen.

Points are in pixels; a pixel's centre lies on whole numbers, as in OpenCV, insightface,
`train.pictures.alignment`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from concat_id.people.actor import Actor
from concat_id.people.labels import FACE_LABELS, HAIR
from concat_id.people.outfit import HEADWEAR
from concat_id.people.surface import HEAD_DEPTH, front_depth

# The face's upper and lower end as shares of half a head's height.
BROW_TO_CHIN = (0.56, -1.02)


def to_pixels(x: Tensor, y: Tensor, height: int, width: int) -> Tensor:
    """Picture coordinates to pixels, (n, ..., 2)."""
    return torch.stack([x * height / 2 + (width - 1) / 2, ((1 - y) * height - 1) / 2], -1)


def face_box(actor: Actor, height: int, width: int) -> Tensor:
    """The box round the visible part of the face, clipped to the picture, (n, 4) pixels."""
    identity = actor.identity
    device = actor.scale.device
    across = torch.linspace(-1.0, 1.0, 9, device=device).view(1, 1, 1, -1)
    up = torch.linspace(*reversed(BROW_TO_CHIN), 9, device=device).view(1, 1, -1, 1)
    x = (
        across
        * identity.head_width
        * _width_at(actor, up)
        * (1 - up.clamp(-1, 1) ** 2).clamp(min=0.02).sqrt()
    )
    y = up * identity.head_height
    depth = HEAD_DEPTH * (1 - (across * 0.98) ** 2).sqrt() * (1 - up.clamp(-1, 1) ** 2).clamp(min=0.0).sqrt()
    px, py, _ = actor.frame.project((x, y.expand_as(x), depth))
    corners = to_pixels(px.flatten(1), py.flatten(1), height, width)
    box = torch.cat([corners.amin(1), corners.amax(1)], -1)
    # The picture ends half a pixel beyond its outermost pixels' centres.
    return box.clamp(min=-0.5).minimum(box.new_tensor([width, height, width, height]) - 0.5)


def _width_at(actor: Actor, up: Tensor) -> Tensor:
    """The egg's width at a height, relative to the ellipsoid's."""
    identity = actor.identity
    factor = (
        1
        + identity.jaw * torch.exp(-(((up + 0.62) / 0.30) ** 2))
        + identity.cheek * torch.exp(-(((up + 0.28) / 0.28) ** 2))
    )
    return factor - identity.taper * (-up).clamp(min=0) ** 2 - 0.05 * up.clamp(min=0)


def _landmark_points(actor: Actor) -> tuple[Tensor, Tensor, Tensor]:
    """Eyes, nose tip, mouth corners on the head, three (n, 5)."""
    identity, act = actor.identity, actor.act
    corner = identity.mouth_width * act.mouth_stretch * (1 + 0.10 * act.smile.clamp(min=0))
    corner_y = identity.mouth_y + act.smile * 0.075
    tip = (torch.zeros_like(corner), identity.nose_y, HEAD_DEPTH + identity.nose_depth)
    points = [
        (-identity.eye_x, identity.eye_y, front_depth(actor, identity.eye_x, identity.eye_y)),
        (identity.eye_x, identity.eye_y, front_depth(actor, identity.eye_x, identity.eye_y)),
        tip,
        (-corner, corner_y, front_depth(actor, corner, corner_y)),
        (corner, corner_y, front_depth(actor, corner, corner_y)),
    ]
    return tuple(torch.cat([point[k].expand_as(corner).flatten(1) for point in points], 1) for k in range(3))


def landmarks(actor: Actor, height: int, width: int) -> Tensor:
    """Left eye, right eye, nose, left and right mouth corner of the picture, (n, 5, 2) pixels."""
    x, y, z = (value.unsqueeze(1).unsqueeze(1) for value in _landmark_points(actor))  # (n, 1, 1, 5)
    px, py, _ = actor.frame.project((x, y, z))
    return to_pixels(px.flatten(1), py.flatten(1), height, width)


def landmarks_visible(actor: Actor, points: Tensor, labels: Tensor, own: Tensor) -> Tensor:
    """Whether the landmarks face the camera, lie in the picture, and show the person's own face, (n, 5) bool.

    Args:
        points: (n, 5, 2) pixels.
        labels: (n, H, W) uint8.
        own: pixels that show this person, (n, H, W) bool.
    """
    identity = actor.identity
    x, y, z = _landmark_points(actor)
    radii = (identity.head_width, identity.head_height, torch.full_like(identity.head_width, HEAD_DEPTH))
    normal = torch.stack(
        [value / radius.flatten(1) ** 2 for value, radius in zip((x, y, z), radii, strict=True)], -1
    )
    normal = torch.nn.functional.normalize(normal, dim=-1)
    facing = torch.einsum("nkj,nj->nk", normal, actor.frame.rotation[:, 2]) > 0.12
    height, width = labels.shape[-2:]
    column, row = points[..., 0].round().long(), points[..., 1].round().long()
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    frame = torch.arange(len(points), device=points.device).unsqueeze(1)
    row, column = row.clamp(0, height - 1), column.clamp(0, width - 1)
    seen = labels[frame, row, column]
    bearded = (identity.beard > 0).flatten(1) & torch.tensor(
        [False, False, False, True, True], device=seen.device
    )
    face = torch.isin(seen, torch.tensor(FACE_LABELS, dtype=torch.uint8, device=seen.device)) | (
        (seen == HAIR) & bearded
    )
    dark = (actor.outfit.headwear == HEADWEAR.index("sunglasses")).flatten(1)
    shaded = dark & torch.tensor([True, True, False, False, False], device=seen.device)
    return facing & inside & own[frame, row, column] & face & ~shaded
