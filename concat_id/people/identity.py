"""Who a person is: some fifty parameters, all a function of one integer seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from concat_id.people.columns import Columns
from concat_id.people.dice import Dice, pick
from concat_id.people.palette import COLORS, EYE_COLORS, GLASSES_COLORS, HAIR_COLORS, SKIN_COLORS, color_table

HAIR_STYLES = (
    "bald", "buzz cut", "side-parted", "quiff", "bob", "long straight", "long wavy", "afro",
    "top bun", "ponytail", "pigtails", "spiky", "mohawk", "curly",
)  # fmt: skip
BEARDS = ("none", "stubble", "full beard", "goatee", "moustache")
GLASSES = ("none", "round", "square")
AGES = ("young", "adult", "old")

FEMININE_HAIR = {
    "bob": 2.0, "long straight": 2.0, "long wavy": 2.0, "afro": 1.0, "top bun": 1.2, "ponytail": 1.2,
    "pigtails": 1.0, "curly": 1.2, "side-parted": 0.7, "quiff": 0.4, "buzz cut": 0.2, "bald": 0.1,
}  # fmt: skip
MASCULINE_HAIR = {
    "bald": 0.9, "buzz cut": 1.2, "side-parted": 2.0, "quiff": 1.5, "spiky": 1.0, "mohawk": 0.7,
    "afro": 0.9, "curly": 1.1, "top bun": 0.4, "long wavy": 0.5, "ponytail": 0.3,
}  # fmt: skip


@dataclass(frozen=True)
class Identity(Columns):
    """Identities, (B, P) each, colours (B, P, 3); lengths in units of about half a head's height."""

    # kind of person; integers, category numbers
    seed: Tensor
    hair: Tensor
    beard: Tensor
    glasses: Tensor
    # colours
    skin: Tensor
    hair_color: Tensor
    eye_color: Tensor
    glasses_color: Tensor
    band_color: Tensor
    # build of the head
    feminine: Tensor
    head_width: Tensor
    head_height: Tensor
    jaw: Tensor
    taper: Tensor
    cheek: Tensor
    ear_size: Tensor
    ear_y: Tensor
    shoulder_width: Tensor
    # eyes and brows
    eye_x: Tensor
    eye_y: Tensor
    eye_width: Tensor
    eye_height: Tensor
    eye_tilt: Tensor
    iris: Tensor
    lashes: Tensor
    brow_y: Tensor
    brow_thickness: Tensor
    brow_width: Tensor
    brow_angle: Tensor
    brow_arch: Tensor
    brow_lightness: Tensor
    # nose and mouth
    nose_width: Tensor
    nose_height: Tensor
    nose_y: Tensor
    nose_depth: Tensor
    bridge: Tensor
    mouth_width: Tensor
    mouth_y: Tensor
    lip_thickness: Tensor
    lip_color: Tensor
    # skin and ornaments
    freckles: Tensor
    mole: Tensor
    mole_x: Tensor
    mole_y: Tensor
    wrinkles: Tensor
    blush: Tensor
    earrings: Tensor
    # how the hair falls
    parting: Tensor
    fringe: Tensor
    volume: Tensor

    def at_frames(self, person: int, num_frames: int) -> Self:
        """One person of every clip, once per frame: (B * T, 1, 1, 1), colours (B * T, 3, 1, 1)."""
        return self.apply(lambda value: per_frame(value[:, person], num_frames))


def per_frame(value: Tensor, num_frames: int) -> Tensor:
    """Repeats (B,) or (B, 3) for every frame: (B * T, 1 or 3, 1, 1)."""
    return value.repeat_interleave(num_frames, dim=0).reshape(len(value) * num_frames, -1, 1, 1)


@dataclass(frozen=True)
class Kinds(Columns):
    """What there are words for in a person: category numbers, (B, P) int64 each; of yes and no, 1 and 0."""

    feminine: Tensor
    skin: Tensor
    hair: Tensor
    hair_color: Tensor
    eye_color: Tensor
    beard: Tensor
    glasses: Tensor
    glasses_color: Tensor
    wrinkles: Tensor
    freckles: Tensor
    earrings: Tensor


