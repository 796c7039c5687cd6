"""The mouth and the moustache above it, painted on the surface of the face."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from concat_id.people.actor import Actor
from concat_id.people.canvas import Window, coverage, rgb
from concat_id.people.identity import BEARDS
from concat_id.people.labels import HAIR, MOUTH
from concat_id.people.performance import smoothstep
from concat_id.people.skin import beard_color, bell
from concat_id.people.surface import LABEL, Surface

REACH = 0.56


@dataclass(frozen=True)
class Lips:
    """The mouth's outline over the face: position along it, centre line, edges of opening and lips."""

    along: Tensor
    width: Tensor
    center: Tensor
    opening_top: Tensor
    opening_bottom: Tensor
    top: Tensor
    bottom: Tensor
    thickness: Tensor
    edge: Tensor


def paint_mouth(surface: Surface, window: Window, actor: Actor) -> None:
    """Lips, opening, teeth, tongue, corners; then the moustache."""
    part = surface.crop(window, actor, (0.0, actor.identity.mouth_y - 0.05), REACH)
    lips = _lips(part, actor)
    _paint_lips(part, actor, lips)
    _paint_opening(part, actor, lips)
    _paint_lines(part, actor, lips)
    _paint_moustache(part, actor, lips)
    surface.paste(part)


def _lips(part: Surface, actor: Actor) -> Lips:
    identity, act = actor.identity, actor.act
    smile, opening, round_ = act.smile, act.mouth_open, act.mouth_round
    width = identity.mouth_width * act.mouth_stretch * (1 + 0.10 * smile.clamp(min=0))
    along = part.x / width
    square = (along * along).clamp(max=1.6)
    center = identity.mouth_y + smile * (0.125 * square - 0.05) + 0.02 * round_
    arch = (1 - square).clamp(min=0).sqrt()
    top = center + opening * (0.10 + 0.10 * round_) * arch
    bottom = center - opening * (0.25 + 0.02 * round_) * arch * (1 - 0.15 * round_)
    thickness = identity.lip_thickness * (1 - 0.25 * opening)
    bow = 1 - 0.28 * torch.exp(-((along / 0.22) ** 2))
    return Lips(
        along,
        width,
        center,
        top,
        bottom,
        top + thickness * 0.95 * arch**0.8 * bow,
        bottom - thickness * 1.25 * arch,
        thickness,
        smoothstep(1.04, 0.90, along.abs()),
    )


def lip_color(actor: Actor) -> Tensor:
    """Between the skin's own red and lipstick."""
    skin = actor.identity.skin
    return torch.lerp(
        skin * rgb((0.86, 0.52, 0.52), skin), rgb((0.80, 0.20, 0.28), skin), 0.55 * actor.identity.lip_color
    )


def _paint_lips(part: Surface, actor: Actor, lips: Lips) -> None:
    strength = 0.5 + 0.45 * actor.identity.lip_color
    color = lip_color(actor)
    shape = (
        coverage(torch.maximum(part.y - lips.top, lips.bottom - part.y), part.pixel) * lips.edge * part.front
    )
    part.paint(color, shape * strength)
    part.data[:, LABEL].masked_fill_(shape > 0.5, float(MOUTH))
    glint = torch.exp(
        -(((part.y - lips.opening_bottom + lips.thickness * 0.6) / (0.35 * lips.thickness + 0.006)) ** 2)
        - (lips.along / 0.45) ** 2
    )
    part.paint((color * 1.25).clamp(0, 1), glint * 0.35 * part.front)


def _paint_opening(part: Surface, actor: Actor, lips: Lips) -> None:
    opening = actor.act.mouth_open
    shape = torch.maximum(part.y - lips.opening_top, lips.opening_bottom - part.y)
    inside = coverage(shape, part.pixel) * lips.edge * smoothstep(0.0, 0.06, opening) * part.front
    part.paint(rgb((0.33, 0.06, 0.09), inside), inside, MOUTH)
    tongue = (
        torch.hypot(part.x / (lips.width * 0.62), (part.y - lips.opening_bottom) / (0.11 * opening + 0.02))
        - 1
    )
    part.paint(rgb((0.88, 0.36, 0.40), inside), inside * coverage(tongue, part.pixel * 8))
    gum = lips.opening_top - 0.062 * (0.6 + opening)
    teeth = coverage(gum - part.y, part.pixel) * smoothstep(0.95, 0.85, lips.along.abs())
    part.paint(rgb((0.98, 0.97, 0.95), inside), inside * actor.act.teeth.clamp(0, 1) * teeth)


def _paint_lines(part: Surface, actor: Actor, lips: Lips) -> None:
    """The line between closed lips, the corners, and the shadow under the lower lip."""
    identity, act = actor.identity, actor.act
    skin, x, y = identity.skin, part.x, part.y
    closed = lips.edge * (1 - smoothstep(0.03, 0.10, act.mouth_open))
    part.fill(
        (y - lips.center).abs() - 0.014 - 0.006 * identity.lip_color,
        skin * rgb((0.38, 0.22, 0.22), x),
        closed,
        1.3,
    )
    corner = torch.hypot(x.abs() - lips.width, y - identity.mouth_y - act.smile * 0.075) - 0.02
    part.fill(corner, skin * rgb((0.50, 0.32, 0.32), x), 0.7, 2.0)
    bottom = identity.mouth_y - act.mouth_open * 0.25 - lips.thickness - 0.10
    part.paint(skin * rgb((0.80, 0.64, 0.62), x), bell(x / 0.16, (y - bottom) / 0.035) * 0.45 * part.front)


def _paint_moustache(part: Surface, actor: Actor, lips: Lips) -> None:
    identity = actor.identity
    kinds = torch.tensor([BEARDS.index("moustache"), BEARDS.index("full beard")], device=part.x.device)
    shown = torch.isin(identity.beard, kinds).float()
    if not shown.any():
        return
    along = part.x / (identity.mouth_width * 1.25)
    rise = lips.opening_top - lips.center
    curl = 0.02 * (along.abs() * 3.14).cos().clamp(-1, 0)
    center = identity.mouth_y + 0.095 + rise - 0.10 * along * along + curl
    thickness = (
        0.062 * (1 - along.abs() ** 3).clamp(min=0) ** 0.6 * (1 - 0.35 * torch.exp(-((along / 0.10) ** 2)))
    )
    shape = coverage((part.y - center).abs() - thickness, part.pixel) * (along.abs() < 1) * part.front * shown
    part.paint(beard_color(actor) * 0.9, shape, HAIR)
