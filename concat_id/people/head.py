"""The head: surface and features, ears, nose, the volume of a beard, glasses."""

from __future__ import annotations

import torch
from torch import Tensor

from concat_id.people.actor import Actor
from concat_id.people.canvas import Canvas, Window, coverage, rgb, triangle_wave
from concat_id.people.eyes import paint_eyes
from concat_id.people.geometry import HAIR_SHADOW, SKIN_SHADOW, Hit, Rays, shade
from concat_id.people.hair import draw_hair_shell
from concat_id.people.identity import BEARDS, GLASSES
from concat_id.people.labels import HAIR, SKIN
from concat_id.people.mouth import paint_mouth
from concat_id.people.outfit import HEADWEAR
from concat_id.people.performance import smoothstep
from concat_id.people.skin import beard_color, paint_skin
from concat_id.people.surface import GLOW, HEAD_DEPTH, LABEL, MATTE, Surface, bare_surface, hit_head

NOSE_SHADOW = (0.62, 0.45, 0.46)
GOLD = (1.0, 0.82, 0.3)


def draw_head(canvas: Canvas, actor: Actor) -> None:
    """Face, nose, beard and hair shell, back to front."""
    window, rays = actor.head_window(canvas, (0.0, 0.06, 0.0), 1.20)
    hit, width = hit_head(rays, actor)
    surface = bare_surface(hit, actor.identity.skin, rays.pixel)
    paint_skin(surface, actor)
    paint_mouth(surface, window, actor)
    paint_eyes(surface, window, actor)
    _draw_surface(window, rays, hit, surface, actor)
    draw_hair_shell(window, rays, hit, width, actor)
    window.paste()
    draw_nose(canvas, actor)


def _draw_surface(window: Window, rays: Rays, hit: Hit, surface: Surface, actor: Actor) -> None:
    """Light the painted skin and lay it over the picture."""
    color = shade(surface.data[:, :3], rays.lambert(hit.normal), rays.facing(hit.normal), SKIN_SHADOW, 0.16)
    chin = 1 - 0.22 * smoothstep(-0.55, -1.0, hit.point[1])
    color = color * chin + 0.07 * rays.highlight(hit.normal, 18) * (1 - surface.data[:, MATTE])
    identity = actor.identity
    x = (hit.point[0] + actor.light[:, 0].view(-1, 1, 1, 1) * 0.07) / identity.nose_width
    y = (hit.point[1] - identity.nose_y + identity.nose_height) / 0.06
    below_nose = torch.exp(-(x * x) - y * y) * surface.front
    color = color * (1 - rgb((0.16, 0.26, 0.26), color) * below_nose)
    color = color + surface.data[:, GLOW].clamp(0, 1) * 0.95
    window.color.lerp_(color.clamp_(0, 1), hit.coverage)
    window.mark(hit.coverage, SKIN)
    solid = hit.coverage > 0.5
    window.data[:, 3:4] = torch.where(solid, surface.data[:, LABEL], window.data[:, 3:4])


def draw_ears(canvas: Canvas, actor: Actor) -> None:
    """Both ears; the head hides what lies behind it."""
    identity = actor.identity
    for side in (-1, 1):
        size = identity.ear_size
        x, z = side * (identity.head_width - 0.01), -0.08
        window, rays = actor.head_window(canvas, (x, identity.ear_y - size * 0.2, z), size * 1.7 + 0.05)
        head, _ = hit_head(rays, actor)
        ear = rays.ellipsoid((x, identity.ear_y, z), (size * 0.62, size * 1.15, size * 0.5))
        hollow = (
            torch.hypot(ear.point[0] - side * (identity.head_width + 0.02), ear.point[1] - identity.ear_y)
            / size
        )
        color = torch.lerp(
            identity.skin,
            identity.skin * rgb((0.82, 0.60, 0.58), hollow),
            smoothstep(0.75, 0.2, hollow) * 0.6,
        )
        window.over(rays.shade(color, ear.normal), ear.coverage * _in_front(ear, head), SKIN)
        drop = rays.ellipsoid(
            (side * (identity.head_width + 0.06), identity.ear_y - size * 1.25, -0.02), (0.07, 0.07, 0.07)
        )
        gold = rays.shade(rgb(GOLD, hollow), drop.normal) + 0.5 * rays.highlight(drop.normal, 20)
        window.over(gold.clamp(0, 1), drop.coverage * identity.earrings * _in_front(drop, head), SKIN)
        window.paste()


def _in_front(hit: Hit, other: Hit) -> Tensor:
    """1 where the first surface is nearer or the second is absent."""
    return 1 - other.coverage * smoothstep(0.02, -0.02, hit.depth - other.depth)


