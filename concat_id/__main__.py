"""The command line: `python -m concat_id generate | score | verify | evaluate | convert`.

    python -m concat_id generate --reference face.png --prompt "A person laughs on a beach." --output out.mp4
    python -m concat_id generate --task multi --reference left.png --reference right.png --prompt "..."
    python -m concat_id generate --task try-on --reference face.png --garment shirt.png --prompt "..."
    python -m concat_id generate --job out.json --output again.mp4
    python -m concat_id score --reference face.png --video out.mp4
    python -m concat_id verify out.mp4
    python -m concat_id evaluate --videos 18 --output outputs/evaluation
    python -m concat_id convert --checkpoint second_stage_adaln.pt --base wan2.1-t2v-1.3b --output folder

Progress goes to standard error. With --json, the last line of standard output is one JSON object. What the
user can put right ends with exit code 2 and one sentence; `verify` ends with 1 where a file is not ours and
intact.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from concat_id.errors import InputError, InvalidJob
from concat_id.presets import DEFAULT_PRESET, PRESETS, Task

if TYPE_CHECKING:
    from concat_id.evaluation.run import Progress
    from concat_id.generation import Preview
    from concat_id.job import Job, Reference
    from concat_id.scoring import Target

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
        return options.run(options) or 0
    except InputError as error:
        print(f"concat_id: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    """The five commands and their options."""
    parser = _Parser("python -m concat_id", description="Videos of the people in pictures.")
    commands = parser.add_subparsers(required=True, metavar="generate | score | verify | evaluate | convert")
    _add_generate(commands.add_parser("generate", help="make a video of the people in pictures"))
    _add_score(commands.add_parser("score", help="score a video against reference pictures"))
    _add_verify(commands.add_parser("verify", help="say whether a video was made here and is unchanged"))
    _add_evaluate(commands.add_parser("evaluate", help="run the benchmark and report with intervals"))
    _add_convert(commands.add_parser("convert", help="turn an authors' checkpoint into a diffusers folder"))
    return parser


def _add_generate(parser: argparse.ArgumentParser) -> None:
    """Options of `generate`."""
    add = parser.add_argument
    parser.set_defaults(run=run_generate)
    add("--job", type=Path, help="JSON file with the whole job, such as a video's; instead of what follows")
    add("--task", help=f"what to make: {', '.join(get_args(Task))} (default: single)")
    _add_references(parser)
    add("--prompt", help="what should happen, in a sentence")
    add("--face-index", type=int, action="append", help="which face of each picture, 0 for the largest")
    add(
        "--whole-picture",
        action="append",
        nargs="?",
        const="face",
        choices=("face", "garment", "background"),
        help="use the pictures of this role as they are (default: face)",
    )
    add("--seed", type=int, help="0 to 4294967295 (default: random)")
    add("--steps", type=int, help="denoising steps (default: the preset's)")
    add("--guidance", type=float, help="strength of the prompt (default: the preset's)")
    add("--reference-guidance", type=float, help="strength of the likeness (default: the preset's)")
    add("--negative-prompt", help="what should not be seen (default: the preset's)")
    _add_preset(parser)
    add("--output", type=Path, default=Path("outputs"), help="MP4 file, or folder (default: outputs)")
    add("--device", help="cuda, mps or cpu (default: the best there is)")
    _add_json(parser)


def _add_score(parser: argparse.ArgumentParser) -> None:
    """Options of `score`."""
    parser.set_defaults(run=run_score)
    _add_references(parser)
    parser.add_argument("--video", type=Path, required=True, help="video to score")
    samplings = ("auto", "all", "consisid-16")
    parser.add_argument("--sampling", default="auto", choices=samplings, help="which frames (default: auto)")
    _add_preset(parser)
    _add_json(parser)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    """Options of `verify`."""
    parser.set_defaults(run=run_verify)
    parser.add_argument("file", type=Path, help="video to look at")
    _add_json(parser)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    """Options of `evaluate`."""
    add = parser.add_argument
    parser.set_defaults(run=run_evaluate)
    add("--task", choices=get_args(Task), help="which task (default: all that the preset can do)")
    add("--videos", type=int, help="how many of each set (default: all)")
    protocols = ("auto", "consisid-16", "opens2v-32")
    add("--protocol", default="auto", choices=protocols, help="which frames count (default: auto)")
    add("--benchmark", type=Path, help="folder with a benchmark.json (default: the drawn people's)")
    add("--people", type=Path, help="folder with a picture of each person, instead of the benchmark's")
    _add_preset(parser)
    add("--output", type=Path, default=Path("outputs/evaluation"), help="folder to write to and to go on in")
    add("--device", help="cuda, mps or cpu (default: the best there is)")
    _add_json(parser)


def _add_references(parser: argparse.ArgumentParser) -> None:
    """The pictures, for `generate` and `score`."""
    add = parser.add_argument
    add(
        "--reference",
        type=Path,
        action="append",
        help="picture of a person; once for each, from left to right",
    )
    add("--garment", type=Path, help="picture of what the person wears")
    add("--background", type=Path, help="picture of the place")


def _add_preset(parser: argparse.ArgumentParser) -> None:
    """Which models, for `generate` and `score`."""
    parser.add_argument("--preset", choices=PRESETS, help=f"which models (default: {DEFAULT_PRESET})")


def _add_json(parser: argparse.ArgumentParser) -> None:
    """The form of the output."""
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
    """The job that the options name or describe."""
    from concat_id.job import Job, Settings

    if options.job:
        _refuse_beside_job(options)
        return Job.load(options.job)
    if options.prompt is None:
        raise InvalidJob("there is no prompt; give --prompt, or a whole job by --job.")
    settings = Settings(
        seed=options.seed,
        num_inference_steps=options.steps,
        guidance_scale=options.guidance,
        reference_guidance_scale=options.reference_guidance,
        negative_prompt=options.negative_prompt,
    )
    return Job(
        options.task or "single",
        _read_references(options),
        options.prompt,
        settings,
        options.preset or DEFAULT_PRESET,
    )


def _refuse_beside_job(options: argparse.Namespace) -> None:
    """A job file says everything that determines a video."""
    others = set(vars(options)) - {"run", "job", "output", "device", "json"}
    given = [f"--{name.replace('_', '-')}" for name in sorted(others) if getattr(options, name) is not None]
    if given:
        raise InvalidJob(f"--job and {', '.join(given)} were both given; change the job's file instead.")


def _read_references(options: argparse.Namespace) -> tuple[Reference, ...]:
    """The references that the options describe, in the order of their roles."""
    from concat_id.job import Reference

    faces, whole = options.reference or [], options.whole_picture or []
    indices = options.face_index or [None] * len(faces)
    if len(indices) != len(faces):
        raise InvalidJob(f"got {len(indices)} --face-index for {len(faces)} --reference; give one for each.")
    others = {"garment": options.garment, "background": options.background}
    return (
        *(
            Reference("face", face, index, "face" in whole)
            for face, index in zip(faces, indices, strict=True)
        ),
        *(Reference(role, path, whole_picture=role in whole) for role, path in others.items() if path),
    )


def _show_progress(preview: Preview) -> None:
    """One line on standard error that is written over and over."""
    likeness = f", likeness {preview.scores.arcsim:.2f}" if preview.scores else ""
    line = f"step {preview.index + 1}/{preview.total}, {preview.seconds_left:.0f} s left{likeness}"
    print(f"\r{line:<60}", end="", file=sys.stderr, flush=True)


def run_score(options: argparse.Namespace) -> None:
    """Score a video."""
    if not options.reference:
        raise InvalidJob("there is nobody to compare with; give --reference.")
    from concat_id.video import read_video

    video = read_video(options.video)
    scores = _read_target(options).score(video.frames, sampling=options.sampling)
    _finish(options, scores=scores.to_dict(), video=str(options.video))


def _read_target(options: argparse.Namespace) -> Target:
    """What the options name to compare a video with."""
    from concat_id.pictures import load_picture
    from concat_id.presets import load_clothes_parser, load_face_tools
    from concat_id.references import prepare_background, prepare_garment
    from concat_id.scoring import Target

    preset = options.preset or DEFAULT_PRESET
    pictures = [load_picture(path) for path in options.reference]
    scorer = load_face_tools(preset).scorer
    faces = tuple(scorer.describe(picture) for picture in pictures)
    if not (options.garment or options.background):
        return Target(scorer, faces)
    parser = load_clothes_parser(preset)
    garment = options.garment and prepare_garment(load_picture(options.garment), parser).picture
    place = options.background and prepare_background(load_picture(options.background), parser).picture
    return Target(scorer, faces, parser, garment=garment, place=place)


def run_verify(options: argparse.Namespace) -> int:
    """Say where a video comes from. Returns the exit code."""
    from concat_id.provenance import verify

    report = verify(options.file)
    if options.json:
        _finish(options, **report.to_dict())
    else:
        print("\n".join(report.describe()))
    return 0 if report.is_ours else 1


def run_evaluate(options: argparse.Namespace) -> None:
    """Run the benchmark."""
    if options.videos is not None and options.videos < 1:
        raise InvalidJob(f"--videos is {options.videos}; give 1 or more, or leave it out for all.")
    from concat_id.evaluation.benchmark import DEFAULT_BENCHMARK
    from concat_id.evaluation.evaluate import Plan, evaluate

    plan = Plan(
        options.output,
        options.preset or DEFAULT_PRESET,
        task=options.task,
        videos=options.videos,
        protocol=options.protocol,
        benchmark=options.benchmark or DEFAULT_BENCHMARK,
        people=options.people,
        device=options.device,
    )
    done: list[Progress] = []

    def report_progress(progress: Progress) -> None:
        done.append(progress)
        _show_case(progress)

    report = evaluate(plan, report_progress)
    failed = sum(progress.error is not None for progress in done)
    _finish(options, scores=None, videos=len(done) - failed, failed=failed, report=str(report))


def _show_case(progress: Progress) -> None:
    """One line on standard error for each video."""
    state = progress.error or "done"
    print(f"{progress.number}/{progress.total} {progress.case.name}: {state}", file=sys.stderr, flush=True)


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


if __name__ == "__main__":
    sys.exit(main())
