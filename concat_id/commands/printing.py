"""What commands say on standard output."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any


def say(notes: Sequence[str]) -> None:
    """What the user should know of what was given, on standard error."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr, flush=True)


def finish(options: argparse.Namespace, **facts: Any) -> None:
    """Say what came out, for programs or for people."""
    if options.json:
        print(json.dumps(facts), flush=True)
        return
    scores = facts.pop("scores") or {}
    people, worst = scores.pop("people", []), scores.pop("worst", None)
    _print_figures(scores)
    for index, person in enumerate(people):
        print(f"person {index + 1}{', the least alike' if index == worst else ''}:")
        _print_figures(person, indent="  ")
    _print_figures(facts)


def _print_figures(figures: dict[str, Any], indent: str = "") -> None:
    """One line for each, but for those of single frames."""
    for name, value in figures.items():
        if name != "frames":
            print(f"{indent}{name}: {value:.3f}" if isinstance(value, float) else f"{indent}{name}: {value}")
