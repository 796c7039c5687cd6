"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

from concat_id.presets import DEFAULT_PRESET, PRESETS


def add_references(parser: argparse.ArgumentParser) -> None:
    """The pictures."""
    add = parser.add_argument
    add(
        "--reference",
        type=Path,
        action="append",
        help="picture of a person; once for each, from left to right",
    )
    add("--garment", type=Path, help="picture of what the person wears")
    add("--background", type=Path, help="picture of the place")


def add_preset(parser: argparse.ArgumentParser) -> None:
    """Which models."""
    parser.add_argument("--preset", choices=PRESETS, help=f"which models (default: {DEFAULT_PRESET})")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where to compute."""
    parser.add_argument("--device", help="cuda, mps or cpu (default: the best there is)")


def add_json(parser: argparse.ArgumentParser) -> None:
    """The form of the output."""
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
