"""A file of jobs becomes a folder of videos, one after the other; a batch that was stopped goes on.

A video's name ends with a digest of all that it is made of: the job, its pictures' contents, the model. So
the file may be edited between runs: what is there already is not made again, wherever its job stands.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from concat_id.errors import InputError, InvalidJob
from concat_id.files.folders import check_folder
from concat_id.files.text import read_text
from concat_id.generation import Progress, generate
from concat_id.job import Job
from concat_id.loading.load import weights_digest
from concat_id.references.roles import load_reference

LOGGER = logging.getLogger(__name__)

MAX_NAME_CHARACTERS = 40

_JSON = json.JSONDecoder()
_JSON_SPACE = re.compile(r"[ \t\r\n,\]]*")  # and what is left of a list with something wrong in it
# Only these end a line: others may stand in a prompt as they are.
_LINE_END = re.compile(r"\r\n|\n|\r")
_LINE_WITH_JOB = re.compile(r"(?:\r\n|\n|\r)[ \t]*\{")


@dataclass(frozen=True)
class Planned:
    """One job of a batch."""

    number: int  # in the file, from 1
    job: Job
    steps: int  # of denoising
    video: Path  # where it belongs


@dataclass(frozen=True)
class Outcome:
    """A job is done, or cannot be."""

    number: int  # in the file, from 1
    video: Path | None  # None if it failed
    is_new: bool  # made now, not by an earlier run
    error: str | None  # what went wrong, None if nothing did


def plan_batch(path: Path, output: Path) -> list[Planned | Outcome]:
    """Read a file of jobs, and name the videos.

    Args:
        path: JSON Lines, or a JSON list; pictures are relative to its folder.
        output: folder for the videos.

    Returns:
        What is to be made, in the file's order; outcomes for jobs that are wrong in themselves.
    """
    check_folder(output)
    repeats: Counter[str] = Counter()
    planned: list[Planned | Outcome] = []
    for number, data in enumerate(read_jobs(path), start=1):
        try:
            if isinstance(data, InvalidJob):
                raise data
            planned.append(_plan(number, Job.from_file(data, path.parent), output, repeats))
        except InputError as error:
            planned.append(Outcome(number, None, False, str(error)))
    return planned


def run_batch(
    planned: Sequence[Planned | Outcome], device: str | None = None, memory: str | None = None
) -> Iterator[Progress | Outcome]:
    """Make what is missing; a job that fails does not stop the others.

    Args:
        device, memory: see `load_pipeline`.

    Yields:
        The progress of each denoising step, and for each job its outcome.
    """
    for item in planned:
        if isinstance(item, Outcome):
            yield item
            continue
        is_new, error = not item.video.is_file(), None
        try:
            if is_new:
                for event in generate(item.job, item.video, preview_every=0, device=device, memory=memory):
                    if isinstance(event, Progress):
                        yield event
        except InputError as reason:
            error = str(reason)
        # Whatever goes wrong with one video: hours of others must not be lost.
        except Exception as reason:
            LOGGER.exception("job %d failed", item.number)
            error = f"{type(reason).__name__}: {reason}"
        yield Outcome(item.number, None if error else item.video, is_new and not error, error)


def read_jobs(path: Path) -> list[Any]:
    """The jobs of a file as JSON types, not checked yet; an `InvalidJob` for each line that is no JSON.

    JSON Lines and JSON lists are read, and objects over several lines, as programs write them.
    """
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise InvalidJob(
            f"'{path}' is not a readable file of jobs; give a JSON object on each line, or a JSON list."
        ) from error
    jobs, at = [], 0
    while (at := _JSON_SPACE.match(text, at).end()) < len(text):
        try:
            value, at = _JSON.raw_decode(text, at)
            jobs += value if isinstance(value, list) else [value]
        except (ValueError, RecursionError) as error:
            jobs.append(_name_line(path, text, at, error))
            at = _next_job(text, at)
    if jobs and all(isinstance(job, InvalidJob) for job in jobs):
        raise jobs[0]
    return jobs


def _name_line(path: Path, text: str, at: int, error: Exception) -> InvalidJob:
    """The refusal of what begins at a character."""
    line = _count_lines(text, at)
    why = (
        f"{error.msg.lower()} in line {_count_lines(text, error.pos)}"
        if isinstance(error, json.JSONDecodeError)
        else "it is nested too deep"
    )
    return InvalidJob(f"line {line} of '{path.name}' is no JSON: {why}; correct it or leave it out.")


def _count_lines(text: str, at: int) -> int:
    """The number of the line with a character, from 1."""
    return len(_LINE_END.findall(text, 0, at)) + 1


def _next_job(text: str, at: int) -> int:
    """Where, after a line that is no JSON, the next one begins that may be; the text's end if none does."""
    found = _LINE_WITH_JOB.search(text, at + 1)
    return found.end() - 1 if found else len(text)


def _plan(number: int, job: Job, output: Path, repeats: Counter[str]) -> Planned:
    """Check a job, and name its video."""
    resolved = job.resolve()
    pixels = [load_reference(reference).tobytes() for reference in job.references]
    origin = resolved.with_pictures([hashlib.sha256(picture).hexdigest() for picture in pixels]).to_dict()
    origin["settings"]["seed"] = job.settings.seed
    text = json.dumps([origin, weights_digest(job.preset)], sort_keys=True)
    # The same job once more without a seed asks for another video.
    digest = hashlib.sha256(f"{text}{repeats[text]}".encode()).hexdigest()[:16]
    repeats[text] += job.settings.seed is None
    said = re.sub(r"\W+", "-", job.prompt.lower())[:MAX_NAME_CHARACTERS].strip("-")
    return Planned(number, job, resolved.settings.num_inference_steps, output / f"{said}-{digest}.mp4")
