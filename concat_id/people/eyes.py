"""Eyes, lashes and brows, painted on the surface of the face."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from concat_id.people.actor import Actor
from concat_id.people.canvas import Window, coverage, rgb
from concat_id.people.geometry import capsule
from concat_id.people.labels import LEFT_EYE, RIGHT_EYE
from concat_id.people.performance import smoothstep
from concat_id.people.surface import GLOW, LABEL, MATTE, Surface

REACH = 0.58
# Root along the lid, and the tip's offset outwards and upwards.
LASHES = ((0.96, 0.10, 0.070), (0.82, 0.08, 0.10))
PUPIL_COLOR = (0.03, 0.02, 0.03)
LASH_COLOR = (0.08, 0.05, 0.06)


@dataclass(frozen=True)
class Lids:
    """An eye's opening: coordinates along and across it, and its upper and lower edge."""

    along: Tensor
    across: Tensor
    upper: Tensor
    lower: Tensor
    openness: Tensor

    @property
    def inside(self) -> Tensor:
        """1 between the corners of the eye, else 0."""
        return (self.along.abs() < 1).float()


def paint_eyes(surface: Surface, window: Window, actor: Actor) -> None:
    """Both eyes with their brows."""
    for side, label, openness in ((-1, LEFT_EYE, actor.act.left_eye), (1, RIGHT_EYE, actor.act.right_eye)):
        part = surface.crop(window, actor, (side * actor.identity.eye_x, actor.identity.eye_y + 0.20), REACH)
        lids = _lids(part, actor, side, openness.clamp(min=0))
        white = _paint_ball(part, actor, lids, label)
        _paint_iris(part, actor, lids, white, side)
        _paint_lids(part, actor, lids)
        _paint_brow(part, actor, side)
        surface.paste(part)


def _lids(part: Surface, actor: Actor, side: int, openness: Tensor) -> Lids:
    identity, act = actor.identity, actor.act
    x, y = (part.x - side * identity.eye_x) * side, part.y - identity.eye_y
    c, s = identity.eye_tilt.cos(), identity.eye_tilt.sin()
    x, y = x * c + y * s, y * c - x * s
    along = x / identity.eye_width
    arc = (1 - along * along).clamp_(min=0)
    arch = arc**0.62
    open_part = openness.clamp(max=1)
    shut = 1 - open_part
    lift = shut * act.smile.clamp(min=0) * 0.17 * arc  # a smile turns shut lids into arcs
    slant = act.brow_slant * 0.085 * along * arch * open_part
    upper = identity.eye_height * (1.05 * openness - 0.30 * shut) * arch + lift - slant
    below = 0.92 * open_part * (1 - 0.5 * act.squint) + 0.30 * shut
    return Lids(along, y, upper, lift - identity.eye_height * below * arc**0.8, openness)


def _paint_ball(part: Surface, actor: Actor, lids: Lids, label: int) -> Tensor:
    """The white of the eye. Returns its coverage."""
    distance = torch.maximum(lids.across - lids.upper, lids.lower - lids.across)
    front = part.front * lids.inside
    part.data[:, LABEL].masked_fill_(coverage(distance - 0.03, part.pixel) * front > 0.5, float(label))
    white = coverage(distance, part.pixel) * front * smoothstep(0, 0.12, lids.openness)
    part.paint(rgb((0.985, 0.98, 0.97), white), white)
    part.paint(
        rgb((0.70, 0.68, 0.74), white), white * smoothstep(-0.07, 0.01, lids.across - lids.upper) * 0.8
    )
    part.data[:, MATTE].copy_(torch.maximum(part.data[:, MATTE], white))
    return white