def draw_nose(canvas: Canvas, actor: Actor) -> None:
    """Bridge, nostrils, tip."""
    identity = actor.identity
    y, width, height, depth = identity.nose_y, identity.nose_width, identity.nose_height, identity.nose_depth
    window, rays = actor.head_window(canvas, (0.0, y + 0.06, HEAD_DEPTH), 0.40)
    skin, warm = identity.skin, identity.skin * rgb((1.0, 0.70, 0.68), identity.skin)
    head, _ = hit_head(rays, actor)
    bridge = rays.ellipsoid((0.0, y + 0.16, HEAD_DEPTH - 0.10), (width * 0.45, 0.24, 0.12 + 0.4 * depth))
    fade = smoothstep(0.10, 0.0, bridge.point[1] - y - 0.16) * 0.55 * (identity.bridge > 0.35)
    window.over(
        rays.shade(skin, bridge.normal, (0.66, 0.50, 0.50), 0.05),
        bridge.coverage * fade * _in_front(bridge, head),
        SKIN,
    )
    flesh = torch.lerp(skin, warm, 0.28)
    for side in (-1, 1):
        wing = rays.ellipsoid(
            (side * width * 0.72, y - 0.015, HEAD_DEPTH - 0.06), (width * 0.48, height * 0.70, 0.12)
        )
        color = shade(flesh, rays.lambert(wing.normal) - 0.1, rays.facing(wing.normal), NOSE_SHADOW, 0.05)
        window.over(
            color, wing.coverage * smoothstep(0.06, -0.04, wing.point[1] - y) * _in_front(wing, head), SKIN
        )
    tip = rays.ellipsoid((0.0, y, HEAD_DEPTH - 0.03), (width * 0.80, height, 0.06 + depth))
    color = rays.shade(flesh, tip.normal, NOSE_SHADOW, 0.06) + 0.20 * rays.highlight(tip.normal, 26)
    shape = tip.coverage * _in_front(tip, head) * smoothstep(height, -height * 0.1, tip.point[1] - y)
    window.over(color.clamp(0, 1), shape, SKIN)
    window.paste()


def draw_beard(canvas: Canvas, actor: Actor) -> None:
    """A full beard stands out from the chin."""
    bearded = actor.where(actor.identity.beard == BEARDS.index("full beard"))
    if bearded is None:
        return
    identity, act = bearded.identity, bearded.act
    window, rays = bearded.head_window(canvas, (0.0, -0.66, 0.12), 0.95)
    radii = (identity.head_width * (0.80 + identity.jaw), 0.50 + 0.14 * identity.volume, 0.66)
    hit = rays.ellipsoid((0.0, -0.66, 0.08), radii)
    x, y, z = hit.point
    edge = identity.mouth_y - 0.13 - 0.12 * act.mouth_open + 0.04 * (x / 0.4) ** 2
    alpha = hit.coverage * smoothstep(edge, edge - 0.10, y) * smoothstep(-0.1, 0.1, z)
    lips = torch.hypot(
        x / (identity.mouth_width * act.mouth_stretch * 1.08),
        (y - identity.mouth_y + act.mouth_open * 0.13) / (0.10 + act.mouth_open * 0.17),
    )
    color = rays.shade(beard_color(bearded), hit.normal, HAIR_SHADOW, 0.1)
    color = color * (1 + 0.09 * torch.sin(x * 30) * torch.sin(y * 9 + x * 4))
    window.over(color.clamp(0, 1), alpha * smoothstep(0.95, 1.08, lips), HAIR)
    window.paste()


def draw_glasses(canvas: Canvas, actor: Actor) -> None:
    """Spectacles of the identity, or sunglasses of the outfit."""
    dark = actor.outfit.headwear == HEADWEAR.index("sunglasses")
    wearer = actor.where((actor.identity.glasses > 0) | dark)
    if wearer is None:
        return
    identity = wearer.identity
    window, rays = wearer.head_window(canvas, (0.0, identity.eye_y, HEAD_DEPTH * 0.6), 1.1)
    plane = HEAD_DEPTH + 0.10
    depth = (plane - rays.origin[2]) / rays.direction[2].clamp(min=0.2)
    x, y = rays.origin[0] + depth * rays.direction[0], rays.origin[1] + depth * rays.direction[1]
    dark = (wearer.outfit.headwear == HEADWEAR.index("sunglasses")).float()
    radius = torch.maximum(identity.eye_width, identity.eye_height) + 0.055 + 0.045 * dark
    lens = _lens_distance(
        x.abs() - identity.eye_x * 1.06, y - identity.eye_y * 1.05 + 0.01, radius, identity.glasses, dark
    )
    bridge = torch.maximum(
        (y - identity.eye_y - 0.05).abs() - 0.024, x.abs() - (identity.eye_x * 1.06 - radius)
    )
    outer = identity.eye_x * 1.06 + radius
    temples = torch.maximum(
        (y - identity.eye_y - 0.06).abs() - 0.024,
        torch.maximum(x.abs() - identity.head_width * 0.92, outer - x.abs()),
    )
    wire = torch.minimum(torch.minimum(lens.abs() - 0.028, bridge), temples)
    glass = coverage(lens, rays.pixel)
    black = rgb((0.08, 0.08, 0.10), x) + 0.16 * smoothstep(-0.2, 0.3, y - x * 0.6)
    window.over(black, glass * 0.95 * dark, SKIN)
    sheen = 0.06 + 0.12 * coverage((triangle_wave(x * 1.2 + y * 0.9) - 0.2) * 0.3, rays.pixel)
    window.color.lerp_(torch.ones_like(black), glass * sheen * (1 - dark))
    frame_color = torch.where(dark > 0, rgb((0.10, 0.10, 0.12), x), identity.glasses_color)
    window.over(frame_color, coverage(wire, rays.pixel), SKIN)
    window.paste()


def _lens_distance(x: Tensor, y: Tensor, radius: Tensor, glasses: Tensor, dark: Tensor) -> Tensor:
    """Signed distance to the rims, round or square; sunglasses are square."""
    round_rim = torch.hypot(x, y) - radius
    qx, qy = x.abs() - radius * 1.02 + 0.08, y.abs() - radius * 0.80 + 0.08
    square_rim = torch.hypot(qx.clamp(min=0), qy.clamp(min=0)) - 0.08 + torch.maximum(qx, qy).clamp(max=0)
    return torch.where((glasses == GLASSES.index("round")) & (dark == 0), round_rim, square_rim)
