"""Places under the open sky: beach, forest, park, mountains, snow, sunset, desert."""

from __future__ import annotations

import math

import torch

from concat_id.people.canvas import coverage, triangle_wave
from concat_id.people.geometry import capsule
from concat_id.people.performance import smoothstep
from concat_id.people.scenery import Scenery


def paint_beach(s: Scenery) -> None:
    """Sea, sand, a palm tree, the sun."""
    s.fill(s.gradient((0.98, 0.93, 0.80), (0.32, 0.68, 0.95), -0.1, 1.0))
    sun = s.draw("sun", -0.8, 0.8)
    s.fill((1.0, 0.97, 0.75), torch.exp(-((s.x - sun) ** 2 + (s.y - 0.65) ** 2) / 0.03))
    horizon = s.draw("horizon", -0.06, 0.06)
    s.below(horizon, s.gradient((0.10, 0.62, 0.72), (0.05, 0.42, 0.70), -0.4, 0.0))
    foam = coverage((0.38 - torch.sin(s.x * 5 + s.y * 40 + s.time * 5) * 0.5) * 0.05, s.pixel)
    s.fill((0.75, 0.93, 0.95), foam * coverage(s.y + 0.04 - horizon, s.pixel) * 0.6)
    s.below(
        -0.45 - 0.03 * torch.sin(s.x * 3 + 2 + s.time),
        s.gradient((0.93, 0.80, 0.58), (0.98, 0.90, 0.72), -1.0, -0.4),
    )
    trunk = s.sign("palm") * s.draw("trunk", 0.72, 0.92)
    bent = (s.x - trunk - 0.08 * torch.sin(s.y * 2)).abs() - 0.035
    s.fill((0.50, 0.34, 0.20), coverage(bent, s.pixel) * coverage(s.y - 0.45, s.pixel))
    for i in range(6):
        angle = i * 1.05 + 0.3
        x = s.x - trunk - 0.12 - 0.2 * math.cos(angle)
        y = s.y - 0.48 - 0.12 * math.sin(angle)
        along, across = x * math.cos(angle) + y * math.sin(angle), x * math.sin(angle) - y * math.cos(angle)
        leaf = torch.hypot(along / 0.224, across / 0.047) - 1
        s.fill((0.16, 0.55, 0.28), coverage(leaf, s.pixel * 8))


def paint_forest(s: Scenery) -> None:
    """Trunks, leaves and a mossy floor."""
    s.fill(s.gradient((0.42, 0.62, 0.38), (0.78, 0.90, 0.62), -0.4, 1.0))
    for i in range(9):
        x, depth = -1.1 + 2.2 * i / 8 + s.draw(f"x{i}", -0.1, 0.1), s.draw(f"depth{i}")
        half = 0.08 - 0.03 * depth
        near, far = torch.tensor([[0.30, 0.24, 0.20], [0.40, 0.44, 0.32]], device=x.device).view(
            2, 1, 3, 1, 1
        )
        s.fill(torch.lerp(near, far, depth), coverage((s.x - x).abs() - half, s.pixel))
        _leaves(s, f"leaves{i}", x, 0.55, 0.95, depth)
    floor = s.gradient((0.18, 0.42, 0.20), (0.45, 0.66, 0.30), -1.0, -0.3)
    s.below(-0.5 - 0.03 * torch.sin(s.x * 5), floor)


def _leaves(s: Scenery, name: str, x: torch.Tensor, low: float, high: float, depth: torch.Tensor) -> None:
    near, far = torch.tensor([[0.12, 0.40, 0.22], [0.36, 0.62, 0.30]], device=x.device).view(2, 1, 3, 1, 1)
    rx, ry = s.draw(f"{name} rx", 0.2, 0.36), s.draw(f"{name} ry", 0.2, 0.34)
    s.ellipse(
        torch.lerp(near, far, depth), x, s.draw(f"{name} y", low, high), rx, ry, opacity=0.92, softness=5.0
    )


def paint_park(s: Scenery) -> None:
    """Bushes and a meadow."""
    s.fill(s.gradient((0.72, 0.86, 0.70), (0.52, 0.80, 0.95), -0.2, 1.0))
    for i in range(2):
        x, y = s.draw(f"cloud x{i}", -1, 1), s.draw(f"cloud y{i}", 0.55, 0.9)
        for k, (dx, r) in enumerate(((-0.14, 0.09), (0.0, 0.13), (0.15, 0.08))):
            s.ellipse((0.98, 0.99, 1.0), x + dx, y + 0.01 * k, r * 1.5, r * 0.7, opacity=0.85, softness=3.0)
    for i in range(9):
        x, depth = -1.1 + 2.2 * i / 8 + s.draw(f"x{i}", -0.1, 0.1), s.draw(f"depth{i}")
        _leaves(s, f"bush{i}", x, 0.0, 0.25, depth)
    s.below(-0.12 - 0.03 * torch.sin(s.x * 5), s.gradient((0.35, 0.66, 0.28), (0.58, 0.80, 0.36), -1.0, -0.1))


