"""Hair close to the skull: a shell cut by a hairline."""

from __future__ import annotations

import torch
from torch import Tensor

from concat_id.people.actor import Actor
from concat_id.people.canvas import Window, coverage, rgb
from concat_id.people.geometry import HAIR_SHADOW, Hit, Rays
from concat_id.people.identity import HAIR_STYLES
from concat_id.people.labels import HAIR
from concat_id.people.performance import smoothstep
from concat_id.people.surface import HEAD_DEPTH

SHELL_COLUMNS = (
    "forehead", "arch", "slope", "zigzag", "zigzag_frequency", "side", "back", "grow_x", "grow_y", "grow_z",
    "lift",
)  # fmt: skip
SHELL_DEFAULT = dict(
    zip(SHELL_COLUMNS, (0.56, 0.1, 0, 0, 9, -0.05, -0.55, 0.07, 0.1, 0.06, 0.03), strict=True)
)
OPEN_LONG = {"grow_x": 0.12, "grow_y": 0.13, "forehead": 0.54, "arch": 0.30, "side": -0.9, "back": -1.0}
STRAIGHT_FRINGE = {"forehead": 0.34, "arch": 0.02, "zigzag": 0.02, "zigzag_frequency": 20.0}
BOB = {"grow_x": 0.15, "grow_y": 0.15, "arch": 0.02, "side": -0.85, "back": -0.9}
TIED = {"grow_x": 0.05, "grow_y": 0.07, "forehead": 0.58, "arch": 0.12, "side": -0.02}
TIED_FRINGE = {**TIED, "forehead": 0.40, "arch": 0.0, "zigzag": 0.03, "zigzag_frequency": 16.0}
# Each style's shell with a short and with a long fringe, as changes to the default.
SHELLS: dict[str, tuple[dict[str, float], dict[str, float]]] = {
    "bald": ({}, {}),
    "buzz cut": ({"grow_x": 0.022, "grow_y": 0.03, "grow_z": 0.02, "side": 0.0, "lift": 0.01},) * 2,
    "side-parted": (
        {"grow_y": 0.17, "slope": 0.24, "forehead": 0.54, "zigzag": 0.02},
        {"grow_y": 0.15, "slope": 0.16, "forehead": 0.46, "zigzag": 0.03, "zigzag_frequency": 14.0},
    ),
    "quiff": ({"grow_x": 0.05, "grow_y": 0.12, "forehead": 0.60, "arch": 0.06},) * 2,
    "bob": ({**BOB, **STRAIGHT_FRINGE, "forehead": 0.31}, {**BOB, "forehead": 0.40, "slope": 0.12}),
    "long straight": (OPEN_LONG, {**OPEN_LONG, **STRAIGHT_FRINGE}),
    "long wavy": (OPEN_LONG, {**OPEN_LONG, "forehead": 0.48, "arch": 0.14, "slope": 0.22}),
    "afro": ({"grow_y": 0.12, "forehead": 0.52, "zigzag": 0.03, "zigzag_frequency": 18.0, "side": -0.1},) * 2,
    "top bun": (TIED, TIED_FRINGE),
    "ponytail": (TIED, {**TIED, "forehead": 0.44, "arch": 0.04, "slope": 0.18}),
    "pigtails": (TIED, TIED_FRINGE),
    "spiky": ({"grow_x": 0.06, "forehead": 0.46, "zigzag": 0.09, "zigzag_frequency": 11.0, "side": -0.02},)
    * 2,
    "mohawk": ({"grow_x": 0.015, "grow_y": 0.02, "grow_z": 0.015, "side": 0.0},) * 2,
    "curly": ({"grow_y": 0.12, "forehead": 0.46, "zigzag": 0.06, "zigzag_frequency": 10.0, "side": -0.2},)
    * 2,
}


def shell_table() -> Tensor:
    """The shells' numbers, (styles, 2, columns)."""
    return torch.tensor(
        [[list((SHELL_DEFAULT | change).values()) for change in SHELLS[s]] for s in HAIR_STYLES]
    )


def hairline(azimuth: Tensor, shell: dict[str, Tensor], actor: Actor) -> Tensor:
    """Height of the hair's lower edge over the angle round the head (0 at the nose), (n, 1, h, w)."""
    identity = actor.identity
    away = azimuth.abs()
    line = (
        shell["forehead"]
        - shell["arch"] * (away / 0.9) ** 2
        + shell["slope"] * identity.parting * azimuth * 0.8
    )
    line = line + shell["zigzag"] * torch.sin(azimuth * shell["zigzag_frequency"] + identity.volume * 6)
    line = torch.lerp(line, shell["side"].expand_as(line), smoothstep(0.86, 1.12, away))
    return torch.lerp(line, shell["back"].expand_as(line), smoothstep(1.5, 1.9, away))


def draw_hair_shell(window: Window, rays: Rays, head: Hit, head_width: Tensor, actor: Actor) -> None:
    """Hair close to the skull, with its shadow on the forehead; bald heads have none."""
    identity = actor.identity
    style, long_fringe = actor.hair.flatten(), (identity.fringe.flatten() >= 0.5).long()
    numbers = shell_table().to(style.device)[style, long_fringe]
    shell = {name: numbers[:, k].view(-1, 1, 1, 1) for k, name in enumerate(SHELL_COLUMNS)}
    shown = (actor.hair != HAIR_STYLES.index("bald")).float()
    width = (head_width + identity.head_width) * 0.5 + shell["grow_x"]
    hit = rays.ellipsoid(
        (0.0, shell["lift"], -0.06),
        (width, identity.head_height + shell["grow_y"], HEAD_DEPTH + shell["grow_z"]),
    )
    azimuth = torch.atan2(hit.point[0], hit.point[2] + 0.06)
    line = hairline(azimuth, shell, actor)
    shadow = coverage(line - 0.05 - head.point[1], rays.pixel * 5) * head.coverage * 0.42 * shown
    window.color.lerp_(identity.skin * rgb((0.56, 0.40, 0.40), line), shadow)
    strands = torch.sin(azimuth * 19 + hit.point[1] * (1.5 + 14 * shell["slope"].abs())) * 0.55
    strands = strands + torch.sin(azimuth * 43 + 1 + hit.point[1] * 2) * 0.3
    base = _shell_color(actor)
    color = rays.shade(base, hit.normal, HAIR_SHADOW, 0.18) * (1 + 0.11 * strands)
    band = torch.exp(-(((rays.highlight(hit.normal, 1) - 0.86) / 0.07) ** 2))
    color = color + 0.16 * band * (1 + 0.5 * strands) * (0.22 + base)
    window.over(
        color.clamp_(0, 1), hit.coverage * coverage(line - hit.point[1], rays.pixel * 1.2) * shown, HAIR
    )


def _shell_color(actor: Actor) -> Tensor:
    """Cropped hair lets the skin shine through."""
    identity = actor.identity
    buzz = (actor.hair == HAIR_STYLES.index("buzz cut")).float()
    mohawk = (actor.hair == HAIR_STYLES.index("mohawk")).float()
    color = torch.lerp(identity.hair_color, identity.hair_color * 0.62 + identity.skin * 0.22, buzz)
    return torch.lerp(color, identity.hair_color * 0.35 + identity.skin * 0.50, mohawk)
