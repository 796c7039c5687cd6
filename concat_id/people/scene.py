"""Scenes: who does what where, as a struct of arrays over a batch of clips."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from torch import Tensor

from concat_id.people.dice import Dice, equal_seeds
from concat_id.people.identity import Identity, sample_identities
from concat_id.people.outfit import GARMENTS, HEADWEAR, Outfit, sample_outfits
from concat_id.people.performance import EXPRESSIONS, MOTIONS, Performance, perform
from concat_id.people.place import PLACES
from concat_id.people.world import WORLD

Split = Literal["train", "validation", "test"]
Camera = Literal["video", "portrait"]
Content = Literal["full", "place", "garments"]
Names = str | list[str]

# Seeds of identities, garments and places, first and one past the last; no seed belongs to two splits.
SEED_RANGES: dict[Split, tuple[int, int]] = {
    "train": (0, 2**30),
    "validation": (2**30, 2**30 + 2**24),
    "test": (2**30 + 2**24, 2**30 + 2**25),
}

LIGHTS = ((-0.48, 0.55, 0.68), (0.48, 0.55, 0.68), (-0.15, 0.65, 0.74))
# x, y and scale of each person by the number of people, as shares of half the picture's height.
SPOTS = {1: ((0.0, 0.09, 0.61),), 2: ((-0.46, 0.04, 0.41), (0.46, 0.08, 0.41)),
         3: ((-0.66, 0.0, 0.30), (0.0, 0.14, 0.30), (0.66, 0.02, 0.30))}  # fmt: skip
PORTRAIT_SPOT = (0.0, -0.04, 0.80)
PORTRAIT_MOTIONS = ("still", "nodding", "shaking head", "tilting head", "looking up", "looking down")
GARMENT_SPOT = (0.0, 1.16, 0.58)


@dataclass(frozen=True)
class Scenes:
    """B clips of T frames with P people, left to right.

    Attributes:
        expression, motion: category numbers, (B, P); garments are in the outfit.
        place, place_seed: (B,); pan: sideways way of the camera over the clip, (B,).
        light: direction, (B, 3).
        spot: x, y, scale of each person, (B, P, 3).
        content: what of it is rendered.
    """

    num_frames: int
    identity: Identity
    outfit: Outfit
    performance: Performance
    expression: Tensor
    motion: Tensor
    place: Tensor
    place_seed: Tensor
    pan: Tensor
    light: Tensor
    spot: Tensor
    time: Tensor
    content: Content = "full"

    def __len__(self) -> int:
        return len(self.place)

    @property
    def num_people(self) -> int:
        """People in every clip."""
        return self.expression.shape[1]

    @property
    def identity_seeds(self) -> Tensor:
        """(B, P) int64."""
        return self.identity.seed

    @property
    def expression_names(self) -> list[list[str]]:
        """By clip and person."""
        return _names(self.expression, EXPRESSIONS)

    @property
    def motion_names(self) -> list[list[str]]:
        """By clip and person."""
        return _names(self.motion, MOTIONS)

    @property
    def garment_names(self) -> list[list[str]]:
        """By clip and person."""
        return _names(self.outfit.garment, GARMENTS)

    @property
    def place_names(self) -> list[str]:
        """By clip."""
        return [PLACES[number] for number in self.place.tolist()]

    def at(self, moment: Tensor) -> Self:
        """One frame of every clip.

        Args:
            moment: frame numbers, (B,) int64.
        """
        rows = torch.arange(len(self), device=moment.device)
        return replace(
            self,
            num_frames=1,
            performance=self.performance.apply(lambda track: track[rows, moment].unsqueeze(1)),
            time=self.time[rows, moment].unsqueeze(1),
        )

    def without_people(self) -> Self:
        """The places alone."""
        return replace(self, content="place")

    def garments_only(self) -> Self:
        """The garments alone, from the front, on plain light ground; one person's only."""
        assert self.num_people == 1
        spot = torch.tensor(GARMENT_SPOT, device=self.spot.device).expand_as(self.spot)
        still = self.performance.apply(torch.zeros_like)
        still = replace(still, zoom=torch.ones_like(still.zoom))
        return replace(self, content="garments", spot=spot, performance=still)


def _names(numbers: Tensor, names: tuple[str, ...]) -> list[list[str]]:
    return [[names[number] for number in row] for row in numbers.tolist()]


