"""The command line: `python -m concat_id generate | score | convert`.

    python -m concat_id generate --reference face.png --prompt "A person laughs on a beach." --output out.mp4
    python -m concat_id score --reference face.png --video out.mp4
    python -m concat_id convert --checkpoint second_stage_adaln.pt --base wan2.1-t2v-1.3b --output folder

Progress goes to standard error. With --json, the last line of standard output is one JSON object. What the
user can put right ends with exit code 2 and one sentence.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from concat_id.errors import InputError
from concat_id.presets import DEFAULT_PRESET, PRESETS

if TYPE_CHECKING:
    from concat_id.generation import Preview
    from concat_id.job import Job

# Steps between two reports of progress, each of which decodes and scores a preview.
PROGRESS_EVERY = 5


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage around it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"concat_id: {message}; see {self.prog} --help.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        options.run(options)
    except InputError as error:
        print(f"concat_id: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The three commands and their options."""
    parser = _Parser("python -m concat_id", description="Videos of the person in a picture.")
    commands = parser.add_subparsers(required=True, metavar="generate | score | convert")
    _add_generate(commands.add_parser("generate", help="make a video of the person in a picture"))
    _add_score(commands.add_parser("score", help="score a video against a reference picture"))
    _add_convert(commands.add_parser("convert", help="turn an authors' checkpoint into a diffusers folder"))
    return parser


def _add_generate(parser: argparse.ArgumentParser) -> None:
    """Options of `generate`."""
    add = parser.add_argument
    parser.set_defaults(run=run_generate)
    add("--task", default="single", help="what to make (default: single)")
    add("--reference", type=Path, required=True, help="picture of the person")
    add("--prompt", required=True, help="what should happen, in a sentence")
    add("--output", type=Path, default=Path("outputs"), help="MP4 file, or folder (default: outputs)")
    add("--face-index", type=int, help="which face, 0 for the largest (default: 0)")
    add("--whole-picture", action="store_true", help="use the picture as it is")
    add("--seed", type=int, help="0 to 4294967295 (default: random)")
    add("--steps", type=int, help="denoising steps (default: the preset's)")
    add("--guidance", type=float, help="strength of the prompt (default: the preset's)")
    add("--reference-guidance", type=float, help="strength of the likeness (default: the preset's)")
    add("--negative-prompt", help="what should not be seen (default: the preset's)")
    add("--device", help="cuda, mps or cpu (default: the best there is)")
    _add_common(parser)


def _add_score(parser: argparse.ArgumentParser) -> None:
    """Options of `score`."""
    parser.set_defaults(run=run_score)
    parser.add_argument("--reference", type=Path, required=True, help="picture of the person")
    parser.add_argument("--video", type=Path, required=True, help="video to score")
    samplings = ("auto", "all", "consisid-16")
    parser.add_argument("--sampling", default="auto", choices=samplings, help="which frames (default: auto)")
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    """Options of both `generate` and `score`."""
    parser.add_argument(
        "--preset", default=DEFAULT_PRESET, choices=PRESETS, help=f"which models (default: {DEFAULT_PRESET})"
    )
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")


def _add_convert(parser: argparse.ArgumentParser) -> None:
    """Options of `convert`."""
    parser.set_defaults(run=run_convert)
    parser.add_argument(
        "--checkpoint", type=Path, required=True, help="first_stage.pt or second_stage_adaln.pt"
    )
    parser.add_argument("--base", required=True, help="wan2.1-t2v-1.3b, or its diffusers folder")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")


def run_generate(options: argparse.Namespace) -> None:
    """Make a video."""
    job = _read_job(options).resolve()
    from concat_id.generation import Preview, generate

    for event in generate(job, options.output, preview_every=PROGRESS_EVERY, device=options.device):
        if isinstance(event, Preview):
            _show_progress(event)
    print(f"\r{'done':<60}", file=sys.stderr)
    _finish(
        options,
        scores=event.scores.to_dict() if event.scores else None,
        seed=event.job.settings.seed,
        seconds=round(event.seconds, 3),
        output=str(event.video),
        sidecar=str(event.sidecar),
    )


def _read_job(options: argparse.Namespace) -> Job:
    """The job that the options describe."""
    from concat_id.job import Job, Reference, Settings

    reference = Reference("face", str(options.reference), options.face_index, options.whole_picture)
    settings = Settings(
        seed=options.seed,
        num_inference_steps=options.steps,
        guidance_scale=options.guidance,
        reference_guidance_scale=options.reference_guidance,
        negative_prompt=options.negative_prompt,
    )
    return Job(options.task, (reference,), options.prompt, settings, options.preset)


def _show_progress(preview: Preview) -> None:
    """One line on standard error that is written over and over."""
    likeness = f", likeness {preview.scores.arcsim:.2f}" if preview.scores else ""
    line = f"step {preview.index + 1}/{preview.total}, {preview.seconds_left:.0f} s left{likeness}"
    print(f"\r{line:<60}", end="", file=sys.stderr, flush=True)


def run_score(options: argparse.Namespace) -> None:
    """Score a video."""
    from concat_id.pictures import load_picture
    from concat_id.presets import load_face_tools
    from concat_id.video import read_video

    picture, video = load_picture(options.reference), read_video(options.video)
    scorer = load_face_tools(options.preset).scorer
    scores = scorer.score(scorer.describe(picture), video.frames, sampling=options.sampling)
    _finish(options, scores=scores.to_dict(), video=str(options.video))


def run_convert(options: argparse.Namespace) -> None:
    """Convert a checkpoint."""
    from concat_id.models.convert import convert_checkpoint

    convert_checkpoint(options.checkpoint, options.base, options.output)
    print(f"output: {options.output}")


def _finish(options: argparse.Namespace, **facts: Any) -> None:
    """Say what came out, for programs or for people."""
    if options.json:
        print(json.dumps(facts), flush=True)
        return
    scores = facts.pop("scores") or {}
    for name, value in {**scores, **facts}.items():
        if name != "frames":
            print(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}")


if __name__ == "__main__":
    sys.exit(main())
