"""Torso, neck, arms and the details of each garment."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from concat_id.people.actor import Actor
from concat_id.people.canvas import Canvas, Window, coverage, rgb, triangle_wave
from concat_id.people.geometry import CLOTH_SHADOW, SKIN_SHADOW, Maps, capsule, shade_flat, tube_normal
from concat_id.people.labels import CLOTH, NECK
from concat_id.people.outfit import GARMENTS, PATTERNS
from concat_id.people.palette import COLORS
from concat_id.people.patterns import pattern_alpha
from concat_id.people.performance import smoothstep

ARM_RADIUS = 0.27
BUTTON_CREAM = (0.97, 0.95, 0.90)
BUTTON_DARK = (0.35, 0.30, 0.30)


@dataclass(frozen=True)
class Torso:
    """The torso's shape in a window: coordinates, outline, normals."""

    x: Tensor
    y: Tensor
    outline: Tensor
    normal: Maps
    pixel: Tensor

    @property
    def coverage(self) -> Tensor:
        """[0, 1], (n, 1, h, w)."""
        return coverage(self.outline, self.pixel)


def shape_torso(window: Window, x: Tensor, y: Tensor, actor: Actor) -> Torso:
    """Sloping rounded shoulders over a barrel."""
    shoulder = actor.identity.shoulder_width
    away = x.abs()
    top = -1.22 - 0.34 * smoothstep(0.25, 1.0, away / shoulder) - 0.20 * (away / shoulder).clamp(0, 1.2) ** 4
    half_width = shoulder * (1.0 + 0.05 * smoothstep(-1.6, -2.6, y))
    side, over = away - half_width, y - top
    outline = torch.maximum(over, side) + 0.10 * smoothstep(-0.25, 0, side) * smoothstep(-0.30, 0, over)
    nx = (x / half_width).clamp(-1, 1)
    nx = nx * nx.abs()
    ny = smoothstep(-0.45, 0.0, over) * 0.75
    nz = (1 - nx * nx * 0.85 - ny * ny * 0.6).clamp(min=0.06).sqrt()
    return Torso(x, y, outline, (nx, ny, nz), window.pixel / actor.scale)


def draw_body(canvas: Canvas, actor: Actor, worn: bool = True) -> None:
    """Hood, arms, torso and neck, and the garment's details.

    Args:
        worn: with the person inside; else the garment alone.
    """
    _draw_hood(canvas, actor)
    for side in (-1, 1):
        resting = actor.where((actor.act.waving < 0.5) | (actor.act.wave_side != side))
        if resting is not None:
            _draw_resting_arm(canvas, resting, side)
    _draw_torso(canvas, actor, worn)
    if worn:
        _draw_neck(canvas, actor)
    for kinds, draw in (
        (("t-shirt", "hoodie"), _draw_round_collar),
        (("turtleneck",), _draw_turtleneck),
        (("shirt",), _draw_shirt),
        (("jacket",), _draw_jacket),
        (("hoodie",), _draw_strings),
    ):
        part = _in_garment(actor, *kinds)
        if part is not None:
            draw(canvas, part, worn)


def _in_garment(actor: Actor, *kinds: str) -> Actor | None:
    numbers = torch.tensor([GARMENTS.index(kind) for kind in kinds], device=actor.row.device)
    return actor.where(torch.isin(actor.outfit.garment, numbers))


def neck_width(actor: Actor) -> Tensor:
    """Half the neck's width."""
    return 0.26 + 0.10 * (1 - actor.identity.feminine)


def _turn(actor: Actor) -> Tensor:
    """How far the chest follows the head, as a sideways shift of what is on it."""
    return actor.act.yaw * 0.35