def paint_mountains(s: Scenery) -> None:
    """Three ranges, the far ones with snow."""
    s.fill(s.gradient((0.95, 0.88, 0.82), (0.38, 0.64, 0.92), -0.2, 1.0))
    for i, (base, color) in enumerate(
        ((0.35, (0.58, 0.64, 0.80)), (0.12, (0.40, 0.50, 0.68)), (-0.15, (0.28, 0.45, 0.42)))
    ):
        frequency, phase = 2.2 + i * 0.7, s.draw(f"range{i}", 0, 9)
        large = triangle_wave(s.x * frequency * 0.5 + phase)
        small = triangle_wave(s.x * frequency * 1.27 + phase * 2)
        top = base + 0.34 * large + 0.10 * small - 0.12
        mountain = coverage(s.y - top, s.pixel)
        s.fill(color, mountain)
        if i < 2:
            snow_line = base + 0.16 + 0.04 * torch.sin(s.x * 30)
            s.fill((0.97, 0.98, 1.0), mountain * coverage(snow_line - s.y, s.pixel) * 0.92)
    s.below(-0.5 - 0.04 * torch.sin(s.x * 4), (0.45, 0.66, 0.36))


def paint_snow(s: Scenery) -> None:
    """Fir trees and falling snow."""
    s.fill(s.gradient((0.86, 0.91, 0.97), (0.55, 0.70, 0.90), -0.2, 1.0))
    for i in range(6):
        x = -1.0 + 0.4 * i + s.draw(f"x{i}", -0.1, 0.1)
        for k in range(3):
            foot = -0.12 + 0.24 * k
            half = (0.22 - 0.05 * k) * ((0.25 + 0.24 * k - s.y) / 0.36).clamp(0, 1)
            frost = smoothstep(-0.25, 0.25, s.y + 0.15 - 0.24 * k) * 0.5
            tone = torch.lerp(s._as_color((0.16, 0.38, 0.34)), s._as_color((0.95, 0.97, 1.0)), frost)
            s.fill(tone, coverage(torch.maximum((s.x - x).abs() - half, foot - s.y), s.pixel))
    s.below(
        -0.12 - 0.05 * torch.sin(s.x * 3.3 + 1), s.gradient((0.88, 0.92, 0.98), (0.98, 0.99, 1.0), -1.0, -0.1)
    )
    for i in range(22):
        fall = s.draw(f"flake y{i}", 0, 2) - s.time * s.draw(f"speed{i}", 0.3, 0.6)
        x = s.draw(f"flake x{i}", -1, 1) + 0.05 * torch.sin(s.time * 4 + i)
        s.ellipse((1.0, 1.0, 1.0), x, fall % 2.0 - 1, 0.018, 0.018, opacity=0.9)


def paint_sunset(s: Scenery) -> None:
    """A low sun over dark water."""
    evening = s.gradient((0.99, 0.55, 0.25), (0.93, 0.35, 0.42), -0.2, 0.35)
    s.fill(torch.lerp(evening, s._as_color((0.30, 0.16, 0.45)), smoothstep(0.2, 1.0, s.y)))
    x = s.draw("sun", -0.7, 0.7)
    s.fill((1.0, 0.86, 0.45), torch.exp(-((s.x - x) ** 2 + (s.y + 0.02) ** 2) / 0.25) * 0.8)
    s.ellipse((1.0, 0.93, 0.65), x, 0.08, 0.22, 0.22)
    for i in range(4):
        cloud = s.draw(f"cloud x{i}", -1, 1), s.draw(f"cloud y{i}", 0.3, 0.8), s.draw(f"cloud r{i}", 0.3, 0.5)
        s.ellipse((0.99, 0.70, 0.52), *cloud, 0.03, opacity=0.6, softness=1.5)
    glitter = torch.exp(-(((s.x - x) / 0.25) ** 2)) * 0.7 * (0.6 + 0.4 * torch.sin(s.y * 70 + s.time * 6))
    s.below(
        torch.full_like(s.time, -0.15),
        torch.lerp(s._as_color((0.30, 0.14, 0.30)), s._as_color((0.95, 0.50, 0.32)), glitter),
    )


def paint_desert(s: Scenery) -> None:
    """Dunes and a cactus."""
    s.fill(s.gradient((0.99, 0.88, 0.66), (0.46, 0.74, 0.93), -0.1, 1.0))
    for i, (height, color) in enumerate(
        ((0.10, (0.88, 0.62, 0.38)), (-0.15, (0.94, 0.70, 0.42)), (-0.5, (0.97, 0.78, 0.50)))
    ):
        phase = 1.0 + 2 * i + s.draw(f"dune{i}", 0, 2)
        s.below(
            height + 0.09 * (torch.sin(s.x * 2.2 + phase) + 0.5 * torch.sin(s.x * 5.06 + phase * 2)), color
        )
    x = s.sign("side") * s.draw("cactus", 0.70, 0.84)
    for ax, ay, bx, by in (
        (0.0, -0.4, 0.0, 0.35),
        (-0.14, 0.0, -0.14, 0.2),
        (0.14, -0.1, 0.14, 0.1),
        (-0.14, 0.0, 0.0, 0.0),
        (0.14, -0.1, 0.0, -0.1),
    ):
        distance = capsule(s.x, s.y, (x + ax, ay), (x + bx, by), 0.055)[0]
        s.fill((0.22, 0.50, 0.28), coverage(distance, s.pixel))
