"""One drawn person by words: the portrait of someone with these traits.

draw_portrait(Traits(hair="afro", glasses="round", seed=7)).save("someone.png")
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from PIL import Image
from torch import Tensor

from concat_id.errors import InvalidTraits
from concat_id.people.identity import BEARDS, GLASSES, HAIR_STYLES, Kinds, make_identities, sample_kinds
from concat_id.people.palette import EYE_COLORS, GLASSES_COLORS, HAIR_COLORS, SKIN_COLORS
from concat_id.people.renderer import render
from concat_id.people.scene import PORTRAIT_SPOT, SEED_RANGES, Scenes, sample_scenes

SIDE_PX = 512
FEATURES = ("masculine", "feminine")
# By trait, what it may be, as the renderer numbers it; in the order of `Traits`.
CHOICES: dict[str, tuple[str, ...] | tuple[bool, ...]] = {
    "features": FEATURES,
    "skin": tuple(SKIN_COLORS),
    "hair": HAIR_STYLES,
    "hair_color": tuple(HAIR_COLORS),
    "eye_color": tuple(EYE_COLORS),
    "beard": BEARDS,
    "glasses": GLASSES,
    "glasses_color": tuple(GLASSES_COLORS),
    "wrinkles": (False, True),
    "freckles": (False, True),
    "earrings": (False, True),
}


@dataclass(frozen=True)
class Traits:
    """A person in words. The seed decides what no word says: the shapes of head, eyes, nose and mouth."""

    features: str = "feminine"
    skin: str = "peach"
    hair: str = "long wavy"
    hair_color: str = "brown"
    eye_color: str = "brown"
    beard: str = "none"
    glasses: str = "none"
    glasses_color: str = "black"
    wrinkles: bool = False
    freckles: bool = False
    earrings: bool = False
    seed: int = SEED_RANGES["test"][0]

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise InvalidTraits(
                    f"{name.replace('_', ' ')} is '{getattr(self, name)}'; choose one of "
                    f"{', '.join(map(str, known))}."
                )

    @classmethod
    def of_seed(cls, seed: int) -> Self:
        """The person whom the renderer draws for a seed when nothing else is asked for."""
        kinds = sample_kinds(_one(seed))
        numbers = {name: int(getattr(kinds, field)) for name, field in _KINDS.items()}
        return cls(**{name: CHOICES[name][number] for name, number in numbers.items()}, seed=seed)

    @property
    def kinds(self) -> Kinds:
        """The same in the renderer's numbers, (1, 1) each."""
        numbers = {field: _one(CHOICES[name].index(getattr(self, name))) for name, field in _KINDS.items()}
        return Kinds(**numbers)


_KINDS = dict(zip(CHOICES, (field.name for field in fields(Kinds)), strict=True))


def _one(number: int) -> Tensor:
    """One person of one clip, (1, 1) int64."""
    return torch.tensor([[number]])


def roll_seed() -> int:
    """The seed of someone by chance, whom no model was trained on."""
    low, high = SEED_RANGES["test"]
    return low + secrets.randbelow(high - low)


def draw_portrait(traits: Traits, side_px: int = SIDE_PX) -> Image.Image:
    """Head and shoulders before a plain wall, upright, from the front, with a neutral face, RGB."""
    frame = render(_pose(traits), side_px, side_px).frames[0, 0]  # (3, H, W)
    return Image.fromarray((frame * 255).round().byte().permute(1, 2, 0).numpy())


def _pose(traits: Traits) -> Scenes:
    """The scene of the portrait."""
    seed = _one(traits.seed)
    scenes = sample_scenes(
        traits.seed,
        1,
        split="test",
        num_frames=1,
        camera="portrait",
        identity_seeds=seed,
        expressions="neutral",
        motions="still",
        places="studio",
        headwear="none",
    )
    act = scenes.performance
    ahead = dict.fromkeys(
        ("yaw", "pitch", "roll", "shift_x", "shift_y", "gaze_x", "gaze_y"), torch.zeros_like(act.yaw)
    )
    return replace(
        scenes,
        identity=make_identities(seed, traits.kinds),
        performance=replace(act, **ahead),
        spot=torch.tensor(PORTRAIT_SPOT).expand_as(scenes.spot),
    )
