"""Renders scenes: pictures, and the truth about them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from concat_id.people.actor import Actor, cast_actor
from concat_id.people.body import draw_body, draw_waving_arm
from concat_id.people.canvas import Canvas
from concat_id.people.hairstyles import draw_back_hair, draw_locks, draw_top_hair
from concat_id.people.head import draw_beard, draw_ears, draw_glasses, draw_head
from concat_id.people.headwear import draw_headwear, draw_headwear_behind
from concat_id.people.labels import CLOTH, HEAD_LABELS
from concat_id.people.place import draw_places
from concat_id.people.scene import Scenes
from concat_id.people.truth import face_box, landmarks, landmarks_visible

# Pixels rendered at once on a CPU: intermediate maps then stay in its cache.
CHUNK_PIXELS = 34 * 128 * 128


@dataclass(frozen=True)
class Rendering:
    """Pictures and truth of B clips, T frames, P people from left to right; pixel centres on whole numbers.

    Attributes:
        frames: (B, T, 3, H, W) float32 in [0, 1].
        labels: (B, T, H, W) uint8, see `labels`.
        person_masks, garment_masks, face_masks: (B, T, P, H, W) bool; a face mask is the head without hat.
        face_boxes: x1, y1, x2, y2 in pixels, from brow to chin, (B, T, P, 4).
        landmarks: eyes, nose, mouth corners (the picture's left first), x, y in pixels, (B, T, P, 5, 2).
        landmarks_visible: (B, T, P, 5) bool.
    """

    frames: Tensor
    labels: Tensor
    person_masks: Tensor
    garment_masks: Tensor
    face_masks: Tensor
    face_boxes: Tensor
    landmarks: Tensor
    landmarks_visible: Tensor


@torch.no_grad()
def render(scenes: Scenes, height: int, width: int) -> Rendering:
    """Renders all clips of the scenes at this size, on their device."""
    num_clips, num_frames = len(scenes), scenes.num_frames
    actors = (
        [] if scenes.content == "place" else [cast(scenes, person) for person in range(scenes.num_people)]
    )
    total = num_clips * num_frames
    size = max(1, CHUNK_PIXELS // (height * width)) if scenes.place.device.type == "cpu" else total
    chunks = [
        torch.arange(first, min(first + size, total), device=scenes.place.device)
        for first in range(0, total, size)
    ]
    canvases = [_draw(scenes, actors, rows, height, width) for rows in chunks]
    data = torch.cat([canvas.data for canvas in canvases]) if len(canvases) > 1 else canvases[0].data
    return _with_truth(scenes, actors, data.unflatten(0, (num_clips, num_frames)))


def cast(scenes: Scenes, person: int) -> Actor:
    """One person of every clip in all frames."""
    num_frames = scenes.num_frames
    spot = scenes.spot[:, person].repeat_interleave(num_frames, 0)
    x, y, scale = (spot[:, k].view(-1, 1, 1, 1) for k in range(3))
    return cast_actor(
        scenes.identity.at_frames(person, num_frames),
        scenes.outfit.at_frames(person, num_frames),
        scenes.performance.at_frames(person),
        (x, y, scale),
        scenes.light.repeat_interleave(num_frames, 0),
    )


def _draw(scenes: Scenes, actors: list[Actor], rows: Tensor, height: int, width: int) -> Canvas:
    """The chosen frames, back to front."""
    canvas = Canvas(len(rows), height, width, scenes.place.device)
    clip, time = rows // scenes.num_frames, scenes.time.flatten()[rows].view(-1, 1, 1, 1)
    place = scenes.place[clip] if scenes.content != "garments" else torch.full_like(clip, -1)
    draw_places(canvas, place, scenes.place_seed[clip], scenes.pan[clip].view(-1, 1, 1, 1) * time, time)
    for owner, actor in enumerate(actors, start=1):
        canvas.owner = owner
        part = actor.rows(rows)
        part = replace(part, row=torch.arange(len(rows), device=rows.device))
        if scenes.content == "garments":
            draw_body(canvas, part, worn=False)
        else:
            _draw_person(canvas, part)
    return canvas


def _draw_person(canvas: Canvas, actor: Actor) -> None:
    draw_back_hair(canvas, actor)
    draw_headwear_behind(canvas, actor)
    draw_body(canvas, actor)
    draw_locks(canvas, actor)
    draw_head(canvas, actor)
    draw_ears(canvas, actor)
    draw_beard(canvas, actor)
    draw_top_hair(canvas, actor)
    draw_glasses(canvas, actor)
    draw_headwear(canvas, actor)
    draw_waving_arm(canvas, actor)


def _with_truth(scenes: Scenes, actors: list[Actor], data: Tensor) -> Rendering:
    """Reads the masks off the canvas's labels and owners, (B, T, 5, H, W), and projects the points."""
    num_clips, num_frames, _, height, width = data.shape
    labels, owners = data[:, :, 3].to(torch.uint8), data[:, :, 4].to(torch.uint8)
    people = torch.arange(1, len(actors) + 1, dtype=torch.uint8, device=data.device)
    person = owners.unsqueeze(2) == people.view(1, 1, -1, 1, 1)
    head = torch.isin(labels, torch.tensor(HEAD_LABELS, dtype=torch.uint8, device=data.device))
    points = [landmarks(actor, height, width) for actor in actors]
    visible = [
        landmarks_visible(actor, xy, labels.flatten(0, 1), owners.flatten(0, 1) == owner)
        for owner, (actor, xy) in enumerate(zip(actors, points, strict=True), start=1)
    ]

    def by_person(values: list[Tensor], *size: int) -> Tensor:
        """Joins per-frame values of each person, (B * T, ...), as (B, T, P, ...)."""
        joined = torch.stack(values, 1) if values else data.new_zeros(num_clips * num_frames, 0, *size)
        return joined.unflatten(0, (num_clips, num_frames))

    return Rendering(
        frames=data[:, :, :3].clamp(0, 1),
        labels=labels,
        person_masks=person,
        garment_masks=person & (labels == CLOTH).unsqueeze(2),
        face_masks=person & head.unsqueeze(2),
        face_boxes=by_person([face_box(actor, height, width) for actor in actors], 4),
        landmarks=by_person(points, 5, 2),
        landmarks_visible=by_person(visible, 5).bool(),
    )
