"""`generate`: a job, from options or from a file, becomes a video; a file of jobs, many."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from concat_id.commands.jobs import run_jobs
from concat_id.commands.options import (
    add_choices,
    add_device,
    add_json,
    add_memory,
    add_preset,
    add_references,
    add_settings,
    add_weights,
    read_references,
    read_settings_options,
    read_weights,
)
from concat_id.commands.printing import finish, say
from concat_id.errors import InvalidJob
from concat_id.files.text import read_text
from concat_id.loading.presets import DEFAULT_PRESET, Task

if TYPE_CHECKING:
    from concat_id.generation import Progress
    from concat_id.job import Job
    from concat_id.loading.loras import Lora
    from concat_id.scoring import Scores

# Steps between two previews, each of which is decoded and scored.
PREVIEW_EVERY = 5


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `generate`."""
    add = parser.add_argument
    add("--job", type=Path, help="JSON file with the whole job, such as a video's; instead of what follows")
    add("--jobs", type=Path, help="file with many jobs, one on each line or in a JSON list")
    add("--task", help=f"what to make: {', '.join(get_args(Task))} (default: single)")
    add_references(parser)
    add("--prompt", help="what should happen, in a sentence")
    extend_help = "let the language model that CONCAT_ID_PROMPT_API names write the prompt out"
    add("--extend-prompt", action="store_true", default=None, help=extend_help)
    add_choices(parser)
    add_settings(parser)
    add(
        "--lora",
        action="append",
        help="NAME or NAME:STRENGTH of a LoRA in the folder that CONCAT_ID_LORAS names",
    )
    add_preset(parser)
    add_weights(parser)
    add("--output", type=Path, default=Path("outputs"), help="MP4 file, or folder (default: outputs)")
    add_device(parser)
    add_memory(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Make a video, or many. Returns the exit code."""
    if options.jobs:
        _refuse_beside("jobs", options)
        return run_jobs(options)
    job = read_job(options).resolve()
    if options.extend_prompt:
        job = extend_prompt(job)
    if options.job:
        _warn_of_other_weights(options.job, job.preset)
    from concat_id.generation import Preview, Result, generate

    scores, notes, is_first = None, (), True
    for event in generate(
        job, options.output, preview_every=PREVIEW_EVERY, device=options.device, memory=options.memory
    ):
        if isinstance(event, Result):
            break
        if is_first:  # what is refused is refused without it
            _say_forecast(job, options)
            is_first = False
        if event.notes != notes:
            notes = event.notes
            say(notes)
        if isinstance(event, Preview):
            scores = event.scores
        _show_progress(event, scores)
    print(f"\r{'done':<60}", file=sys.stderr)
    say(event.notes[len(notes) :])
    finish(
        options,
        scores=event.scores.to_dict() if event.scores else None,
        seed=event.job.settings.seed,
        seconds=round(event.seconds, 3),
        **({"notes": event.notes} if options.json else {}),
        output=str(event.video),
        sidecar=str(event.sidecar),
    )
    return 0


def read_job(options: argparse.Namespace) -> Job:
    """The job that the options name or describe."""
    from concat_id.job import Job

    if options.job:
        _refuse_beside("job", options)
        return Job.load(options.job)
    if options.prompt is None:
        raise InvalidJob("there is no prompt; give --prompt, or a whole job by --job.")
    weights = read_weights(options)
    return Job(
        options.task or "single",
        read_references(options),
        options.prompt,
        read_settings_options(options),
        weights.name if weights else options.preset or DEFAULT_PRESET,
        tuple(read_lora(text) for text in options.lora or ()),
    )


def extend_prompt(job: Job) -> Job:
    """The job with a longer prompt; what is sent and what comes back is said."""
    from concat_id.prompts.service import URL, read_service

    service = read_service()
    if service is None:
        raise InvalidJob(f"there is no language model to extend the prompt; set {URL}, or leave it out.")
    extension = service.extend(job.prompt, job.preset)
    print(f"sent to {service.model} at {service.host}: {extension.instruction}", file=sys.stderr)
    print(f"sent: {extension.asked}\nprompt: {extension.answer}", file=sys.stderr)
    return replace(job, prompt=extension.answer, extension=extension)


def read_lora(text: str) -> Lora:
    """A LoRA from NAME or NAME:STRENGTH."""
    from concat_id.loading.loras import Lora

    name, _, strength = text.rpartition(":")
    try:
        return Lora(name, float(strength)) if name else Lora(text)
    except ValueError as error:
        raise InvalidJob(f"--lora is '{text}'; give NAME, or NAME:STRENGTH such as style:0.8.") from error


def _refuse_beside(file: str, options: argparse.Namespace) -> None:
    """A file of jobs says everything that determines its videos."""
    others = set(vars(options)) - {"run", file, "output", "device", "memory", "json"}
    given = [f"--{name.replace('_', '-')}" for name in sorted(others) if getattr(options, name) is not None]
    if given:
        raise InvalidJob(f"--{file} and {', '.join(given)} were both given; change the file instead.")


def _warn_of_other_weights(path: Path, preset: str) -> None:
    """Say that a sidecar's video will not come out the same."""
    from concat_id.loading.load import weights_digest

    report = json.loads(read_text(path))
    made_by = (report.get("model") or {}).get("weights_sha256")
    if made_by and made_by != weights_digest(preset):
        print(
            f"warning: '{path}' was made by other weights than '{preset}' has now: the video will differ.",
            file=sys.stderr,
        )


def _say_forecast(job: Job, options: argparse.Namespace) -> None:
    """What the run will take, where runs of its model were measured on this machine."""
    from concat_id.pace import forecast

    expected = forecast(job, preview_every=PREVIEW_EVERY, device=options.device, memory=options.memory)
    if expected:
        room = f" and {expected.memory_bytes / 1e9:.1f} GB" if expected.memory_bytes else ""
        print(f"about {expected.seconds:.0f} s{room}, as measured before", file=sys.stderr)


def _show_progress(progress: Progress, scores: Scores | None) -> None:
    """One line on standard error that is written over and over, with the latest preview's scores."""
    likeness = f", likeness {scores.arcsim:.2f}" if scores else ""
    line = f"step {progress.index + 1}/{progress.total}, {progress.seconds_left:.0f} s left{likeness}"
    print(f"\r{line:<60}", end="", file=sys.stderr, flush=True)
