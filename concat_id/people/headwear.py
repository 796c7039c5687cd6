"""Hats: beanie and headscarf. They belong to the outfit."""

from __future__ import annotations

import torch

from concat_id.people.actor import Actor
from concat_id.people.canvas import Canvas, coverage, triangle_wave
from concat_id.people.geometry import CLOTH_SHADOW, HAIR_SHADOW
from concat_id.people.labels import HAT
from concat_id.people.performance import smoothstep
from concat_id.people.surface import HEAD_DEPTH


def draw_headwear_behind(canvas: Canvas, actor: Actor) -> None:
    """The back of a headscarf."""
    part = actor.wearing("headscarf")
    if part is None:
        return
    window, rays = part.head_window(canvas, (0.0, -0.15, -0.25), 1.28)
    hit = rays.ellipsoid((0.0, -0.15, -0.25), (part.identity.head_width + 0.16, 1.25, 0.9))
    window.over(rays.shade(part.outfit.headwear_rgb * 0.8, hit.normal), hit.coverage, HAT)
    window.paste()


def draw_headwear(canvas: Canvas, actor: Actor) -> None:
    """What covers the head from the front."""
    beanie, headscarf = actor.wearing("beanie"), actor.wearing("headscarf")
    if beanie is not None:
        _draw_beanie(canvas, beanie)
    if headscarf is not None:
        _draw_headscarf(canvas, headscarf)


def _draw_beanie(canvas: Canvas, actor: Actor) -> None:
    identity, color = actor.identity, actor.outfit.headwear_rgb
    window, rays = actor.head_window(canvas, (0.0, 0.40, 0.0), 1.25)
    radii = (identity.head_width + 0.11, identity.head_height + 0.20, HEAD_DEPTH + 0.09)
    hit = rays.ellipsoid((0.0, 0.03, -0.06), radii)
    azimuth = torch.atan2(hit.point[0], hit.point[2] + 0.06)
    edge = torch.lerp(
        torch.full_like(azimuth, 0.44), torch.full_like(azimuth, 0.20), smoothstep(0.6, 1.9, azimuth.abs())
    )
    above = hit.point[1] - edge
    brim = coverage(above - 0.20, rays.pixel)
    ribs = 1 - 0.10 * coverage((triangle_wave(azimuth * 7) - 0.35) * 0.1, rays.pixel)
    tone = rays.shade(color, hit.normal, CLOTH_SHADOW, 0.18) * (1 - 0.18 * brim) * ribs
    window.over(tone, hit.coverage * coverage(-above, rays.pixel), HAT)
    ball = rays.ellipsoid((0.0, identity.head_height + 0.32, -0.05), (0.20, 0.19, 0.20))
    white = torch.full_like(color, 0.95)
    window.over(rays.shade(white, ball.normal, HAIR_SHADOW, 0.18), ball.coverage * actor.outfit.pompom, HAT)
    window.paste()


def _draw_headscarf(canvas: Canvas, actor: Actor) -> None:
    identity, color = actor.identity, actor.outfit.headwear_rgb
    window, rays = actor.head_window(canvas, (0.0, -0.05, 0.0), 1.32)
    hit = rays.ellipsoid(
        (0.0, 0.03, -0.06), (identity.head_width + 0.12, identity.head_height + 0.12, HEAD_DEPTH + 0.09)
    )
    azimuth = torch.atan2(hit.point[0], hit.point[2] + 0.06)
    around = torch.hypot(azimuth / 0.98, (hit.point[1] + 0.20) / 0.74) - 1  # an oval round the face
    folds = 1 + 0.05 * torch.sin(around * 20 + hit.point[1] * 3)
    tone = rays.shade(color, hit.normal, CLOTH_SHADOW, 0.18) * folds
    window.over(tone.clamp(0, 1), hit.coverage * coverage(-around * 0.74, rays.pixel), HAT)
    wrap = rays.ellipsoid((0.0, -1.02, 0.08), (0.64, 0.36, 0.64))
    x, y, _ = wrap.point
    tone = rays.shade(color * 0.93, wrap.normal, CLOTH_SHADOW) * (1 + 0.06 * torch.sin(y * 22 + x * 3))
    window.over(tone.clamp(0, 1), wrap.coverage * smoothstep(-0.86, -0.92, y - 0.12 * (x / 0.5) ** 2), HAT)
    window.paste()
