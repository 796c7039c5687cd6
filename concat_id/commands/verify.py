"""`verify`: where a video comes from."""

from __future__ import annotations

import argparse
from pathlib import Path

from concat_id.commands.options import add_json
from concat_id.commands.printing import finish


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `verify`."""
    parser.add_argument("file", type=Path, help="video to look at")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Say where a video comes from. Returns the exit code."""
    from concat_id.output.provenance import verify

    report = verify(options.file)
    if options.json:
        finish(options, **report.to_dict())
    else:
        print("\n".join(report.describe()))
    return 0 if report.is_ours else 1
