"""Rays through the pixels in a head's own frame, ellipsoids they hit, capsules in the plane, and shading."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from concat_id.people.canvas import Patch, coverage, rgb
from concat_id.people.columns import Columns

Point = tuple[Tensor | float, Tensor | float, Tensor | float]
Maps = tuple[Tensor, Tensor, Tensor]

SKIN_SHADOW = (0.62, 0.45, 0.46)
HAIR_SHADOW = (0.48, 0.42, 0.52)
CLOTH_SHADOW = (0.56, 0.52, 0.60)


@dataclass(frozen=True)
class HeadFrame(Columns):
    """Where the head is and how it is turned.

    The head's x points to the picture's right, y up, z out of the face; the camera looks along -z without
    perspective.

    Attributes:
        x, y, scale: the head's centre and unit length in the picture, (n, 1, 1, 1).
        rotation: head to camera, (n, 3, 3).
        light: direction of the light in the camera's frame, (n, 3).
    """

    x: Tensor
    y: Tensor
    scale: Tensor
    rotation: Tensor
    light: Tensor

    def project(self, point: Point) -> Maps:
        """Picture coordinates and depth (towards the camera, head units) of a point of the head."""
        camera = [sum(self._entry(i, j) * point[j] for j in range(3)) for i in range(3)]
        return self.x + self.scale * camera[0], self.y + self.scale * camera[1], camera[2]

    def _entry(self, i: int, j: int) -> Tensor:
        return self.rotation[:, i, j].view(-1, 1, 1, 1)


def rotation_matrix(yaw: Tensor, pitch: Tensor, roll: Tensor) -> Tensor:
    """Roll after pitch after yaw, (n, 3, 3), from angles in radians, (n,)."""
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    cy, sy, cp, sp, cr, sr = yaw.cos(), yaw.sin(), pitch.cos(), pitch.sin(), roll.cos(), roll.sin()
    about_y = torch.stack([cy, zero, sy, zero, one, zero, -sy, zero, cy], -1).view(-1, 3, 3)
    about_x = torch.stack([one, zero, zero, zero, cp, -sp, zero, sp, cp], -1).view(-1, 3, 3)
    about_z = torch.stack([cr, -sr, zero, sr, cr, zero, zero, zero, one], -1).view(-1, 3, 3)
    return torch.einsum("nij,njk,nkl->nil", about_z, about_x, about_y)


@dataclass(frozen=True)
class Hit:
    """Where rays meet a surface: anti-aliased coverage, points and normals in the head's frame, depth."""

    coverage: Tensor
    point: Maps
    normal: Maps
    depth: Tensor


class Rays:
    """The pixels of a patch as parallel rays in the head's frame: origin + depth * direction."""

    def __init__(self, patch: Patch, frame: HeadFrame) -> None:
        self.pixel = patch.pixel / frame.scale
        self.x, self.y = (patch.x - frame.x) / frame.scale, (patch.y - frame.y) / frame.scale
        rotation, light = frame.rotation, frame.light
        self.rotation = rotation
        columns = [[rotation[:, i, j].view(-1, 1, 1, 1) for j in range(3)] for i in range(3)]
        self.origin = [columns[0][j] * self.x + columns[1][j] * self.y for j in range(3)]
        self.direction = columns[2]
        local = torch.einsum("nij,ni->nj", rotation, light)
        toward_camera = light.new_tensor([0.0, 0.0, 0.75])
        half = torch.einsum("nij,ni->nj", rotation, light * 0.6 + toward_camera)
        half = half / half.norm(dim=1, keepdim=True)
        self.light = [local[:, j].view(-1, 1, 1, 1) for j in range(3)]
        self.half = [half[:, j].view(-1, 1, 1, 1) for j in range(3)]

    def ellipsoid(self, center: Point, radii: Point, bump: Tensor | float = 1.0) -> Hit:
        """The nearer intersection with an ellipsoid.

        Args:
            center, radii: in head units, numbers or maps.
            bump: scales the outline per pixel, for ragged hair.
        """
        o = [(self.origin[i] - center[i]) / radii[i] for i in range(3)]
        d = [self.direction[i] / radii[i] for i in range(3)]
        a, b, c = _dot(d, d), _dot(o, d), _dot(o, o)
        miss = c.sub_(b * b / a)  # squared distance of the ray to the centre, in radii
        outline = (miss.clamp(min=1e-6).sqrt_() - bump) * (radii[0] * radii[1]) ** 0.5
        depth = ((bump * bump - miss).clamp_(min=0).mul_(a).sqrt_() - b).div_(a)
        unit = [torch.addcmul(o[i], depth, d[i]) for i in range(3)]
        normal = _normalised([unit[i] / radii[i] for i in range(3)])
        point = tuple(unit[i].mul_(radii[i]).add_(center[i]) for i in range(3))
        return Hit(coverage(outline, self.pixel), point, normal, depth)

    def lambert(self, normal: Maps) -> Tensor:
        """Cosine between normal and light."""
        return _dot(normal, self.light)

    def facing(self, normal: Maps) -> Tensor:
        """Cosine between normal and view."""
        return _dot(normal, self.direction)

    def highlight(self, normal: Maps, power: float) -> Tensor:
        """Blinn's highlight, [0, 1]."""
        return _dot(normal, self.half).clamp_(min=0).pow_(power)

    def shade(
        self, color: Tensor, normal: Maps, shadow: tuple[float, float, float] = SKIN_SHADOW, rim: float = 0.16
    ) -> Tensor:
        """The surface's colour under the light; see `shade`."""
        return shade(color, self.lambert(normal), self.facing(normal), shadow, rim)


