"""Tools for painting places: a set of frames of one place, its random numbers, and simple shapes."""

from __future__ import annotations

import torch
from torch import Tensor

from concat_id.people.canvas import Canvas, coverage, rgb
from concat_id.people.dice import Dice
from concat_id.people.palette import Color
from concat_id.people.performance import smoothstep

Value = Tensor | float


class Scenery:
    """The frames of a batch that show one kind of place.

    Args:
        canvas: the frames of this place alone; what is painted appears there at once.
        seeds: the places' seeds, (n,).

    Attributes:
        x, y: coordinates of the pixels in the place, (n, 1, 1, w) and (n, 1, h, 1); x moves with the camera.
        time: position in the clip, [0, 1], (n, 1, 1, 1).
        pixel: a pixel's size.
    """

    def __init__(self, canvas: Canvas, seeds: Tensor, pan: Tensor, time: Tensor) -> None:
        self.canvas = canvas
        self.patch = canvas.patch()
        self.pan, self.time = pan, time
        self.dice = Dice(seeds, "place")
        self.x, self.y = self.patch.x + self.pan, self.patch.y.expand(len(seeds), -1, -1, -1)
        self.pixel = canvas.pixel

    def draw(self, name: str, low: float = 0.0, high: float = 1.0) -> Tensor:
        """A number in [low, high) that belongs to the place, (n, 1, 1, 1)."""
        return self.dice.uniform(name, low, high).view(-1, 1, 1, 1)

    def sign(self, name: str) -> Tensor:
        """-1 or 1, (n, 1, 1, 1)."""
        return self.dice.sign(name).view(-1, 1, 1, 1)

    def color(self, name: str, colors: tuple[Color, ...]) -> Tensor:
        """One of the colours, (n, 3, 1, 1)."""
        table = torch.tensor(colors, device=self.x.device)
        return table[self.dice.choice(name, len(colors))].view(-1, 3, 1, 1)

    def gradient(self, bottom: Color | Tensor, top: Color | Tensor, low: float, high: float) -> Tensor:
        """A colour for every height, (n, 3, h, 1)."""
        return torch.lerp(self._as_color(bottom), self._as_color(top), smoothstep(low, high, self.y))

    def fill(self, color: Color | Tensor, alpha: Tensor | float = 1.0) -> None:
        """Paint all pixels."""
        if isinstance(alpha, float):
            alpha = torch.full_like(self.time, alpha)
        self.patch.color.lerp_(self._as_color(color), alpha)

    def below(self, height: Tensor, color: Color | Tensor) -> None:
        """Paint everything under a skyline."""
        self.fill(color, coverage(self.y - height, self.pixel))

    def ellipse(
        self,
        color: Color | Tensor,
        x: Value,
        y: Value,
        rx: Value,
        ry: Value,
        *,
        opacity: float = 1.0,
        softness: float = 1.0,
    ) -> None:
        """An ellipse; softness is the width of its edge in pixels of a picture 128 high."""
        zero = torch.zeros_like(self.time)
        x, y, rx, ry = (value + zero for value in (x, y, rx, ry))
        edge = max(self.pixel, softness * 2 / 128) if softness > 1 else self.pixel
        window = self.canvas.window(x - self.pan, y, rx + edge, ry + edge)
        distance = torch.hypot((window.x + self.pan - x) / rx, (window.y - y) / ry) - 1
        window.color.lerp_(self._as_color(color), coverage(distance, edge / torch.minimum(rx, ry)) * opacity)
        window.paste()

    def box(self, color: Color | Tensor, left: Value, right: Value, bottom: Value, top: Value) -> None:
        """An upright rectangle."""
        self.fill(color, self.box_alpha(left, right, bottom, top))

    def box_alpha(self, left: Value, right: Value, bottom: Value, top: Value) -> Tensor:
        """Coverage of an upright rectangle, (n, 1, h, w)."""
        across = coverage((self.x - (left + right) / 2).abs() - (right - left) / 2, self.pixel)
        return across * coverage((self.y - (bottom + top) / 2).abs() - (top - bottom) / 2, self.pixel)

    def _as_color(self, color: Color | Tensor) -> Tensor:
        return color if isinstance(color, Tensor) else rgb(color, self.x)
