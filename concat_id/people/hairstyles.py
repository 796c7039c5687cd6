"""The volumes of each hair style: behind the head, on it, and in front of the shoulders."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from concat_id.people.actor import Actor
from concat_id.people.canvas import Canvas, coverage
from concat_id.people.geometry import HAIR_SHADOW, HeadFrame, Point, capsule, shade_flat, tube_normal
from concat_id.people.identity import HAIR_STYLES
from concat_id.people.labels import HAIR
from concat_id.people.performance import smoothstep

# x, y, radius of the tufts of one pigtail.
PIGTAIL = ((1.02, 0.22, 0.27), (1.15, -0.15, 0.29), (1.17, -0.52, 0.25), (1.13, -0.82, 0.17))


def draw_tuft(
    canvas: Canvas,
    actor: Actor,
    center: Point,
    radii: Point,
    *,
    color: Tensor | None = None,
    shine: float = 0.25,
    ragged: bool = False,
) -> None:
    """An ellipsoid of hair (or of a hair band, where a colour is given)."""
    reach = torch.stack([torch.as_tensor(r, device=actor.row.device) + 0 * actor.scale for r in radii]).amax(
        0
    )
    window, rays = actor.head_window(canvas, center, reach * (1.08 if ragged else 1.0) + 0.02)
    bump = 1.0
    if ragged:
        angle = torch.atan2(rays.y - center[1], rays.x)
        bump = 1 + 0.030 * torch.sin(angle * 15) + 0.02 * torch.sin(angle * 23 + 2)
    hit = rays.ellipsoid(center, radii, bump)
    base = actor.identity.hair_color if color is None else color
    x, y, z = hit.point
    strands = (
        torch.sin(torch.atan2(x - center[0], z - center[2] + 1e-3) * 17 + y * 3) * 0.5
        + torch.sin(x * 31 + y * 7) * 0.3
    )
    tone = rays.shade(base, hit.normal, HAIR_SHADOW, 0.18) * (1 + 0.10 * strands)
    tone = tone + shine * rays.highlight(hit.normal, 14) * (0.25 + base)
    window.over(tone.clamp(0, 1), hit.coverage, HAIR)
    window.paste()


def draw_back_hair(canvas: Canvas, actor: Actor) -> None:
    """What hangs or stands behind head and body."""
    for style, draw in (
        (("long straight", "long wavy"), _draw_long_back),
        (("afro",), _draw_afro),
        (("curly",), _draw_curls_behind),
        (("ponytail",), _draw_ponytail),
        (("pigtails",), _draw_pigtails),
        (("top bun",), _draw_bun),
        (("bob",), _draw_bob),
    ):
        part = actor.with_hair(*style)
        if part is not None:
            draw(canvas, part)


def draw_top_hair(canvas: Canvas, actor: Actor) -> None:
    """What stands on the shell."""
    for style, draw in (
        ("quiff", _draw_quiff),
        ("spiky", _draw_spikes),
        ("mohawk", _draw_mohawk),
        ("curly", _draw_curls),
        ("pigtails", _draw_near_pigtail),
    ):
        part = actor.with_hair(style)
        if part is not None:
            draw(canvas, part)


def _sway(actor: Actor, y: Tensor) -> Tensor:
    """Hanging hair follows the head at the top and the body at the bottom: sideways offset, (n, 1, h, 1)."""
    return (actor.frame.x - actor.body_x) / actor.scale * (1 - smoothstep(-1.0, -2.2, y))


def _waves(actor: Actor) -> Tensor:
    """1 for wavy, 0 for straight hair."""
    return (actor.hair == HAIR_STYLES.index("long wavy")).float()


def _draw_long_back(canvas: Canvas, actor: Actor) -> None:
    identity = actor.identity
    width = identity.head_width + 0.24 + 0.10 * identity.volume
    length = 1.55 + 0.5 * identity.fringe
    window, x, y = actor.body_window(canvas, 0.0, -0.6, width + 0.35, 2.1)
    x = x - _sway(actor, y)
    distance, ex, ey, _ = capsule(x, y, (0.0, 1.06 - width), (0.0, -length), width)
    distance = distance + 0.14 * smoothstep(-0.2, 0.7, y)  # flush with the shell at the top
    distance = distance + _waves(actor) * 0.07 * torch.sin(y * 7 + 1.2 * torch.tanh(x * 4)) * smoothstep(
        0.3, -0.3, y
    )
    nx = (ex / width).clamp(-1, 1)
    nz = (1 - nx * nx).clamp(min=0.05).sqrt()
    strands = torch.sin(x * 26 + torch.sin(y * 4) * 1.5) * smoothstep(0.5, -0.1, y)
    color = shade_flat(
        identity.hair_color * 0.80, (nx, torch.full_like(nx, 0.4), nz * 0.6), actor.light, HAIR_SHADOW, 0.1
    )
    window.over(
        (color * (1 + 0.10 * strands)).clamp(0, 1), coverage(distance, window.pixel / actor.scale), HAIR
    )
    window.paste()


def draw_locks(canvas: Canvas, actor: Actor) -> None:
    """The locks of long hair that fall before the shoulders."""
    part = actor.with_hair("long straight", "long wavy")
    if part is None:
        return
    identity = part.identity
    width = 0.21 + 0.06 * identity.volume
    for side in (-1, 1):
        window, x, y = part.body_window(canvas, side * identity.head_width, -0.9, 0.75, 1.6)
        x = x - _sway(part, y) + _waves(part) * 0.06 * torch.sin(y * 7 + side)
        start = (side * (identity.head_width + 0.0), 0.1)
        distance, ex, ey, along = capsule(
            x, y, start, (side * (identity.head_width - 0.04), -1.50 - 0.5 * identity.fringe), width
        )
        distance = distance + width * 0.55 * smoothstep(0.55, 1.0, along)  # tapers to a tip
        normal = tube_normal(ex.clamp(-width, width), ey.clamp(-width, width) * 0.3, width)
        color = shade_flat(
            identity.hair_color, (normal[0], normal[1] + 0.3, normal[2] * 0.75), part.light, HAIR_SHADOW, 0.12
        )
        strands = torch.sin(x * 34 + torch.sin(y * 4))
        window.over(
            (color * (1 + 0.10 * strands)).clamp(0, 1), coverage(distance, window.pixel / part.scale), HAIR
        )
        window.paste()


def _draw_afro(canvas: Canvas, actor: Actor) -> None:
    identity = actor.identity
    grow = 0.28 + 0.20 * identity.volume
    radii = (identity.head_width + grow, identity.head_height * 0.72 + grow, 1.0 + grow * 0.5)
    draw_tuft(canvas, actor, (0.0, 0.30, -0.12), radii, shine=0.08, ragged=True)


def _draw_curls_behind(canvas: Canvas, actor: Actor) -> None:
    identity = actor.identity
    for i in range(10):
        angle = math.pi * (i / 9 * 1.36 - 0.18)
        x = (identity.head_width + 0.10) * math.cos(angle)
        y = 0.20 + identity.head_height * 0.80 * math.sin(angle)
        draw_tuft(canvas, actor, (x, y, -0.10), (0.33, 0.33, 0.35), shine=0.2)


def _draw_curls(canvas: Canvas, actor: Actor) -> None:
    identity = actor.identity
    for i in range(8):
        angle = math.pi * (i / 7 * 0.84 + 0.08)
        x = identity.head_width * 0.80 * math.cos(angle)
        y = 0.34 + identity.head_height * 0.56 * math.sin(angle)
        draw_tuft(canvas, actor, (x, y, 0.40 - 0.2 * abs(math.cos(angle))), (0.27, 0.25, 0.27))


def _draw_ponytail(canvas: Canvas, actor: Actor) -> None:
    side = actor.identity.parting
    for x, y, radius in ((0.62, 0.50, 0.30), (0.98, 0.28, 0.34), (1.16, -0.12, 0.33), (1.18, -0.52, 0.26)):
        draw_tuft(canvas, actor, (side * x, y, -0.55), (radius, radius * 1.15, 0.30))
    draw_tuft(canvas, actor, (side * 0.58, 0.56, -0.5), (0.16, 0.17, 0.16), color=actor.identity.band_color)


def _draw_pigtails(canvas: Canvas, actor: Actor) -> None:
    for side in (-1, 1):
        _draw_pigtail(canvas, actor, side)


def _draw_near_pigtail(canvas: Canvas, actor: Actor) -> None:
    """Of a turned head, the nearer pigtail hangs before the cheek."""
    for side in (-1, 1):
        near = actor.where(actor.frame.project((side * 1.1, 0.0, -0.2))[2] > 0.25)
        if near is not None:
            _draw_pigtail(canvas, near, side)


def _draw_pigtail(canvas: Canvas, actor: Actor, side: int) -> None:
    for x, y, radius in PIGTAIL:
        draw_tuft(canvas, actor, (side * x, y, -0.2), (radius * 0.9, radius * 1.1, 0.28))
    draw_tuft(canvas, actor, (side * 0.90, 0.36, -0.15), (0.14, 0.15, 0.15), color=actor.identity.band_color)


def _draw_bun(canvas: Canvas, actor: Actor) -> None:
    identity = actor.identity
    size = 0.34 + 0.12 * identity.volume
    draw_tuft(canvas, actor, (0.0, identity.head_height + 0.20, -0.22), (size, size * 0.9, size))
    draw_tuft(
        canvas, actor, (0.0, identity.head_height, -0.15), (0.26, 0.10, 0.30), color=identity.band_color
    )


def _draw_bob(canvas: Canvas, actor: Actor) -> None:
    identity = actor.identity
    radii = (identity.head_width + 0.16 + 0.10 * identity.volume, 1.02, 0.85)
    draw_tuft(canvas, actor, (0.0, -0.10, -0.18), radii, color=identity.hair_color * 0.82, shine=0.1)


def _draw_quiff(canvas: Canvas, actor: Actor) -> None:
    identity = actor.identity
    for x, y, z, rx, ry in (
        (-0.34, 0.82, 0.38, 0.34, 0.24),
        (0.0, 0.88, 0.44, 0.42, 0.30),
        (0.34, 0.86, 0.38, 0.36, 0.27),
    ):
        draw_tuft(canvas, actor, (identity.parting * x, y, z), (rx, ry, 0.36))
    draw_tuft(
        canvas, actor, (identity.parting * 0.1, 1.06, 0.20), (0.46, 0.26 + 0.12 * identity.volume, 0.36)
    )


def _draw_mohawk(canvas: Canvas, actor: Actor) -> None:
    identity = actor.identity
    for i in range(7):
        angle = math.pi * (0.22 + 0.56 * i / 6)
        y, z = identity.head_height * 0.98 * math.sin(angle) + 0.13, 0.72 * math.cos(angle)
        draw_tuft(canvas, actor, (0.0, y, z), (0.17, 0.30 + 0.08 * identity.volume, 0.22))


def _draw_spikes(canvas: Canvas, actor: Actor) -> None:
    identity, frame = actor.identity, actor.frame
    width, height = identity.head_width, identity.head_height
    for i in range(7):
        angle = math.pi * (i / 6 * 0.86 + 0.07)
        root = ((width - 0.05) * math.cos(angle), 0.18 + height * 0.80 * math.sin(angle), 0.25)
        tip = ((width + 0.22) * math.cos(angle), 0.18 + (height + 0.28) * math.sin(angle), 0.05)
        window, rays = actor.head_window(
            canvas, tuple((a + b) / 2 for a, b in zip(root, tip, strict=True)), 0.55
        )
        start, end = (_on_screen(frame, point) for point in (root, tip))
        _, ex, ey, along = capsule(rays.x, rays.y, start, end, 0.0)
        radius = 0.21 * (1 - along * 0.92)
        nx = (ex / radius).clamp(-1, 1)
        nz = (1 - nx * nx).clamp(min=0.05).sqrt()
        color = shade_flat(
            identity.hair_color, (nx, 0.4 * (1 - along) + 0.1, nz * 0.8), actor.light, HAIR_SHADOW, 0.1
        )
        window.over(color, coverage(torch.hypot(ex, ey) - radius, rays.pixel), HAIR)
        window.paste()


def _on_screen(frame: HeadFrame, point: Point) -> tuple[Tensor, Tensor]:
    """A point of the head in units of the head, relative to its centre in the picture."""
    x, y, _ = frame.project(point)
    return (x - frame.x) / frame.scale, (y - frame.y) / frame.scale