def _dot(u: list[Tensor] | Maps, v: list[Tensor] | Maps) -> Tensor:
    return torch.addcmul(torch.addcmul(u[0] * v[0], u[1], v[1]), u[2], v[2])


def _normalised(u: list[Tensor]) -> Maps:
    inverse = _dot(u, u).add_(1e-9).rsqrt_()
    return tuple(value.mul_(inverse) for value in u)


def shade(
    color: Tensor, lambert: Tensor, facing: Tensor, shadow: tuple[float, float, float], rim: float = 0.16
) -> Tensor:
    """Half-Lambert shading with a hue-shifted shadow and a rim light, [0, 1].

    Args:
        color: the surface's own colour, (n, 3, h | 1, w | 1).
        lambert, facing: cosines of the normal with light and view, (n, 1, h, w).
        shadow: what the colour is multiplied with in full shadow.
    """
    t = (lambert * 0.5 + 0.5).clamp_(0, 1)
    lit = t * t * (3 - 2 * t) * 0.75 + t * 0.25
    dark = rgb(shadow, color)
    edge = (1 - facing.clamp(0, 1)) ** 3 * (0.35 + 0.65 * lit) * rim
    gain = torch.addcmul(dark, 1.10 - dark, lit).add_(edge, alpha=0.6)
    return torch.addcmul(edge * 0.4, color, gain).clamp_(0, 1)


def capsule(
    x: Tensor,
    y: Tensor,
    start: tuple[Tensor | float, Tensor | float],
    end: tuple[Tensor | float, Tensor | float],
    radius: Tensor | float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Signed distance to a capsule, the offset (x, y) from its axis, and the position along it, [0, 1]."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = ((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy + 1e-6)
    along = along.clamp(0, 1)
    ex, ey = x - start[0] - along * dx, y - start[1] - along * dy
    return (ex * ex + ey * ey + 1e-9).sqrt() - radius, ex, ey, along


def tube_normal(ex: Tensor, ey: Tensor, radius: Tensor | float) -> Maps:
    """Normals of a tube from the offset to its axis."""
    nx, ny = ex / radius, ey / radius
    return nx, ny, (1 - nx * nx - ny * ny).clamp(min=0.02).sqrt()


def shade_flat(
    color: Tensor, normal: Maps, light: Tensor, shadow: tuple[float, float, float], rim: float = 0.12
) -> Tensor:
    """`shade` for normals in the camera's frame; light (n, 3)."""
    lights = [light[:, i].view(-1, 1, 1, 1) for i in range(3)]
    lambert = normal[0] * lights[0] + normal[1] * lights[1] + normal[2] * lights[2]
    return shade(color, lambert, normal[2], shadow, rim)
