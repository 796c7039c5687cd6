"""Places made by people, and the sea: city at night, cosy room, library, studio, underwater."""

from __future__ import annotations

import torch

from concat_id.people.canvas import coverage
from concat_id.people.performance import smoothstep
from concat_id.people.scenery import Scenery

WALLS = ((0.92, 0.78, 0.66), (0.66, 0.80, 0.78), (0.86, 0.72, 0.78), (0.74, 0.76, 0.88))
PICTURES = ((0.95, 0.6, 0.4), (0.3, 0.6, 0.6), (0.9, 0.8, 0.4))
SOFAS = ((0.80, 0.40, 0.35), (0.30, 0.45, 0.60), (0.45, 0.55, 0.40))
BACKDROPS = (
    (0.98, 0.80, 0.66), (0.70, 0.84, 0.96), (0.82, 0.76, 0.96), (0.76, 0.92, 0.80), (0.99, 0.87, 0.58),
    (0.98, 0.74, 0.78),
)  # fmt: skip
BOOKS = (
    (0.72, 0.22, 0.20), (0.20, 0.36, 0.55), (0.85, 0.70, 0.35), (0.25, 0.48, 0.36), (0.55, 0.32, 0.50),
    (0.88, 0.84, 0.74), (0.35, 0.25, 0.20),
)  # fmt: skip
CORALS = ((0.76, 0.36, 0.40), (0.78, 0.52, 0.24), (0.56, 0.32, 0.64))
WHITE = (0.97, 0.97, 0.95)


def paint_city(s: Scenery) -> None:
    """Two rows of towers with lit windows under the stars."""
    s.fill(s.gradient((0.42, 0.20, 0.45), (0.05, 0.06, 0.20), -0.5, 0.8))
    for i in range(20):
        s.ellipse(
            (1.0, 1.0, 0.95),
            s.draw(f"star x{i}", -1, 1),
            s.draw(f"star y{i}", 0.3, 1),
            0.012,
            0.012,
            opacity=0.8,
        )
    for layer, color in enumerate(((0.11, 0.12, 0.28), (0.06, 0.07, 0.17))):
        _paint_towers(s, layer, color)


def _paint_towers(s: Scenery, layer: int, color: tuple[float, float, float]) -> None:
    """Towers of one width; each has its height and its windows from a table of the place's numbers."""
    width, count = 0.27 - 0.04 * layer, 12
    place = (s.x + 1.5 + s.draw(f"shift{layer}", 0, width)) / width
    number = torch.floor(place).long().clamp(0, count - 1)
    heights = torch.cat([s.draw(f"height{layer} {k}", -0.1, 0.75) for k in range(count)], 1) - 0.25 * layer
    height = heights.flatten(1).gather(1, number.flatten(1)).view_as(place)
    inside = place - torch.floor(place)
    tower = coverage(s.y - height, s.pixel) * coverage(
        (inside - 0.5).abs() * width - width * 0.5 + 0.004, s.pixel
    )
    s.fill(color, tower)
    columns, rows = 4, 24
    u, v = (inside - 0.06) / 0.88 * columns, (height - s.y) / 0.085
    column, row = torch.floor(u).long().clamp(0, columns - 1), torch.floor(v).long().clamp(0, rows - 1)
    lights = torch.rand(count * columns * rows, generator=torch.Generator().manual_seed(layer)).to(s.x.device)
    shift = (s.draw(f"lights{layer}") * count).long()
    lit = lights[(((number + shift) % count) * columns + column) * rows + row] > 0.5
    du, dv = (u - torch.floor(u) - 0.5).abs() - 0.26, (v - torch.floor(v) - 0.5).abs() - 0.28
    pane = coverage(du * width / columns, s.pixel) * coverage(dv * 0.085, s.pixel)
    within = (u > 0) & (u < columns) & (v > 0.3)
    s.fill((1.0, 0.83, 0.42), pane * (lit & within) * tower * 0.9)


