"""`convert`: an authors' checkpoint becomes a diffusers folder."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `convert`."""
    parser.add_argument(
        "--checkpoint", type=Path, required=True, help="first_stage.pt or second_stage_adaln.pt"
    )
    parser.add_argument("--base", required=True, help="wan2.1-t2v-1.3b, or its diffusers folder")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")


def run(options: argparse.Namespace) -> None:
    """Convert a checkpoint."""
    from concat_id.models.convert import convert_checkpoint

    convert_checkpoint(options.checkpoint, options.base, options.output)
    print(f"output: {options.output}")