def _draw_hood(canvas: Canvas, actor: Actor) -> None:
    part = _in_garment(actor, "hoodie")
    if part is None:
        return
    width = part.identity.shoulder_width * 0.78
    window, x, y = part.body_window(canvas, 0.0, -1.12, width + 0.05, 0.47)
    u, v = x / width, (y + 1.12) / 0.42
    distance = torch.hypot(u, v)
    normal = (u, v, (1 - distance.clamp(max=1) ** 2).clamp(min=0.05).sqrt())
    color = shade_flat(part.outfit.rgb * 0.86, normal, part.light, CLOTH_SHADOW)
    window.over(color, coverage((distance - 1) * 0.42, window.pixel / part.scale), CLOTH)
    window.paste()


def _draw_resting_arm(canvas: Canvas, actor: Actor, side: int) -> None:
    shoulder = actor.identity.shoulder_width
    window, x, y = actor.body_window(canvas, side * shoulder, -2.9, 0.7, 1.5)
    distance, ex, ey, _ = capsule(
        x, y, (side * (shoulder - 0.14), -1.74), (side * (shoulder + 0.20), -4.2), ARM_RADIUS
    )
    color = shade_flat(actor.outfit.rgb * 0.93, tube_normal(ex, ey, ARM_RADIUS), actor.light, CLOTH_SHADOW)
    window.over(color, coverage(distance, window.pixel / actor.scale), CLOTH)
    window.paste()


def _draw_torso(canvas: Canvas, actor: Actor, worn: bool) -> None:
    shoulder, outfit = actor.identity.shoulder_width, actor.outfit
    window, x, y = actor.body_window(canvas, 0.0, -2.6, shoulder * 1.08, 1.5)
    torso = shape_torso(window, x, y, actor)
    across = torch.asin((x / shoulder).clamp(-1, 1) * 0.96) * shoulder - _turn(actor) * 1.1
    second = pattern_alpha(actor, across.expand_as(torso.outline), y.expand_as(torso.outline), torso.pixel)
    cloth = shade_flat(
        torch.lerp(outfit.rgb, outfit.second_rgb, second), torso.normal, actor.light, CLOTH_SHADOW
    )
    body = torso.coverage
    dress = (outfit.garment == GARMENTS.index("dress")).float()
    cut = torch.minimum(y - (-1.86 + 0.16 * torch.cos(x * 3.4)), (x.abs() - shoulder * 0.52).abs() - 0.10)
    cut = coverage(cut, torso.pixel)
    if worn:
        skin = shade_flat(actor.identity.skin, torso.normal, actor.light, SKIN_SHADOW)
        window.over(skin, body * dress, NECK)
    window.over(cloth, body * (1 - dress * (1 - cut)), CLOTH)
    window.paste()


def _neck_skin(actor: Actor, y: Tensor) -> Tensor:
    """Skin, darker under the chin."""
    skin = actor.identity.skin
    return torch.lerp(skin, skin * rgb((0.80, 0.62, 0.60), skin), smoothstep(-1.42, -0.80, y) * 0.9)


def _draw_neck(canvas: Canvas, actor: Actor) -> None:
    width = neck_width(actor)
    window, x, y = actor.body_window(canvas, 0.0, -1.0, width + 0.30, 0.68)
    flare = 0.175 * smoothstep(-1.0, -1.5, y)
    bottom = -1.27 - 0.22 * (1 - (x / 0.5) ** 2).clamp(min=0).sqrt()  # the curve of a round collar
    distance = torch.maximum(x.abs() - width - flare, torch.maximum(y + 0.4, bottom - y))
    nx = (x / width).clamp(-1, 1) * 0.8
    color = shade_flat(
        _neck_skin(actor, y), (nx, torch.zeros_like(nx), (1 - nx * nx).sqrt()), actor.light, SKIN_SHADOW
    )
    window.over(color, coverage(distance, window.pixel / actor.scale), NECK)
    window.paste()


