"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from concat_id.errors import InvalidJob, InvalidWeights
from concat_id.loading.memory import VARIABLE, MemoryMode
from concat_id.loading.presets import DEFAULT_PRESET, PRESETS, Task
from concat_id.references.reference import ABOUT_ROLES, OTHER_ROLES, Role
from concat_id.settings import ASKED_SETTINGS, Settings, read_settings

if TYPE_CHECKING:
    from concat_id.loading.own_weights import OwnWeights
    from concat_id.references.reference import Reference


def add_references(parser: argparse.ArgumentParser) -> None:
    """The pictures."""
    add = parser.add_argument
    add("--reference", type=Path, action="append", help=ABOUT_ROLES["face"])
    for role in OTHER_ROLES:
        add(f"--{role}", type=Path, help=ABOUT_ROLES[role])


def add_choices(parser: argparse.ArgumentParser) -> None:
    """What is taken of the pictures."""
    add = parser.add_argument
    add("--face-index", type=int, action="append", help="which face of each picture, 0 for the largest")
    add(
        "--whole-picture",
        action="append",
        nargs="?",
        const="face",
        choices=get_args(Role),
        help="use the pictures of this role as they are (default: face)",
    )


def add_settings(parser: argparse.ArgumentParser) -> None:
    """How to sample."""
    for kind in ASKED_SETTINGS:
        parser.add_argument(f"--{kind.option}", type=kind.type, help=kind.about)


def read_settings_options(options: argparse.Namespace) -> Settings:
    """The settings that the options describe."""
    return read_settings(
        {kind.name: getattr(options, kind.option.replace("-", "_")) for kind in ASKED_SETTINGS}
    )


def read_references(options: argparse.Namespace) -> tuple[Reference, ...]:
    """The references that the options describe, in the order of their roles."""
    from concat_id.references.reference import Reference

    faces, whole = options.reference or [], options.whole_picture or []
    indices = options.face_index or [None] * len(faces)
    if len(indices) != len(faces):
        raise InvalidJob(f"got {len(indices)} --face-index for {len(faces)} --reference; give one for each.")
    others = {role: getattr(options, role) for role in OTHER_ROLES}
    return (
        *(
            Reference("face", face, index, "face" in whole)
            for face, index in zip(faces, indices, strict=True)
        ),
        *(Reference(role, path, whole_picture=role in whole) for role, path in others.items() if path),
    )


def add_benchmark(parser: argparse.ArgumentParser) -> None:
    """Which of the benchmark's videos."""
    add = parser.add_argument
    add("--task", choices=get_args(Task), help="which task (default: all that the preset can do)")
    add("--videos", type=int, help="how many of each set (default: all)")
    add("--benchmark", type=Path, help="folder with a benchmark.json (default: the drawn people's)")
    add("--people", type=Path, help="folder with a picture of each person, instead of the benchmark's")


def check_videos(count: int | None) -> None:
    """Refuse a number of videos of each set that is none."""
    if count is not None and count < 1:
        raise InvalidJob(f"--videos is {count}; give 1 or more, or leave it out for all.")


def add_preset(parser: argparse.ArgumentParser) -> None:
    """Which models."""
    parser.add_argument("--preset", choices=PRESETS, help=f"which models (default: {DEFAULT_PRESET})")


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Weights of one's own."""
    add = parser.add_argument
    add("--weights", type=Path, help="diffusers folder or a LoRA's file, in place of the preset's weights")
    add("--name", help="what the weights are called (default: as their folder or file is)")


def read_weights(options: argparse.Namespace) -> OwnWeights | None:
    """The weights of one's own that the options name, registered; None where the preset's are meant."""
    if options.weights is None:
        if options.name is not None:
            raise InvalidWeights("--name was given without --weights, which it names; give both or neither.")
        return None
    from concat_id.loading.own_weights import register_weights

    return register_weights(options.weights, options.preset or DEFAULT_PRESET, options.name)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where to compute."""
    parser.add_argument("--device", help="cuda, mps or cpu (default: the best there is)")


def add_memory(parser: argparse.ArgumentParser) -> None:
    """How much of a GPU."""
    parser.add_argument(
        "--memory", choices=get_args(MemoryMode), help=f"of the GPU (default: ${VARIABLE}, or all there is)"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """The form of the output."""
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
