"""Contact sheets of the synthetic people."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from concat_id.people.labels import CLOTH, HAIR, HAT, LEFT_EYE, MOUTH, NECK, RIGHT_EYE, SKIN
from concat_id.people.performance import EXPRESSIONS, MOTIONS
from concat_id.people.renderer import Rendering, render
from concat_id.people.scene import sample_scenes

GAP = 2
LABEL_COLORS = {
    SKIN: (0.95, 0.75, 0.6), LEFT_EYE: (0.2, 0.6, 1.0), RIGHT_EYE: (0.1, 0.3, 0.8), MOUTH: (0.9, 0.1, 0.2),
    HAIR: (0.6, 0.3, 0.8), HAT: (1.0, 0.9, 0.2), NECK: (0.8, 0.5, 0.3), CLOTH: (0.2, 0.7, 0.4),
}  # fmt: skip


def tile(pictures: Tensor, columns: int) -> Image.Image:
    """Pictures (n, 3, H, W) in [0, 1], row by row."""
    n, _, h, w = pictures.shape
    rows = -(-n // columns)
    sheet = torch.ones(3, rows * (h + GAP), columns * (w + GAP))
    for k, picture in enumerate(pictures):
        top, left = (k // columns) * (h + GAP), (k % columns) * (w + GAP)
        sheet[:, top : top + h, left : left + w] = picture
    return Image.fromarray((sheet * 255).round().byte().permute(1, 2, 0).numpy())


def people_sheet(seed: int, size: int) -> Image.Image:
    """48 people."""
    return tile(render(sample_scenes(seed, 48, num_frames=1), size, size).frames[:, 0], 8)


def person_sheet(seed: int, size: int) -> Image.Image:
    """One person: every expression, then every motion near its end."""
    who = sample_scenes(seed, 1, num_frames=1).identity_seeds
    shots = []
    for names, what in ((EXPRESSIONS, "expressions"), (MOTIONS, "motions")):
        fixed = {"motions": "still"} if what == "expressions" else {"expressions": "smiling"}
        scenes = sample_scenes(
            seed,
            len(names),
            num_frames=17,
            identity_seeds=who.expand(len(names), 1),
            places="studio",
            **{what: list(names)},
            **fixed,
        )
        shots.append(render(scenes, size, size).frames[:, 12])
    return tile(torch.cat(shots), 7)


def group_sheet(seed: int, size: int) -> Image.Image:
    """Two and three people by turns."""
    pairs = render(sample_scenes(seed, 9, num_frames=1, num_people=2), size, size).frames[:, 0]
    threes = render(sample_scenes(seed + 1, 9, num_frames=1, num_people=3), size, size).frames[:, 0]
    return tile(torch.stack([pairs, threes], 1).flatten(0, 1), 6)


def reference_sheet(seed: int, size: int) -> Image.Image:
    """Per row two people: portrait, garment, place, clip, truth laid over it."""
    count = 8
    scenes = sample_scenes(seed, count, num_frames=17)
    portraits = sample_scenes(
        seed + 1, count, num_frames=1, camera="portrait", identity_seeds=scenes.identity_seeds
    )
    clip = render(scenes, size, size)
    columns = [
        render(portraits, size, size).frames[:, 0],
        render(scenes.garments_only(), size, size).frames[:, 0],
        render(scenes.without_people(), size, size).frames[:, 12],
        clip.frames[:, 12],
        overlay(clip, 12),
    ]
    return tile(torch.stack(columns, 1).flatten(0, 1), 10)


def overlay(rendering: Rendering, frame: int) -> Tensor:
    """Labels in colours, landmarks and boxes over one frame of every clip, (B, 3, H, W)."""
    picture, labels = rendering.frames[:, frame] * 0.45, rendering.labels[:, frame]
    for label, color in LABEL_COLORS.items():
        picture = picture + (labels == label).unsqueeze(1) * torch.tensor(color).view(1, 3, 1, 1) * 0.5
    for clip in range(len(picture)):
        _draw_landmarks(
            picture[clip], rendering.landmarks[clip, frame], rendering.landmarks_visible[clip, frame]
        )
        for x0, y0, x1, y1 in rendering.face_boxes[clip, frame].round().long().tolist():
            for rows, columns in (
                ((y0, y0 + 1), (x0, x1)),
                ((y1 - 1, y1), (x0, x1)),
                ((y0, y1), (x0, x0 + 1)),
            ):
                picture[clip, :, slice(*rows), slice(*columns)] = 1.0
            picture[clip, :, y0:y1, x1 - 1 : x1] = 1.0
    return picture.clamp(0, 1)


def _draw_landmarks(picture: Tensor, points: Tensor, visible: Tensor) -> None:
    """White where visible, else yellow."""
    pixels = points.flatten(0, 1).round().long().tolist()
    for (x, y), seen in zip(pixels, visible.flatten().tolist(), strict=True):
        color = torch.tensor([1.0, 1.0, float(seen)]).view(3, 1, 1)
        picture[:, max(y - 1, 0) : y + 1, max(x - 1, 0) : x + 1] = color
