"""Rendered clips as the curation sees footage: sampled frames, the faces in them, garments, places.

Of the detector, the recogniser and the segmenter that look at real footage, the renderer's truth stands in
for the first and the last. Axes: B clips, J sampled frames, P people, G pictures of a kind, S picture size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from concat_id.people import Rendering, Scenes, render
from train.curation.order import agrees_with_order, order_people
from train.curation.recognition import FaceEmbedder
from train.pictures.reference_pictures import prepare_garments, prepare_references

# By number of people: footage does not have pixels; a face is cut from a sharper rendering of its moment.
SHARP_SIZES = {1: 192, 2: 256, 3: 320}
# Of five that must show for a detector to find the face; a stored reference shows all five.
MIN_LANDMARKS_FOUND = 3
# Of the frame; less is not worth a reference.
MIN_GARMENT_SHARE = 0.02
WORN_GARMENTS = 2
PLACE_VIEWS = 2


@dataclass(frozen=True)
class Sightings:
    """The faces in the sampled frames of the clips, people from left to right.

    Attributes:
        pictures: prepared as references, (B, J, P, 3, S, S) in [0, 1].
        embeddings: of unit length, (B, J, P, D).
        face_x: horizontal middle of the face box as a share of the width, (B, J, P).
        area_shares: of the frame that the face box covers, (B, J, P).
        found: whether a detector would find the face, (B, J, P) bool.
        usable: whether the face shows all landmarks and agrees with the clip's order, (B, J, P) bool.
    """

    pictures: Tensor
    embeddings: Tensor
    face_x: Tensor
    area_shares: Tensor
    found: Tensor
    usable: Tensor


def sample_moments(scenes: Scenes, count: int, generator: Generator) -> Tensor:
    """Different frame numbers of every clip in order of time, (B, count)."""
    shuffled = torch.rand(len(scenes), scenes.num_frames, generator=generator).argsort(1)
    return shuffled[:, :count].sort(1).values.to(scenes.place.device)


def film(scenes: Scenes, moments: Tensor) -> list[Rendering]:
    """The clips at these moments (B, J), one sharp rendering per sampled frame."""
    size = SHARP_SIZES[scenes.num_people]
    return [render(scenes.at(moment), size, size) for moment in moments.unbind(1)]


def see_faces(shots: list[Rendering], embedder: FaceEmbedder, size: int) -> Sightings:
    """What a detector and a recogniser report of the sampled frames; pictures are S = size px."""
    width = shots[0].frames.shape[-1]
    boxes = torch.stack([shot.face_boxes[:, 0] for shot in shots], 1) / width  # (B, J, P, 4)
    visible = torch.stack([shot.landmarks_visible[:, 0] for shot in shots], 1).sum(-1)  # (B, J, P)
    found = visible >= MIN_LANDMARKS_FOUND
    face_x = (boxes[..., 0] + boxes[..., 2]) / 2
    order = order_people(face_x, found)
    sightings = {
        "pictures": _by_person([_prepare_faces(shot, size) for shot in shots]),
        "embeddings": _by_person([_embed_faces(shot, embedder) for shot in shots]),
        "face_x": face_x,
        "area_shares": (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]),
        "found": found,
        "usable": (visible == 5) & agrees_with_order(face_x, found),
    }
    rows = torch.arange(len(order), device=order.device)[:, None]
    return Sightings(
        **{name: value.transpose(1, 2)[rows, order].transpose(1, 2) for name, value in sightings.items()}
    )


def cut_out_garments(
    scenes: Scenes, shots: list[Rendering], size: int, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Pictures of one person's garment, as worn in the first shots and laid flat, and which of them are any.

    Returns:
        (B, G, 3, S, S) in [0, 1], and (B, G) bool.
    """
    flat = scenes.garments_only()
    flat = render(flat.at(torch.zeros(len(flat), dtype=torch.long, device=flat.place.device)), size, size)
    pictures, found = [], []
    for shot in [*shots[:WORN_GARMENTS], flat]:
        masks = shot.garment_masks[:, 0, 0]
        mirrored = torch.rand(len(masks), generator=generator) < 0.5
        pictures.append(prepare_garments(shot.frames[:, 0], masks, size, mirrored))
        found.append(masks.float().mean((1, 2)) >= MIN_GARMENT_SHARE)
    return torch.stack(pictures, 1), torch.stack(found, 1)


def view_places(scenes: Scenes, moments: Tensor, size: int) -> Tensor:
    """The scenes without their people at the first of these moments, (B, G, 3, S, S) in [0, 1]."""
    places = scenes.without_people()
    views = [
        render(places.at(moment), size, size).frames[:, 0] for moment in moments[:, :PLACE_VIEWS].unbind(1)
    ]
    return torch.stack(views, 1)


def measure_quality(frames: Tensor) -> dict[str, Tensor]:
    """Columns of quality by clip, (B,), higher is better; real footage adds aesthetics and optical flow.

    Args:
        frames: (B, T, 3, H, W) in [0, 1].
    """
    still = torch.zeros(len(frames), device=frames.device)
    motion = frames.diff(dim=1).abs().mean((1, 2, 3, 4)) if frames.shape[1] > 1 else still
    return {"sharpness": frames.diff(dim=-1).abs().mean((1, 2, 3, 4)), "motion": motion}


def _prepare_faces(shot: Rendering, size: int) -> list[Tensor]:
    """By person, (B, 3, S, S)."""
    return [
        prepare_references(shot.frames[:, 0], shot.labels[:, 0], points, size)
        for points in shot.landmarks[:, 0].unbind(1)
    ]


def _embed_faces(shot: Rendering, embedder: FaceEmbedder) -> list[Tensor]:
    """By person, (B, D)."""
    return [embedder(shot.frames[:, 0], points) for points in shot.landmarks[:, 0].unbind(1)]


def _by_person(shots: list[list[Tensor]]) -> Tensor:
    """Values (B, ...) by shot and person as (B, J, P, ...)."""
    return torch.stack([torch.stack(people, 1) for people in shots], 1)
