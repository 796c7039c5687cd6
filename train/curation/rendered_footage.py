"""Footage with known truth: rendered people as real MP4 files, and files of the kinds that spoil a pipeline.

    python -m train.curation footage --output .train/footage/videos --truth .train/footage/truth.json

Each film is one H.264 file with its caption beside it; the truth lies apart, so that nothing reads it by
mistake. Films have the frame rates and shapes that cameras have.
"""

from __future__ import annotations

import json
import logging
import random
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from concat_id.errors import InputError
from concat_id.files.atomic import replacing
from concat_id.output.video import write_video
from concat_id.people import SEED_RANGES, Scenes, Split, render, sample_scenes, write_captions
from concat_id.people.takes import rearrange_hair
from train.curation.unpleasant_files import UNPLEASANT, Studio

LOGGER = logging.getLogger(__name__)

RATES = (12, 24, 25, 30, 60)
# Height and width in px, by the number of people; one person is filmed upright, too.
SHAPES = {1: ((256, 256), (240, 320), (320, 240)), 2: ((256, 320), (240, 384)), 3: ((256, 384), (240, 400))}
PEOPLE_SHARES = {1: 0.6, 2: 0.25, 3: 0.15}
# Of the films: these have two shots with different people.
CUT_SHARE = 0.1


class InvalidFootage(InputError):
    """Footage is to be rendered with numbers that do not fit together."""


@dataclass(frozen=True)
class TrueShot:
    """What one shot of a film shows: from and to in seconds, and who is there, left to right."""

    start_s: float
    end_s: float
    people: tuple[int, ...]


@dataclass(frozen=True)
class TrueFilm:
    """What one file holds.

    Attributes:
        name: of the file.
        kind: "film", or which unpleasant one.
        shots: empty where nothing can be trained on.
        reason: why curation must drop the file; None where it must keep something.
    """

    name: str
    kind: str
    shots: tuple[TrueShot, ...]
    reason: str | None


@dataclass(frozen=True)
class Plan:
    """How much is filmed.

    Attributes:
        films: files with people in them, besides the unpleasant ones.
        people: different ones in all, 3 or more.
        seconds: of a shot.
        drawn_fps: pictures drawn a second; the file repeats them up to its rate, as cartoons do.
        unpleasant: how many of each unpleasant kind.
        seed: another one films other people.
        split: of the renderer's world.
    """

    films: int = 300
    people: int = 60
    seconds: float = 3.0
    drawn_fps: int = 6
    unpleasant: int = 1
    seed: int = 0
    split: Split = "test"

    def __post_init__(self) -> None:
        if self.people < 3:
            raise InvalidFootage(
                f"people is {self.people}, but a film may show three different ones; give 3 or more."
            )
        if self.films < 1 or self.seconds < 1:
            raise InvalidFootage(
                f"films is {self.films} and seconds {self.seconds:g}; both must be 1 or more."
            )


def film_footage(output: Path, truth: Path, plan: Plan) -> list[TrueFilm]:
    """Render all films into a folder, which must be new or empty, and write the truth apart.

    Raises:
        InvalidFootage: the folder holds files, or the truth would lie in it.
    """
    if output.exists() and any(output.iterdir()):
        raise InvalidFootage(f"'{output}' is not empty; name a new folder for the footage.")
    if output.resolve() in truth.resolve().parents:
        raise InvalidFootage(f"the truth '{truth}' would lie among the footage; name a place outside it.")
    dice = random.Random(plan.seed)
    films = []
    with replacing(output) as unfinished:
        unfinished.mkdir()
        for number, shots in enumerate(_cast(plan, dice)):
            films.append(_film(unfinished, number, shots, plan, dice))
            LOGGER.info("%s, %d of %d", films[-1].name, number + 1, plan.films)
        studio = Studio(unfinished, plan.seed, plan.seconds, plan.drawn_fps, draw)
        for kind, (make, reason) in UNPLEASANT.items():
            for number in range(plan.unpleasant):
                name = f"{kind.replace(' ', '-')}-{number:03d}.mp4"
                people = make(studio, unfinished / name, number)
                shots = (TrueShot(0.0, plan.seconds, people),) if reason is None else ()
                films.append(TrueFilm(name, kind, shots, reason))
    with replacing(truth) as unfinished:
        unfinished.write_text(json.dumps([asdict(film) for film in films], indent=1) + "\n")
    return films