def sample_identities(seeds: Tensor) -> Identity:
    """The people of these seeds, (B, P) int64; a seed is the same person in any batch."""
    return make_identities(seeds, sample_kinds(seeds))


def make_identities(seeds: Tensor, kinds: Kinds) -> Identity:
    """The people of these kinds; all that no kind says follows from the seeds, (B, P) int64."""
    dice, feminine = Dice(seeds, "identity"), kinds.feminine.float()
    return Identity(
        seed=seeds,
        hair=kinds.hair,
        beard=kinds.beard,
        glasses=kinds.glasses,
        feminine=feminine,
        wrinkles=kinds.wrinkles.float(),
        freckles=kinds.freckles.float(),
        earrings=kinds.earrings.float(),
        **_color(dice, kinds),
        **_sample_head(dice, feminine),
        **_sample_eyes(dice, feminine),
        **_sample_nose_and_mouth(dice, feminine),
        **_sample_skin(dice, feminine),
        parting=dice.sign("parting"),
        fringe=dice.uniform("fringe"),
        volume=dice.uniform("volume"),
    )


def hair_weights(likely: dict[str, float]) -> Tensor:
    """The weight of each hair style, (K,)."""
    return torch.tensor([likely.get(style, 0.0) for style in HAIR_STYLES])


def sample_kinds(seeds: Tensor) -> Kinds:
    """The kinds of the people of these seeds, (B, P) int64."""
    dice = Dice(seeds, "identity")
    feminine = dice.chance("feminine", 0.5).long()
    age = dice.choice("age", torch.tensor([0.35, 0.45, 0.2]))
    hair = pick(torch.stack([hair_weights(MASCULINE_HAIR), hair_weights(FEMININE_HAIR)]), feminine)
    beards = torch.tensor(
        [[0.65, 0.12, 0.08, 0.08, 0.07], [0.3, 0.17, 0.25, 0.13, 0.15], [0.3, 0.17, 0.25, 0.13, 0.15]]
    )
    everyone = torch.tensor([1.0] * len(HAIR_COLORS))
    old = torch.tensor([3.0 if name in ("grey", "platinum") else 0.15 for name in HAIR_COLORS])
    return Kinds(
        feminine=feminine,
        skin=dice.choice("skin", len(SKIN_COLORS)),
        hair=dice.choice("hair", hair),
        hair_color=dice.choice("hair_color", pick(torch.stack([everyone, everyone, old]), age)),
        eye_color=dice.choice("eyes", len(EYE_COLORS)),
        beard=dice.choice("beard", pick(beards, age)) * (1 - feminine),
        glasses=dice.choice("glasses", torch.tensor([0.68, 0.17, 0.15])),
        glasses_color=dice.choice("glasses_color", len(GLASSES_COLORS)),
        wrinkles=(age == AGES.index("old")).long(),
        freckles=dice.chance("freckles", 0.2).long(),
        earrings=dice.chance("earrings", 0.05 + 0.4 * feminine).long(),
    )


def _color(dice: Dice, kinds: Kinds) -> dict[str, Tensor]:
    light = torch.tensor([1.0 if name in ("grey", "platinum", "blonde") else 0.0 for name in HAIR_COLORS])
    return {
        "skin": _varied(dice, "skin", pick(color_table(SKIN_COLORS), kinds.skin)),
        "hair_color": _varied(dice, "hair", pick(color_table(HAIR_COLORS), kinds.hair_color)),
        "brow_lightness": pick(light, kinds.hair_color),
        "eye_color": _varied(dice, "eyes", pick(color_table(EYE_COLORS), kinds.eye_color)),
        "glasses_color": pick(color_table(GLASSES_COLORS), kinds.glasses_color),
        "band_color": pick(color_table(COLORS), dice.choice("band_color", len(COLORS))),
    }


