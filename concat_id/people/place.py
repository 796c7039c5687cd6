"""Where the people are: twelve places, each with its own variety by seed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from concat_id.people import interiors, landscapes
from concat_id.people.canvas import Canvas
from concat_id.people.columns import rows_where
from concat_id.people.scenery import Scenery

PAINTERS: dict[str, Callable[[Scenery], None]] = {
    "beach": landscapes.paint_beach,
    "forest": landscapes.paint_forest,
    "city at night": interiors.paint_city,
    "cosy room": interiors.paint_room,
    "mountains": landscapes.paint_mountains,
    "snow": landscapes.paint_snow,
    "sunset": landscapes.paint_sunset,
    "studio": interiors.paint_studio,
    "park": landscapes.paint_park,
    "library": interiors.paint_library,
    "desert": landscapes.paint_desert,
    "underwater": interiors.paint_underwater,
}
PLACES = tuple(PAINTERS)
GARMENT_GROUND = (0.955, 0.955, 0.96)


def draw_places(canvas: Canvas, place: Tensor, seeds: Tensor, pan: Tensor, time: Tensor) -> None:
    """Fills every frame with its place.

    Args:
        place: category numbers, (n,); -1 is the plain light ground on which garments are shown.
        seeds: the places' seeds, (n,).
        pan, time: sideways position of the camera, and position in the clip, (n, 1, 1, 1).
    """
    canvas.data[:, :3] = torch.tensor(GARMENT_GROUND, device=place.device).view(1, 3, 1, 1)
    for number, name in enumerate(PLACES):
        index = rows_where(place == number)
        if len(index):
            part = Canvas(len(index), *canvas.data.shape[-2:], canvas.data.device)
            PAINTERS[name](Scenery(part, seeds[index], pan[index], time[index]))
            canvas.data[index] = part.data