def paint_room(s: Scenery) -> None:
    """A wall with a window and a picture, and a sofa."""
    s.fill((s.color("wall", WALLS) * (0.82 + 0.21 * smoothstep(-1, 1, s.y))).clamp(0, 1))
    x = s.sign("side") * 0.62
    s.box(WHITE, x - 0.34, x + 0.34, -0.10, 0.78)
    s.box(s.gradient((0.75, 0.90, 0.98), (0.45, 0.72, 0.95), 0.0, 0.8), x - 0.29, x + 0.29, -0.05, 0.73)
    s.box(WHITE, x - 0.02, x + 0.02, -0.05, 0.73)
    s.box(WHITE, x - 0.30, x + 0.30, 0.32, 0.36)
    x = -s.sign("side") * 0.68
    s.box((0.55, 0.38, 0.27), x - 0.20, x + 0.20, 0.20, 0.62)
    s.box(s.color("picture", PICTURES), x - 0.16, x + 0.16, 0.24, 0.58)
    sofa = ((s.x / 1.1) ** 4 + ((s.y + 0.85) / 0.42) ** 4) ** 0.25 - 1
    s.fill(s.color("sofa", SOFAS), coverage(sofa, s.pixel * 2))


def paint_library(s: Scenery) -> None:
    """Shelves full of books."""
    s.fill((0.36, 0.23, 0.15))
    shelf_height, book_width, per_shelf = 0.42, 0.082, 64
    shelf = torch.floor((s.y + 1) / shelf_height)
    y = s.y + 1 - shelf * shelf_height
    place = (s.x + 2.2 + shelf * 0.031 + s.draw("shift", 0, 1)) / book_width
    book = torch.floor(place)
    number = (book + shelf * 17).long() % per_shelf
    colors = torch.stack([s.color(f"book{k}", BOOKS).flatten(1) for k in range(per_shelf)], 1)  # (n, K, 3)
    tones = torch.cat([s.draw(f"tone{k}", 0.7, 0.95).flatten(1) for k in range(per_shelf)], 1)
    heights = torch.cat([s.draw(f"height{k}", 0.24, 0.34).flatten(1) for k in range(per_shelf)], 1)
    n, _, h, w = number.shape
    flat = number.view(n, -1)
    color = (
        (colors * tones.unsqueeze(-1))
        .gather(1, flat.unsqueeze(-1).expand(-1, -1, 3))
        .transpose(1, 2)
        .view(n, 3, h, w)
    )
    height = heights.gather(1, flat).view(n, 1, h, w)
    spine = coverage(((place - book - 0.5).abs() - 0.45) * book_width, s.pixel)
    s.fill(color, spine * coverage(torch.maximum(0.03 - y, y - height), s.pixel))


def paint_studio(s: Scenery) -> None:
    """A plain backdrop, lighter in the middle."""
    s.fill(
        (s.color("backdrop", BACKDROPS) * (1.03 - 0.16 * ((s.x * 0.8) ** 2 + (s.y - 0.2) ** 2))).clamp(0, 1)
    )


def paint_underwater(s: Scenery) -> None:
    """Light from above, bubbles, corals."""
    s.fill(s.gradient((0.02, 0.22, 0.45), (0.25, 0.78, 0.88), -1.0, 1.0))
    beams = (0.5 + 0.5 * torch.sin((s.x + s.y * 0.5) * 9 + s.time)).clamp(0, 1) ** 3
    s.fill((0.8, 1.0, 1.0), beams * smoothstep(-0.4, 1.0, s.y) * 0.25)
    for i in range(12):
        x, y = s.draw(f"bubble x{i}", -1, 1), (s.draw(f"bubble y{i}", 0, 2) + s.time * 0.5) % 2 - 1
        radius = s.draw(f"bubble r{i}", 0.02, 0.04)
        s.ellipse((0.85, 0.97, 1.0), x, y, radius, radius, opacity=0.35)
        s.ellipse(
            (0.95, 1.0, 1.0), x - radius * 0.3, y + radius * 0.3, radius * 0.35, radius * 0.35, opacity=0.9
        )
    for i in range(5):
        s.ellipse(
            s.color(f"coral{i}", CORALS), -1 + 0.5 * i, -1.0, 0.2, s.draw(f"coral height{i}", 0.25, 0.5)
        )