def _draw_round_collar(canvas: Canvas, actor: Actor, worn: bool) -> None:
    outfit = actor.outfit
    window, x, y = actor.body_window(canvas, 0.0, -1.3, 0.60, 0.35)
    pixel = window.pixel / actor.scale
    ring = (torch.hypot(x / 0.50, (y + 1.26) / 0.24) - 1) * 0.24
    if worn:
        flat = (torch.zeros_like(ring), torch.zeros_like(ring), torch.full_like(ring, 0.8))
        skin = shade_flat(_neck_skin(actor, y), flat, actor.light, SKIN_SHADOW)
        window.over(skin, coverage(ring, pixel) * coverage(y + 1.26, pixel * 6), NECK)
    else:
        window.over(outfit.rgb * 0.45, coverage(ring, pixel), CLOTH)
    patterned = _has_second_color_all_over(actor)
    rim = torch.where(patterned, outfit.second_rgb * 0.85, outfit.rgb * 0.72)
    window.over(rim, coverage(ring.abs() - 0.04, pixel) * coverage(y + 1.22, pixel), CLOTH)
    window.paste()


def _has_second_color_all_over(actor: Actor) -> Tensor:
    plain = torch.tensor(
        [PATTERNS.index(name) for name in ("plain", "star", "heart")], device=actor.row.device
    )
    return ~torch.isin(actor.outfit.pattern, plain)


def _draw_turtleneck(canvas: Canvas, actor: Actor, worn: bool) -> None:
    width = neck_width(actor)
    window, x, y = actor.body_window(canvas, 0.0, -1.2, width + 0.15, 0.40)
    pixel = window.pixel / actor.scale
    bottom = -1.32 - 0.20 * (1 - (x / (width + 0.12)) ** 2).clamp(min=0).sqrt()
    distance = torch.maximum(x.abs() - width - 0.07, torch.maximum(y + 0.92, bottom - y)) - 0.03
    nx = (x / (width + 0.1)).clamp(-1, 1) * 0.9
    color = shade_flat(
        actor.outfit.rgb * 0.95, (nx, torch.zeros_like(nx), (1 - nx * nx).sqrt()), actor.light, CLOTH_SHADOW
    )
    folds = 1 - 0.12 * coverage((triangle_wave(y * 7) - 0.3) * 0.1, pixel)
    window.over(color * folds, coverage(distance, pixel), CLOTH)
    window.paste()


def _draw_shirt(canvas: Canvas, actor: Actor, worn: bool) -> None:
    """Two collar flaps, the button band, buttons."""
    outfit, turn = actor.outfit, _turn(actor)
    window, x, y = actor.body_window(canvas, 0.0, -2.1, 0.75, 1.05)
    pixel = window.pixel / actor.scale
    band = x - turn * 1.1
    below_collar = coverage(y + 1.55, pixel)
    window.over(outfit.rgb * 0.6, coverage(band.abs() - 0.012, pixel) * below_collar * 0.8, CLOTH)
    pale = torch.tensor([list(COLORS).index(name) for name in ("white", "beige")], device=x.device)
    button = torch.where(torch.isin(outfit.color, pale), rgb(BUTTON_DARK, x), rgb(BUTTON_CREAM, x))
    for i in range(4):
        window.over(button, coverage(torch.hypot(band, y + 1.78 + 0.36 * i) - 0.05, pixel), CLOTH)
    if not worn:
        inside = torch.hypot(x / 0.40, (y + 1.26) / 0.14) - 1
        window.over(outfit.rgb * 0.45, coverage(inside * 0.14, pixel), CLOTH)
    for side in (-1, 1):
        flap = (x - turn * 0.3) * side
        top = -1.17 - 0.10 * (1 - flap / 0.5).clamp(0, 1)
        fall = (top - y) / 0.40
        distance = torch.maximum(
            torch.maximum(y - top, 0.03 - flap + 0.10 * fall),
            torch.maximum(flap - 0.50 + 0.16 * fall, -1.62 + 0.42 * (flap - 0.15) - y),
        )
        window.over(outfit.rgb * 0.5, coverage(distance - 0.022, pixel) * 0.7, CLOTH)
        lit = 0.94 + 0.06 * side * torch.sign(actor.light[:, 0]).view(-1, 1, 1, 1)
        window.over(outfit.rgb * lit, coverage(distance, pixel), CLOTH)
    window.paste()


