"""Many clips of the same people, as footage has them: other clothes, hair, light, pose, expression, place."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from concat_id.people.dice import Dice, pick
from concat_id.people.identity import HAIR_STYLES, Identity
from concat_id.people.scene import Scenes, Split, sample_scenes

# Hair that one and the same head can wear from one day to the next.
ARRANGEMENTS = (
    ("long straight", "long wavy", "ponytail", "pigtails", "top bun"),
    ("side-parted", "quiff", "spiky"),
)
REARRANGED_SHARE = 0.25


def sample_takes(
    seed: int,
    count: int,
    *,
    clips_per_person: int,
    split: Split = "train",
    num_people: int = 1,
    num_frames: int = 17,
    device: torch.device | str = "cpu",
) -> Scenes:
    """Scenes of which each `clips_per_person` in a row show the same people; with 1, `sample_scenes`' own.

    Several people change their order from take to take.

    Args:
        count: number of clips B, a multiple of `clips_per_person`.
    """
    if count % clips_per_person:
        raise ValueError(f"count must be a multiple of clips_per_person={clips_per_person}, got {count}.")
    options = {"split": split, "num_people": num_people, "num_frames": num_frames, "device": device}
    cast = sample_scenes(seed, count, **options).identity_seeds[::clips_per_person]
    take = torch.arange(count, device=cast.device).unsqueeze(1) % clips_per_person
    seats = (take + torch.arange(num_people, device=cast.device)) % num_people
    seeds = cast.repeat_interleave(clips_per_person, 0).gather(1, seats)
    scenes = sample_scenes(seed, count, identity_seeds=seeds, **options)
    return replace(scenes, identity=rearrange_hair(scenes.identity, take))


def rearrange_hair(identity: Identity, take: Tensor) -> Identity:
    """The same people with their hair done otherwise, within reason; take 0 as they are.

    Args:
        take: number of the clip among those of its people, (B, 1) int64.
    """
    dice = Dice(identity.seed * 64 + take, "hair")
    again = (take > 0).expand_as(identity.hair)
    weights = torch.zeros(len(HAIR_STYLES), len(HAIR_STYLES))
    for style, row in zip(HAIR_STYLES, weights, strict=True):
        family = next((family for family in ARRANGEMENTS if style in family), (style,))
        row[[HAIR_STYLES.index(other) for other in family]] = 1.0
    other = dice.choice("style", pick(weights, identity.hair))
    other = torch.where(dice.chance("rearranged", REARRANGED_SHARE) > 0, other, identity.hair)
    return replace(
        identity,
        hair=torch.where(again, other, identity.hair),
        volume=torch.where(again, _nudge(identity.volume, dice, "volume"), identity.volume),
        fringe=torch.where(again, _nudge(identity.fringe, dice, "fringe"), identity.fringe),
    )


def _nudge(value: Tensor, dice: Dice, name: str) -> Tensor:
    return (value + dice.uniform(name, -0.2, 0.2)).clamp(0, 1)
