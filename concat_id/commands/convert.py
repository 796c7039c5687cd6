"""`convert`: an authors' checkpoint becomes a diffusers folder."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `convert`."""
    parser.add_argument(
        "--checkpoint",
        type=Path,
        required=True,
        help="first_stage.pt, second_stage_adaln.pt; of CogVideoX the folder with mp_rank_00_model_states.pt",
    )
    parser.add_argument(
        "--base", required=True, help="wan2.1-t2v-1.3b or cogvideox-5b, or its diffusers folder"
    )
    parser.add_argument(
        "--backbone", choices=("wan", "cogvideox"), default="wan", help="of the checkpoint (default: wan)"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder to write")


def run(options: argparse.Namespace) -> None:
    """Convert a checkpoint."""
    from concat_id.loading.convert import convert_checkpoint

    convert_checkpoint(options.checkpoint, options.base, options.output, options.backbone)
    print(f"output: {options.output}")