def sample_scenes(
    seed: int,
    count: int,
    *,
    split: Split = "train",
    num_people: int = 1,
    num_frames: int = 17,
    camera: Camera = "video",
    # what is given is not drawn
    identity_seeds: Tensor | None = None,
    expressions: Names | Tensor | None = None,
    motions: Names | Tensor | None = None,
    places: Names | None = None,
    garments: Names | None = None,
    headwear: Names | None = None,
    device: torch.device | str = "cpu",
) -> Scenes:
    """Draws scenes; the same seed and split give the same scenes, whatever the count and device.

    Args:
        count: number of clips B.
        num_people: P, 1 to 3.
        camera: "portrait" comes close, for reference pictures.
        identity_seeds: (B, P) int64; default: drawn from the split.
        expressions, motions, places, garments, headwear: a name for all clips, or one per clip; of the first
            two also numbers for each person, (B, P) int64.
    """
    if not 1 <= num_people <= 3:
        raise ValueError(f"num_people must be 1, 2 or 3, got {num_people}.")
    clips = equal_seeds(seed, count, device) ^ (SEED_RANGES[split][0] << 20)
    dice = Dice(clips, "scene")
    people = clips.unsqueeze(1) * 4 + torch.arange(num_people, device=clips.device)
    actors = Dice(people, "person")
    low, high = SEED_RANGES[split]
    if identity_seeds is None:
        identity_seeds = actors.seed("identity", low, high)
    expression = _chosen(expressions, EXPRESSIONS, people, "expression")
    if expression is None:
        expression = actors.choice("expression", len(EXPRESSIONS))
    motion = _chosen(motions, MOTIONS, people, "motion")
    if motion is None:
        motion = _draw_motion(actors, camera)
    place = _chosen(places, PLACES, people, "place")
    wear = {
        "garment": _chosen(garments, GARMENTS, people, "garment"),
        "headwear": _chosen(headwear, HEADWEAR, people, "headwear"),
    }
    performance = perform(
        people, expression, motion, num_frames, WORLD.portrait if camera == "portrait" else 1.0
    )
    spot = _sample_spots(dice, num_people, camera)
    moments = torch.linspace(0, 1, num_frames, device=clips.device).expand(count, -1)
    light = torch.nn.functional.normalize(torch.tensor(LIGHTS, device=clips.device), dim=1)
    return Scenes(
        num_frames=num_frames,
        identity=sample_identities(identity_seeds.to(clips.device)),
        outfit=sample_outfits(actors.seed("garment", low, high), split=split, **wear),
        performance=_wave_outwards(performance, spot),
        expression=expression,
        motion=motion,
        place=dice.choice("place", len(PLACES)) if place is None else place[:, 0],
        place_seed=dice.seed("place", low, high),
        pan=dice.chance("pans", WORLD.pan_share) * dice.uniform("pan", -WORLD.pan, WORLD.pan),
        light=light[dice.choice("light", len(LIGHTS))],
        spot=spot,
        time=moments,
    )


def _chosen(names: Names | Tensor | None, known: tuple[str, ...], people: Tensor, what: str) -> Tensor | None:
    """Category numbers (B, P) of the given names."""
    if names is None:
        return None
    if isinstance(names, Tensor):
        return names.to(people.device)
    names = [names] * len(people) if isinstance(names, str) else names
    unknown = set(names) - set(known)
    if unknown or len(names) != len(people):
        raise ValueError(f"{len(people)} {what} names wanted, each one of {known}; got {names}.")
    numbers = torch.tensor([known.index(name) for name in names], device=people.device)
    return numbers.unsqueeze(1).expand_as(people)


def _draw_motion(dice: Dice, camera: Camera) -> Tensor:
    if camera == "video":
        return dice.choice("motion", len(MOTIONS))
    return dice.choice("motion", torch.tensor([float(name in PORTRAIT_MOTIONS) for name in MOTIONS]))


def _wave_outwards(performance: Performance, spot: Tensor) -> Performance:
    """Wave with the arm that has room: away from the others, or from the near edge."""
    num_people, x = spot.shape[1], spot[..., 0].unsqueeze(1)
    if num_people == 1:
        return replace(performance, wave_side=torch.where(x > 0, -1.0, 1.0).expand_as(performance.wave_side))
    side = performance.wave_side.clone()
    side[..., 0], side[..., -1] = -1.0, 1.0
    return replace(performance, wave_side=side)


def _sample_spots(dice: Dice, num_people: int, camera: Camera) -> Tensor:
    """(B, P, 3)."""
    spots = (PORTRAIT_SPOT,) * num_people if camera == "portrait" and num_people == 1 else SPOTS[num_people]
    rows = []
    for k, (x, y, scale) in enumerate(spots):
        loose = WORLD.loose / min(num_people, 2)
        rows.append(
            torch.stack(
                [
                    x + dice.uniform(f"x{k}", -loose, loose),
                    y + dice.uniform(f"y{k}", -loose / 2, loose / 2),
                    scale * dice.uniform(f"scale{k}", 1 - WORLD.zoom, 1 + WORLD.zoom),
                ],
                -1,
            )
        )
    return torch.stack(rows, 1)