def _draw_jacket(canvas: Canvas, actor: Actor, worn: bool) -> None:
    """Open in front, with lapels; the second colour is worn under it."""
    outfit = actor.outfit
    window, x, y = actor.body_window(canvas, 0.0, -2.2, 0.80, 1.1)
    torso = shape_torso(window, x, y, actor)
    middle = (x - _turn(actor)).abs()
    opening = middle - 0.34 + 0.30 * smoothstep(-1.3, -2.7, y)
    inner = shade_flat(outfit.second_rgb, torso.normal, actor.light, CLOTH_SHADOW)
    window.over(
        inner, coverage(opening, torso.pixel) * torso.coverage * coverage(y + 1.33, torso.pixel * 3), CLOTH
    )
    lapel = torch.maximum(opening.abs() - 0.085 * (1 + 1.2 * smoothstep(-2.0, -1.5, y)), y + 1.20)
    window.over(
        outfit.rgb * 0.70, coverage(lapel, torso.pixel) * coverage(torso.outline - 0.06, torso.pixel), CLOTH
    )
    window.paste()


def _draw_strings(canvas: Canvas, actor: Actor, worn: bool) -> None:
    turn, outfit = _turn(actor), actor.outfit
    window, x, y = actor.body_window(canvas, 0.0, -1.75, 0.70, 0.35)
    white = outfit.color == list(COLORS).index("white")
    color = torch.where(white, outfit.second_rgb, rgb((0.95, 0.95, 0.93), x))
    for side in (-1, 1):
        distance = capsule(x, y, (side * 0.24 + turn * 0.3, -1.46), (side * 0.27 + turn * 0.8, -2.0), 0.03)[0]
        window.over(color, coverage(distance, window.pixel / actor.scale), CLOTH)
    window.paste()


def draw_waving_arm(canvas: Canvas, actor: Actor) -> None:
    """Upper arm and forearm in the sleeve, hand with fingers; beside the face, never over it."""
    part = actor.where(actor.act.waving > 0.5)
    if part is None:
        return
    side, shoulder, angle = (
        part.act.wave_side,
        part.identity.shoulder_width,
        part.act.wave_angle * part.act.wave_side,
    )
    elbow = (side * (shoulder + 0.16), -2.0)
    wrist = (elbow[0] + side * 0.05 + 0.78 * angle.sin(), elbow[1] + 0.78 * angle.cos())
    window, x, y = part.body_window(canvas, side * (shoulder + 0.2), -1.3, 1.0, 1.25)
    pixel = window.pixel / part.scale

    def limb(
        start: tuple, end: tuple, radius: float, color: Tensor, shadow: tuple[float, float, float], label: int
    ) -> None:
        distance, ex, ey, _ = capsule(x, y, start, end, radius)
        window.over(
            shade_flat(color, tube_normal(ex, ey, radius), part.light, shadow),
            coverage(distance, pixel),
            label,
        )

    limb((side * (shoulder - 0.15), -1.72), elbow, 0.29, part.outfit.rgb * 0.95, CLOTH_SHADOW, CLOTH)
    palm = (wrist[0] + 0.30 * angle.sin(), wrist[1] + 0.30 * angle.cos())
    for bend, length in ((-0.50, 0.28), (-0.18, 0.36), (0.12, 0.37), (0.42, 0.32), (1.25, 0.26)):
        finger = angle - bend * side
        tip = (palm[0] + length * finger.sin(), palm[1] + length * finger.cos())
        limb(palm, tip, 0.082, part.identity.skin, SKIN_SHADOW, NECK)
    limb(wrist, palm, 0.19, part.identity.skin, SKIN_SHADOW, NECK)
    limb(elbow, wrist, 0.25, part.outfit.rgb, CLOTH_SHADOW, CLOTH)
    window.paste()
