"""The command line: `python -m concat_id generate | score | verify | evaluate | benchmark | convert | serve`.

    python -m concat_id generate --reference face.png --prompt "A person laughs on a beach." --output out.mp4
    python -m concat_id generate --task multi --reference left.png --reference right.png --prompt "..."
    python -m concat_id generate --task try-on --reference face.png --garment shirt.png --prompt "..."
    python -m concat_id generate --job out.json --output again.mp4
    python -m concat_id generate --jobs jobs.jsonl --output folder
    python -m concat_id score --reference face.png --video out.mp4
    python -m concat_id verify out.mp4
    python -m concat_id evaluate --videos 18 --output outputs/evaluation
    python -m concat_id evaluate --weights my-model --name mine
    python -m concat_id benchmark export folder
    python -m concat_id evaluate --videos-from folder
    python -m concat_id convert --checkpoint second_stage_adaln.pt --base wan2.1-t2v-1.3b --output folder
    python -m concat_id serve --preset embedded --replicas 2

Progress goes to standard error. With --json, the last line of standard output is one JSON object. What the
user can put right ends with exit code 2 and one sentence; `verify` ends with 1 where a file is not ours and
intact, `generate --jobs` where a job failed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from concat_id.commands import benchmark, convert, evaluate, generate, score, serve, verify
from concat_id.errors import InputError

COMMANDS = {
    "generate": (generate, "make a video of the people in pictures"),
    "score": (score, "score a video against reference pictures"),
    "verify": (verify, "say whether a video was made here and is unchanged"),
    "evaluate": (evaluate, "run the benchmark and report with intervals"),
    "benchmark": (benchmark, "write the benchmark for another system to make its videos"),
    "convert": (convert, "turn an authors' checkpoint into a diffusers folder"),
    "serve": (serve, "run replicas of a preset behind one address"),
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage around it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"concat_id: {message}; see {self.prog} --help.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except InputError as error:
        print(f"concat_id: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = _Parser("python -m concat_id", description="Videos of the people in pictures.")
    commands = parser.add_subparsers(required=True, metavar=" | ".join(COMMANDS))
    for name, (command, said) in COMMANDS.items():
        own = commands.add_parser(name, help=said)
        own.set_defaults(run=command.run)
        command.add_options(own)
    return parser


if __name__ == "__main__":
    sys.exit(main())