def _varied(dice: Dice, name: str, color: Tensor) -> Tensor:
    """The named colour, a little lighter, darker, warmer or cooler from person to person."""
    value = dice.uniform(f"{name}_value", 0.94, 1.06)
    warmth = dice.uniform(f"{name}_warmth", -0.035, 0.035)
    scale = torch.stack([value * (1 + warmth), value, value * (1 - warmth)], -1)
    return (color * scale).clamp(0, 1)


def _sample_head(dice: Dice, feminine: Tensor) -> dict[str, Tensor]:
    return {
        "head_width": dice.uniform("head_width", 0.74 - 0.02 * feminine, 0.90 - 0.04 * feminine),
        "head_height": dice.uniform("head_height", 0.94, 1.04),
        "jaw": dice.uniform("jaw", -0.04 - 0.02 * feminine, 0.16 - 0.10 * feminine),
        "taper": dice.uniform("taper", 0.06 * feminine, 0.16 + 0.10 * feminine),
        "cheek": dice.uniform("cheek", -0.02, 0.12),
        "ear_size": dice.uniform("ear_size", 0.14, 0.23),
        "ear_y": dice.uniform("ear_y", -0.16, 0.0),
        "shoulder_width": dice.uniform("shoulder_width", 1.0 - 0.14 * feminine, 1.2 - 0.2 * feminine),
    }


def _sample_eyes(dice: Dice, feminine: Tensor) -> dict[str, Tensor]:
    eye_height = dice.uniform("eye_height", 0.155, 0.215) + 0.025 * feminine
    thickness = dice.uniform("brow_thickness", 0.030, 0.062) * (1.15 - 0.35 * feminine)
    return {
        "eye_x": dice.uniform("eye_x", 0.31, 0.385),
        "eye_y": dice.uniform("eye_y", -0.10, 0.04),
        "eye_width": dice.uniform("eye_width", 0.17, 0.215) + 0.02 * feminine,
        "eye_height": eye_height,
        "eye_tilt": dice.uniform("eye_tilt", -0.12, 0.18),
        "iris": torch.minimum(dice.uniform("iris", 0.142, 0.168), eye_height * 0.92),
        "lashes": 0.25 + 0.75 * feminine,
        "brow_y": dice.uniform("brow_y", 0.29, 0.36),
        "brow_thickness": thickness,
        "brow_width": dice.uniform("brow_width", 0.18, 0.24),
        "brow_angle": dice.uniform("brow_angle", -0.25, 0.25),
        "brow_arch": dice.uniform("brow_arch", 0.02, 0.09),
    }


def _sample_nose_and_mouth(dice: Dice, feminine: Tensor) -> dict[str, Tensor]:
    return {
        "nose_width": dice.uniform("nose_width", 0.085, 0.17) * (1.08 - 0.20 * feminine),
        "nose_height": dice.uniform("nose_height", 0.075, 0.13),
        "nose_y": dice.uniform("nose_y", -0.30, -0.20),
        "nose_depth": dice.uniform("nose_depth", 0.10, 0.22),
        "bridge": dice.uniform("bridge"),
        "mouth_width": dice.uniform("mouth_width", 0.21, 0.33),
        "mouth_y": dice.uniform("mouth_y", -0.60, -0.50),
        "lip_thickness": dice.uniform("lip_thickness", 0.025 + 0.02 * feminine, 0.06 + 0.025 * feminine),
        "lip_color": dice.uniform("lip_color", 0.1 + 0.3 * feminine, 0.3 + 0.65 * feminine),
    }


def _sample_skin(dice: Dice, feminine: Tensor) -> dict[str, Tensor]:
    return {
        "mole": dice.chance("mole", 0.15),
        "mole_x": dice.sign("mole_side") * dice.uniform("mole_x", 0.22, 0.45),
        "mole_y": dice.uniform("mole_y", -0.5, -0.15),
        "blush": dice.uniform("blush", 0.0, 0.4) + 0.35 * feminine,
    }