def read_truth(path: Path) -> list[TrueFilm]:
    """What `film_footage` wrote."""
    return [
        TrueFilm(**{**film, "shots": tuple(TrueShot(**_with_tuple(shot)) for shot in film["shots"])})
        for film in json.loads(path.read_text())
    ]


def _with_tuple(shot: dict) -> dict:
    return {**shot, "people": tuple(shot["people"])}


def _cast(plan: Plan, dice: random.Random) -> list[list[list[int]]]:
    """The people of every shot of every film, so that all appear about equally often."""
    pack: list[int] = []

    def draw_people(count: int) -> list[int]:
        chosen: list[int] = []
        while len(chosen) < count:
            if not pack:
                pack.extend(dice.sample(range(plan.people), plan.people))
            # Nobody stands beside himself.
            chosen.append(pack.pop(next((i for i, p in enumerate(pack) if p not in chosen), 0)))
        return chosen

    films = []
    for _ in range(plan.films):
        count = dice.choices(list(PEOPLE_SHARES), list(PEOPLE_SHARES.values()))[0]
        films.append([draw_people(count) for _ in range(2 if dice.random() < CUT_SHARE else 1)])
    return films


def _film(folder: Path, number: int, shots: list[list[int]], plan: Plan, dice: random.Random) -> TrueFilm:
    """Render, cut together and write one film with its caption."""
    height, width = dice.choice(SHAPES[max(map(len, shots))])
    fps = dice.choice(RATES)
    frames, captions, truth = [], [], []
    for index, people in enumerate(shots):
        scenes = pose(people, plan, take=2 * number + index)
        drawn = draw(scenes, height, width)
        frames.append(repeat_frames(drawn, plan.drawn_fps, fps, plan.seconds))
        captions += write_captions(scenes, number)
        truth.append(TrueShot(index * plan.seconds, (index + 1) * plan.seconds, tuple(people)))
    name = f"film-{number:05d}.mp4"
    write_video(np.concatenate(frames), fps, folder / name)
    (folder / name).with_suffix(".txt").write_text(" Then: ".join(captions) + "\n")
    return TrueFilm(name, "film", tuple(truth), None)


def pose(people: list[int], plan: Plan, *, take: int) -> Scenes:
    """One clip's scene with these people, left to right; another take is another place and performance."""
    first = SEED_RANGES[plan.split][0] + 1000 * plan.seed
    scenes = sample_scenes(
        plan.seed * 1_000_003 + take,
        1,
        split=plan.split,
        num_people=len(people),
        num_frames=round(plan.seconds * plan.drawn_fps),
        identity_seeds=torch.tensor([[first + person for person in people]]),
    )
    again = torch.tensor([[take % 63 + 1]])
    return replace(scenes, identity=rearrange_hair(scenes.identity, again))


def draw(scenes: Scenes, height: int, width: int) -> np.ndarray:
    """A scene's frames, (T, H, W, 3) uint8."""
    frames = render(scenes, height, width).frames[0]
    return (frames.permute(0, 2, 3, 1) * 255).round().byte().numpy()


def repeat_frames(drawn: np.ndarray, drawn_fps: float, fps: float, seconds: float) -> np.ndarray:
    """Drawn frames repeated up to another rate, (T, H, W, 3)."""
    moments = np.arange(round(seconds * fps)) / fps * drawn_fps
    return drawn[np.minimum(moments.astype(int), len(drawn) - 1)]