def _paint_iris(part: Surface, actor: Actor, lids: Lids, white: Tensor, side: int) -> None:
    identity, act = actor.identity, actor.act
    radius, color = identity.iris, identity.eye_color
    x = part.x - side * identity.eye_x - act.gaze_x * 0.10 * identity.eye_width / 0.18
    y = part.y - identity.eye_y - act.gaze_y * 0.09 - 0.012
    distance = (x * x + y * y + 1e-7).sqrt_()
    iris = coverage(distance - radius, part.pixel) * white
    part.paint(color * 0.42, iris)
    part.paint(color, coverage(distance - radius * 0.86, part.pixel * 1.5) * white)
    shine = torch.exp(-((x / (radius * 0.6)) ** 2) - ((y + radius * 0.5) / (radius * 0.38)) ** 2)
    part.paint((color * 1.45 + 0.12).clamp(0, 1), shine * iris * 0.8)
    part.paint(rgb(PUPIL_COLOR, x), coverage(distance - radius * 0.52, part.pixel) * white)
    part.paint(rgb(PUPIL_COLOR, x), iris * smoothstep(-0.05, 0.02, lids.across - lids.upper) * 0.55)
    large = coverage(torch.hypot(x + radius * 0.36, y - radius * 0.40) - radius * 0.27, part.pixel)
    small = coverage(torch.hypot(x - radius * 0.38, y + radius * 0.36) - radius * 0.14, part.pixel)
    part.data[:, GLOW].add_((large + 0.7 * small) * white)


def _paint_lids(part: Surface, actor: Actor, lids: Lids) -> None:
    identity = actor.identity
    skin, lashes = identity.skin, identity.lashes
    inside = lids.inside
    thickness = 0.021 + 0.016 * lashes + 0.012 * lids.along.clamp(-1, 1) * lashes
    line = (lids.across - lids.upper - thickness * 0.3).abs() - thickness
    color = rgb(LASH_COLOR, line)
    part.fill(line, color, inside * (0.78 + 0.22 * lashes))
    _paint_lashes(part, actor, lids, color)
    below = (lids.across - lids.lower).abs() - 0.008
    part.fill(
        below, skin * rgb((0.60, 0.42, 0.42), line), inside * 0.5 * smoothstep(0, 0.3, lids.openness), 1.5
    )
    crease = (lids.across - lids.upper - 0.055 - 0.02 * lids.openness).abs() - 0.008
    visible = (lids.along.abs() < 0.85) * 0.6 * smoothstep(0.1, 0.5, lids.openness)
    part.fill(crease, skin * rgb((0.66, 0.50, 0.48), line), visible, 1.5)


def _paint_lashes(part: Surface, actor: Actor, lids: Lids, color: Tensor) -> None:
    identity, openness = actor.identity, lids.openness
    shown = (identity.lashes > 0.5).float()
    shut = 1 - openness.clamp(max=1)
    for root, dx, dy in LASHES:
        height = identity.eye_height * (1.05 * openness - 0.30 * shut) * (1 - root * root) ** 0.62
        x = root * identity.eye_width
        tip = height + dy * (openness.clamp(0, 1) * 2 - 1)
        distance = capsule(lids.along * identity.eye_width, lids.across, (x, height), (x + dx, tip), 0.016)[0]
        part.fill(distance, color, shown)


def _paint_brow(part: Surface, actor: Actor, side: int) -> None:
    """Slants with anger (inner end low) and sorrow (inner end high), and thickens as it does."""
    identity, act = actor.identity, actor.act
    x = (part.x - side * (identity.eye_x + 0.01)) * side
    along = x / identity.brow_width
    height = identity.eye_y + identity.brow_y + act.brows_up * 0.11 - 0.05 * (-act.brow_slant).clamp(min=0)
    slope = identity.brow_angle * 0.18 * (1 - act.brow_slant.abs()) - act.brow_slant * 0.62
    line = height + slope * x + identity.brow_arch * (1 - along * along) * (1 - 0.7 * act.brow_slant.abs())
    taper = 1.05 - 0.42 * smoothstep(-0.2, 1.1, along)
    thickness = (identity.brow_thickness * (1 + 0.35 * act.brow_slant.abs()) + 0.008) * taper
    rounded = thickness * (1 - along.abs() ** 6).clamp(min=0).sqrt()
    distance = torch.maximum((part.y - line).abs() - rounded, (along.abs() - 1) * identity.brow_width)
    dark = torch.lerp(identity.hair_color * 0.72, rgb((0.12, 0.07, 0.05), line), 0.35)
    light = torch.minimum(identity.hair_color * 0.62, identity.skin * 0.68)
    part.fill(distance, torch.lerp(dark, light, identity.brow_lightness), 0.95)
