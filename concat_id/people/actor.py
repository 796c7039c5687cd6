"""One person in every frame of a batch, ready to be drawn: who, in what, doing what, where in the picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from concat_id.people.canvas import Canvas, Window
from concat_id.people.columns import Columns, rows_where
from concat_id.people.geometry import HeadFrame, Point, Rays, rotation_matrix
from concat_id.people.identity import HAIR_STYLES, Identity
from concat_id.people.outfit import HEADWEAR, Outfit
from concat_id.people.performance import Performance

# The body's frame has its origin this far above the head's centre at rest.
NECK_PIVOT = 0.17
SHOWN_UNDER_BEANIE = (
    "bald",
    "buzz cut",
    "side-parted",
    "bob",
    "long straight",
    "long wavy",
    "ponytail",
    "pigtails",
)


@dataclass(frozen=True)
class Actor(Columns):
    """A person in n frames; maps broadcast as (n, 1, 1, 1), colours as (n, 3, 1, 1).

    Attributes:
        row: numbers of the frames on the canvas, (n,).
        hair: the hair style that shows, given the hat, (n, 1, 1, 1) int64.
        body_x, body_y: where the head's centre would be at rest.
    """

    identity: Identity
    outfit: Outfit
    act: Performance
    frame: HeadFrame
    row: Tensor
    hair: Tensor
    body_x: Tensor
    body_y: Tensor

    @property
    def light(self) -> Tensor:
        """Direction of the light, (n, 3)."""
        return self.frame.light

    @property
    def scale(self) -> Tensor:
        """Half a head's height in the picture."""
        return self.frame.scale

    def where(self, condition: Tensor) -> Self | None:
        """The frames for which a (n, 1, 1, 1) condition holds; None if there is none."""
        index = rows_where(condition)
        return None if len(index) == 0 else self if len(index) == len(self.row) else self.rows(index)

    def with_hair(self, *styles: str) -> Self | None:
        """The frames in which one of these hair styles shows."""
        numbers = torch.tensor([HAIR_STYLES.index(style) for style in styles], device=self.row.device)
        return self.where(torch.isin(self.hair, numbers))

    def wearing(self, headwear: str) -> Self | None:
        """The frames with this headwear."""
        return self.where(self.outfit.headwear == HEADWEAR.index(headwear))

    def head_window(self, canvas: Canvas, point: Point, reach: Tensor | float) -> tuple[Window, Rays]:
        """The pixels within reach (head units) of a point of the head, and their rays."""
        x, y, _ = self.frame.project(point)
        half = self.scale * reach
        window = canvas.window(x, y, half, half, self.row)
        return window, Rays(window, self.frame)

    def body_window(
        self,
        canvas: Canvas,
        x: Tensor | float,
        y: Tensor | float,
        half_width: Tensor | float,
        half_height: Tensor | float,
    ) -> tuple[Window, Tensor, Tensor]:
        """The pixels around a point of the body, and their coordinates X and Y in the body's frame."""
        center_x, center_y = self.body_x + self.scale * x, self.body_y + self.scale * (y + NECK_PIVOT)
        window = canvas.window(
            center_x, center_y, self.scale * half_width, self.scale * half_height, self.row
        )
        return (
            window,
            (window.x - self.body_x) / self.scale,
            (window.y - self.body_y) / self.scale - NECK_PIVOT,
        )


def cast_actor(
    identity: Identity, outfit: Outfit, act: Performance, spot: tuple[Tensor, Tensor, Tensor], light: Tensor
) -> Actor:
    """Puts a person into the picture.

    Args:
        spot: x, y and scale of the head at rest, (n, 1, 1, 1) each.
        light: (n, 3).
    """
    scale = spot[2] * act.zoom
    body_x, body_y = spot[0] + act.shift_x * spot[2] * 1.2, spot[1] + act.shift_y
    head_x = body_x - act.roll.sin() * 0.55 * scale + act.yaw.sin() * 0.10 * scale
    head_y = body_y - (1 - act.roll.cos()) * 0.4 * scale - act.pitch * 0.12 * scale
    rotation = rotation_matrix(act.yaw.flatten(), act.pitch.flatten(), act.roll.flatten())
    frame = HeadFrame(head_x, head_y, scale, rotation, light)
    row = torch.arange(len(scale), device=scale.device)
    actor = Actor(identity, outfit, act, frame, row, identity.hair, body_x, body_y)
    return replace(actor, hair=_shown_hair(actor))


def _shown_hair(actor: Actor) -> Tensor:
    """A headscarf hides all hair, a beanie presses it down."""
    hair = actor.identity.hair
    shown = torch.tensor([HAIR_STYLES.index(style) for style in SHOWN_UNDER_BEANIE], device=hair.device)
    pressed = torch.where(torch.isin(hair, shown), hair, HAIR_STYLES.index("side-parted"))
    headwear = actor.outfit.headwear
    hair = torch.where(headwear == HEADWEAR.index("beanie"), pressed, hair)
    return torch.where(headwear == HEADWEAR.index("headscarf"), HAIR_STYLES.index("bald"), hair)
