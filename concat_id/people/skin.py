"""What is painted on the skin of a face: blush, shadow round the eyes, freckles, wrinkles, flat beards."""

from __future__ import annotations

import torch
from torch import Tensor

from concat_id.people.actor import Actor
from concat_id.people.canvas import coverage, rgb
from concat_id.people.dice import Dice
from concat_id.people.identity import BEARDS
from concat_id.people.labels import HAIR
from concat_id.people.performance import smoothstep
from concat_id.people.surface import Surface

NUM_FRECKLES = 14


def bell(x: Tensor, y: Tensor) -> Tensor:
    """A round soft spot: 1 at the origin, 1/e at distance 1."""
    return torch.exp(-(x * x + y * y))


def paint_skin(surface: Surface, actor: Actor) -> None:
    """Everything on the skin that lies under eyes and mouth."""
    _paint_blush(surface, actor)
    for wanted, paint in (
        (actor.identity.freckles, _paint_freckles),
        (actor.identity.mole, _paint_mole),
        (actor.identity.wrinkles, _paint_wrinkles),
        (_has_beard(actor, "stubble", "full beard"), _paint_beard),
        (_has_beard(actor, "goatee"), _paint_goatee),
    ):
        index = wanted.flatten().nonzero().flatten()
        if len(index):
            part = surface.rows(index)
            paint(part, actor.rows(index))
            surface.paste(part)


def beard_color(actor: Actor) -> Tensor:
    """A beard is a little darker than the hair."""
    return actor.identity.hair_color * 0.88


def _has_beard(actor: Actor, *kinds: str) -> Tensor:
    numbers = torch.tensor([BEARDS.index(kind) for kind in kinds], device=actor.row.device)
    return torch.isin(actor.identity.beard, numbers)


def _paint_blush(surface: Surface, actor: Actor) -> None:
    """Both cheeks at once (the face is symmetric), then the hollows of the eyes."""
    identity = actor.identity
    x = surface.x.abs()
    cheeks = bell((x - 0.46) / 0.20, (surface.y + 0.27) / 0.13) * (0.25 + 0.55 * identity.blush)
    surface.paint(identity.skin * rgb((0.98, 0.69, 0.67), x), cheeks * surface.front)
    sockets = bell((x - identity.eye_x) / 0.26, (surface.y - identity.eye_y - 0.05) / 0.24) * 0.45
    surface.paint(identity.skin * rgb((0.84, 0.70, 0.70), x), sockets * surface.front)


def _paint_freckles(surface: Surface, actor: Actor) -> None:
    """Spots whose places belong to the identity."""
    identity = actor.identity
    dice = Dice(identity.seed, "freckles")
    color = identity.skin * rgb((0.68, 0.50, 0.42), identity.skin)
    spots = torch.zeros_like(surface.x)
    for i in range(NUM_FRECKLES):
        side = -1 if i % 2 else 1
        x = dice.uniform(f"x{i}", 0.16, 0.52) * side
        y = dice.uniform(f"y{i}", -0.34, -0.12)
        spots = torch.maximum(
            spots, coverage(torch.hypot(surface.x - x, surface.y - y) - 0.02, surface.pixel * 1.5)
        )
    surface.paint(color, spots * 0.8 * surface.front)


def _paint_mole(surface: Surface, actor: Actor) -> None:
    distance = torch.hypot(surface.x - actor.identity.mole_x, surface.y - actor.identity.mole_y)
    surface.fill(distance - 0.03, rgb((0.22, 0.12, 0.10), surface.x), 1.0)


def _paint_wrinkles(surface: Surface, actor: Actor) -> None:
    identity = actor.identity
    x, y = surface.x.abs(), surface.y
    color = identity.skin * rgb((0.70, 0.55, 0.53), x)
    fold = (x - 0.24 - 0.13 * ((-y - 0.25) / 0.35).clamp(0, 1) - 0.03 * actor.act.smile).abs() - 0.011
    surface.fill(fold, color, smoothstep(-0.22, -0.30, y) * smoothstep(-0.66, -0.52, y) * 0.75, 1.5)
    beside = smoothstep(identity.eye_x + 0.23, identity.eye_x + 0.26, x) * smoothstep(
        identity.eye_x + 0.38, identity.eye_x + 0.33, x
    )
    for k in (-1, 0, 1):
        foot = (y - identity.eye_y - k * (x - identity.eye_x - 0.22) * 0.5 - k * 0.02).abs() - 0.008
        surface.fill(foot, color, beside * 0.6, 1.5)
    for k in (0, 1):
        line = (y - 0.50 - 0.10 * k + 0.25 * x * x).abs() - 0.009
        surface.fill(line, color, smoothstep(0.34, 0.26, x) * 0.55, 1.5)


def _paint_beard(surface: Surface, actor: Actor) -> None:
    """Stubble and the flat part of a full beard, with a hole for the mouth."""
    identity = actor.identity
    x, y = surface.x, surface.y
    edge = -0.16 - 0.22 * torch.exp(-((x / 0.28) ** 2)) + 0.35 * smoothstep(0.45, 0.75, x.abs())
    mouth = torch.hypot(x / (identity.mouth_width + 0.05), (y - identity.mouth_y + 0.01) / 0.115)
    alpha = smoothstep(edge + 0.03, edge - 0.05, y) * smoothstep(0.9, 1.15, mouth)
    full = (identity.beard == BEARDS.index("full beard")).float()
    stubble = identity.skin * 0.55 + identity.hair_color * 0.25
    surface.paint(
        torch.lerp(stubble, beard_color(actor), full),
        alpha * torch.lerp(torch.full_like(full, 0.42), full, full),
        HAIR,
    )


def _paint_goatee(surface: Surface, actor: Actor) -> None:
    identity = actor.identity
    x, y = surface.x, surface.y
    disc = torch.hypot(x / 0.27, (y - identity.mouth_y + 0.16) / 0.27)
    mouth = torch.hypot(x / (identity.mouth_width * 0.95), (y - identity.mouth_y) / 0.10)
    alpha = smoothstep(1.04, 0.94, disc) * smoothstep(0.95, 1.10, mouth) * surface.front
    surface.paint(beard_color(actor), alpha, HAIR)
