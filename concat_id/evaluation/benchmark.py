"""The benchmark: who, in what, where, and the prompts; read from a folder and turned into jobs.

A folder holds `benchmark.json` and the pictures that it names; `assets/benchmark` shows drawn people of the
test split (`train/benchmark/people.py` makes it). The JSON has

    people, garments, places: lists of {"name", "picture", "truth", "seed"}; truth names what the picture
        shows, {"garment": "hoodie"}, as far as a reader can tell it; the seed is there if it was drawn;
    prompts: by set and category, lists of {"text", "truth"}; truth names what a reader should find.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from concat_id.errors import InputError
from concat_id.files.text import read_text
from concat_id.job import Job
from concat_id.loading.presets import Task
from concat_id.references.reference import Reference, Role
from concat_id.settings import Settings

DEFAULT_BENCHMARK = Path(__file__).resolve().parents[2] / "assets" / "benchmark"
_PICTURE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".webp", ".heic", ".heif", ".avif", ".bmp", ".gif", ".tif", ".tiff"),
)


class InvalidBenchmark(InputError):
    """A benchmark's folder is missing, empty or not as it should be."""


@dataclass(frozen=True)
class SetKind:
    """What a set of cases is made of."""

    task: Task
    title: str
    num_people: int
    companion: Role | None = None  # the reference beside the people

    @property
    def num_references(self) -> int:
        return self.num_people + (self.companion is not None)


SETS: dict[str, SetKind] = {
    "single": SetKind("single", "one person", 1),
    "two": SetKind("multi", "two people", 2),
    "three": SetKind("multi", "three people", 3),
    "try-on": SetKind("try-on", "a person in a given garment", 1, "garment"),
    "background": SetKind("background", "a person in a given place", 1, "background"),
}


@dataclass(frozen=True)
class Subject:
    """A person, a garment or a place."""

    name: str
    picture: Path
    truth: Mapping[str, str] = field(default_factory=dict)  # topic -> category
    seed: int | None = None  # by which the renderer draws it again; None: it was not drawn


@dataclass(frozen=True)
class Prompt:
    """A prompt and what a reader should find in a video of it."""

    text: str
    truth: Mapping[str, str]  # topic -> category


@dataclass(frozen=True)
class Case:
    """One video to make."""

    name: str
    set_name: str
    category: str
    people: tuple[Subject, ...]  # from left to right
    companion: Subject | None
    prompt: str
    truth: Mapping[str, str]  # topic -> category
    seed: int

    def job(self, preset: str) -> Job:
        """The job that makes the video."""
        kind = SETS[self.set_name]
        references = [Reference("face", str(person.picture)) for person in self.people]
        if self.companion:
            references.append(Reference(kind.companion, str(self.companion.picture)))
        return Job(kind.task, tuple(references), self.prompt, Settings(seed=self.seed), preset)


@dataclass(frozen=True)
class Benchmark:
    """Subjects and prompts."""

    people: tuple[Subject, ...]
    garments: tuple[Subject, ...]
    places: tuple[Subject, ...]
    prompts: Mapping[str, Mapping[str, tuple[Prompt, ...]]]  # by set and category

    @property
    def galleries(self) -> dict[Role, tuple[Subject, ...]]:
        """By role, those among whom the one in a video is to be found again."""
        return {"face": self.people, "garment": self.garments, "background": self.places}

    def cases(self, set_name: str) -> list[Case]:
        """Every group of subjects once with a prompt of every category.

        The order goes through groups and categories at the same time: the first cases are a fair sample.
        """
        groups, categories = self._groups(set_name), list(self.prompts.get(set_name, {}))
        shared = math.lcm(len(groups), len(categories)) or 1
        cases = []
        for number in range(len(groups) * len(categories)):
            people, companion = groups[number % len(groups)]
            # Without the shift, counts with a common divisor would meet the same partners again.
            category = categories[(number + number // shared) % len(categories)]
            prompts = self.prompts[set_name][category]
            prompt = prompts[number // len(categories) % len(prompts)]
            cases.append(
                Case(
                    name=f"{set_name}-{number:03d}",
                    set_name=set_name,
                    category=category,
                    people=people,
                    companion=companion,
                    prompt=prompt.text,
                    truth={**prompt.truth, **(companion.truth if companion else {})},
                    seed=number,
                )
            )
        return cases

    def with_people(self, folder: Path) -> Benchmark:
        """The same prompts with other people: every picture of a folder shows one."""
        # File managers leave files of their own: .DS_Store, ._photo.jpg, Thumbs.db.
        pictures = sorted(
            path
            for path in folder.glob("*")
            if path.suffix.lower() in _PICTURE_SUFFIXES and not path.name.startswith(".") and path.is_file()
        )
        if not pictures:
            raise InvalidBenchmark(f"'{folder}' holds no pictures; give a folder with one for each person.")
        return replace(self, people=tuple(Subject(path.stem, path) for path in pictures))

    def _groups(self, set_name: str) -> list[tuple[tuple[Subject, ...], Subject | None]]:
        """Who and what appear together."""
        kind = SETS[set_name]
        if kind.companion:
            return [
                ((self.people[number % len(self.people)],), companion)
                for number, companion in enumerate(self.galleries[kind.companion])
            ]
        starts = range(0, len(self.people) - kind.num_people + 1, kind.num_people)
        return [(self.people[start : start + kind.num_people], None) for start in starts]


def load_benchmark(folder: Path = DEFAULT_BENCHMARK) -> Benchmark:
    """Read a benchmark's folder."""
    path = folder / "benchmark.json"
    try:
        data = json.loads(read_text(path))
        return Benchmark(
            **{kind: _read_subjects(data[kind], folder) for kind in ("people", "garments", "places")},
            prompts={
                set_name: {
                    category: tuple(Prompt(**prompt) for prompt in prompts)
                    for category, prompts in categories.items()
                }
                for set_name, categories in data["prompts"].items()
            },
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidBenchmark(
            f"'{path}' is not a readable benchmark ({error}); compare it with assets/benchmark."
        ) from error


def _read_subjects(entries: list[dict[str, Any]], folder: Path) -> tuple[Subject, ...]:
    """Subjects with their pictures' paths."""
    return tuple(Subject(**entry | {"picture": folder / entry["picture"]}) for entry in entries)
