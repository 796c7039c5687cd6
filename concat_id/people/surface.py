"""The skin of the head as a canvas of its own: shapes are painted on the surface before it is lit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from concat_id.people.actor import Actor
from concat_id.people.canvas import Crop, Window, coverage
from concat_id.people.geometry import Hit, Rays
from concat_id.people.labels import SKIN
from concat_id.people.performance import smoothstep

ALBEDO, GLOW, MATTE, LABEL = slice(0, 3), slice(3, 4), slice(4, 5), slice(5, 6)


@dataclass(frozen=True)
class Surface:
    """The visible side of a head, pixel by pixel.

    Attributes:
        data: colour (3), added light, dullness and label, (n, 6, h, w).
        at: x and y on the head, in its own frame, and how far the point lies on its front, (n, 3, h, w).
        pixel: a pixel's size on the head, (n, 1, 1, 1).
        origin: where a part was copied from: a crop, or numbers of rows.
    """

    data: Tensor
    at: Tensor
    pixel: Tensor
    origin: Crop | Tensor | None = None

    @property
    def x(self) -> Tensor:
        """To the picture's right when frontal, (n, 1, h, w)."""
        return self.at[:, 0:1]

    @property
    def y(self) -> Tensor:
        """Upwards, (n, 1, h, w)."""
        return self.at[:, 1:2]

    @property
    def front(self) -> Tensor:
        """1 on the front, 0 on the back of the head, (n, 1, h, w)."""
        return self.at[:, 2:3]

    def paint(self, color: Tensor, alpha: Tensor, label: int | None = None) -> None:
        """Paint the skin; where it is mostly opaque, set the label."""
        self.data[:, ALBEDO].lerp_(color, alpha)
        if label is not None:
            self.data[:, LABEL].masked_fill_(alpha > 0.5, float(label))

    def fill(self, distance: Tensor, color: Tensor, strength: Tensor | float, softness: float = 1.0) -> None:
        """Paint the inside of a shape on the front, given the signed distance to its outline."""
        self.paint(color, coverage(distance, self.pixel * softness) * strength * self.front)

    def rows(self, index: Tensor) -> Self:
        """Some of the heads, copied out."""
        return replace(self, data=self.data[index], at=self.at[index], pixel=self.pixel[index], origin=index)

    def crop(self, window: Window, actor: Actor, point: tuple[Tensor | float, Tensor], reach: float) -> Self:
        """The pixels within reach of a point of the front, copied out."""
        spot = (*point, front_depth(actor, *point))
        x, y, _ = actor.frame.project(spot)
        left, top = window.x[..., :1] - window.pixel / 2, window.y[..., :1, :] + window.pixel / 2
        half = (actor.scale * reach, actor.scale * reach)
        crop = Crop(self.data, None, left, top, window.pixel, (x, y), half)
        return replace(self, data=crop.take(self.data), at=crop.take(self.at), origin=crop)

    def paste(self, part: Self) -> None:
        """Write a crop or some rows back."""
        if isinstance(part.origin, Crop):
            part.origin.put(self.data, part.data)
        else:
            self.data[part.origin] = part.data


HEAD_DEPTH = 0.86


def front_depth(actor: Actor, x: Tensor | float, y: Tensor) -> Tensor:
    """z of the head's front at x, y."""
    identity = actor.identity
    return (
        HEAD_DEPTH
        * (1 - (x / identity.head_width) ** 2 - (y / identity.head_height) ** 2).clamp(min=0.05).sqrt()
    )


def hit_head(rays: Rays, actor: Actor) -> tuple[Hit, Tensor]:
    """The egg of the head, and its half width at each height, (n, 1, h, w)."""
    identity = actor.identity
    width, height = identity.head_width, identity.head_height
    first = rays.ellipsoid((0.0, 0.0, 0.0), (width, height, HEAD_DEPTH))
    up = (first.point[1] / height).clamp(-1, 1)
    factor = 1 + identity.jaw * torch.exp(-(((up + 0.62) / 0.30) ** 2))
    factor = factor + identity.cheek * torch.exp(-(((up + 0.28) / 0.28) ** 2))
    factor = factor - identity.taper * (-up).clamp(min=0) ** 2 - 0.05 * up.clamp(min=0)
    return rays.ellipsoid((0.0, 0.0, 0.0), (width * factor, height, HEAD_DEPTH)), width * factor


def bare_surface(hit: Hit, skin: Tensor, pixel: Tensor) -> Surface:
    """Skin without features."""
    front = smoothstep(-0.05, 0.15, hit.point[2])
    n, _, h, w = front.shape
    plain = torch.zeros(n, 2, h, w, device=front.device)
    label = torch.full_like(front, SKIN)
    data = torch.cat([skin.expand(-1, -1, h, w), plain, label], 1)
    return Surface(data, torch.cat([hit.point[0], hit.point[1], front], 1), pixel)
