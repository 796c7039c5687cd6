"""The pixels: a batch of frames with their truth, and rectangular patches of them to draw on.

Axes: n frames of the batch, h, w a patch's pixels. Coordinates have the picture's centre at (0, 0), y
pointing up, and half the picture's height as unit. Maps are (n, 1, h, w), colours (n, 3, 1, 1) or
(n, 3, h, w).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

COLOR, LABEL, OWNER = slice(0, 3), slice(3, 4), slice(4, 5)


def coverage(distance: Tensor, pixel: float | Tensor) -> Tensor:
    """Anti-aliased inside of a shape, [0, 1], from the signed distance to its outline."""
    return (0.5 - distance / pixel).clamp_(0, 1)


def triangle_wave(x: Tensor) -> Tensor:
    """Period 1: 1 at whole numbers, 0 half way."""
    return (x - torch.floor(x) - 0.5).abs() * 2


def rgb(color: tuple[float, float, float], like: Tensor) -> Tensor:
    """A constant colour, (1, 3, 1, 1)."""
    return torch.tensor(color, device=like.device).view(1, 3, 1, 1)


class Patch:
    """A rectangle of pixels of each of n frames; what is painted here returns with `Canvas.paste`.

    Attributes:
        data: red, green, blue, label, owner, (n, 5, h, w) float32.
        x, y: coordinates of the pixels' centres, (n, 1, 1, w) and (n, 1, h, 1).
        pixel: a pixel's size in coordinates.
        owner: number of the person being drawn from 1, 0 for the place.
    """

    def __init__(self, data: Tensor, x: Tensor, y: Tensor, pixel: float, owner: int) -> None:
        self.data, self.x, self.y, self.pixel, self.owner = data, x, y, pixel, owner

    @property
    def color(self) -> Tensor:
        """The picture so far, (n, 3, h, w), a view."""
        return self.data[:, COLOR]

    def over(self, color: Tensor, alpha: Tensor, label: int | None = None) -> None:
        """Paint a colour over the picture; where it is mostly opaque, it takes over label and owner."""
        self.color.lerp_(color, alpha)
        if label is not None:
            self.mark(alpha, label)

    def mark(self, alpha: Tensor, label: int) -> None:
        """Set label and owner where the alpha is above one half."""
        solid = alpha > 0.5
        self.data[:, LABEL].masked_fill_(solid, float(label))
        self.data[:, OWNER].masked_fill_(solid, float(self.owner))


class Canvas:
    """A batch of frames: colours, labels, and whose pixel it is."""

    def __init__(self, num_frames: int, height: int, width: int, device: torch.device) -> None:
        self.data = torch.zeros(num_frames, 5, height, width, device=device)
        self.pixel, self.aspect = 2 / height, width / height
        self.owner = 0

    def patch(self, rows: Tensor | None = None) -> Patch:
        """Whole frames. All rows (None): a view, which needs no paste. Else a copy."""
        height, width = self.data.shape[-2:]
        device = self.data.device
        y = 1 - (torch.arange(height, device=device) + 0.5) * self.pixel
        x = (torch.arange(width, device=device) + 0.5) * self.pixel - self.aspect
        data = self.data if rows is None else self.data[rows]
        return Patch(data, x.view(1, 1, 1, -1), y.view(1, 1, -1, 1), self.pixel, self.owner)

    def window(
        self,
        center_x: Tensor,
        center_y: Tensor,
        half_width: Tensor,
        half_height: Tensor,
        rows: Tensor | None = None,
    ) -> Window:
        """The smallest rectangles, of one size for all, that hold what was asked for.

        Args:
            center_x, center_y, half_width, half_height: in coordinates, (n, 1, 1, 1) each.
            rows: frames of the canvas, (n,); None means all.
        """
        center, half = (center_x, center_y), (half_width, half_height)
        return Window(self, Crop(self.data, rows, -self.aspect, 1.0, self.pixel, center, half))


class Crop:
    """Where a rectangle of one size lies in each of n larger pictures.

    Attributes:
        top, left: the first pixel's row and column, (n, 1, 1, 1).
        height, width: in pixels.
    """

    def __init__(
        self,
        source: Tensor,
        rows: Tensor | None,
        left_edge: Tensor | float,
        top_edge: Tensor | float,
        pixel: float,
        center: tuple[Tensor, Tensor],
        half: tuple[Tensor, Tensor],
    ) -> None:
        height, width = source.shape[-2:]
        size = torch.stack([half[0].max(), half[1].max()]).mul(2 / pixel).tolist()
        w, h = min(width, math.ceil(size[0]) + 3), min(height, math.ceil(size[1]) + 3)
        self.left = ((center[0] - left_edge) / pixel - size[0] / 2).floor().long().sub(1).clamp(0, width - w)
        self.top = ((top_edge - center[1]) / pixel - size[1] / 2).floor().long().sub(1).clamp(0, height - h)
        self.height, self.width = h, w
        rows = torch.arange(len(source), device=source.device) if rows is None else rows
        self._rows = rows.view(-1, 1, 1)
        self._lines = self.top.flatten(1).unsqueeze(1) + torch.arange(h, device=source.device)

    def take(self, source: Tensor) -> Tensor:
        """Copies the rectangles out of (N, C, H, W): (n, C, h, w)."""
        return self._segments(source)[self._index(source)]

    def put(self, source: Tensor, values: Tensor) -> None:
        """Writes the rectangles back."""
        self._segments(source)[self._index(source)] = values

    def _segments(self, source: Tensor) -> Tensor:
        """All runs of w pixels, (N, C, H, runs, w): runs are copied ten times faster than pixels."""
        return source.unfold(-1, self.width, 1)

    def _index(self, source: Tensor) -> tuple[Tensor, ...]:
        channel = torch.arange(source.shape[1], device=source.device).view(1, -1, 1)
        return self._rows, channel, self._lines, self.left.flatten(1).unsqueeze(1)


class Window(Patch):
    """A patch of the canvas around something small, copied out; `paste` writes it back."""

    def __init__(self, canvas: Canvas, crop: Crop) -> None:
        self.source, self.crop = canvas.data, crop
        j = crop.left + torch.arange(crop.width, device=crop.left.device)
        i = crop.top + torch.arange(crop.height, device=crop.top.device).view(1, 1, -1, 1)
        x, y = (j + 0.5) * canvas.pixel - canvas.aspect, 1 - (i + 0.5) * canvas.pixel
        super().__init__(crop.take(canvas.data), x, y, canvas.pixel, canvas.owner)

    def paste(self) -> None:
        """Write the pixels back to the canvas."""
        self.crop.put(self.source, self.data)
