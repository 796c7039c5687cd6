"""Where a video is to be written: settled and tried before the first step, not after the last one.

A file that is there is overwritten only if it was asked for by its name, or belongs to the video that was.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from concat_id.errors import OutputUnusable
from concat_id.files.folders import check_folder, quote
from concat_id.job import Job

SUFFIX = ".mp4"
# What ends like these is no folder's name, and no video of ours.
_OTHER_FILES = frozenset(
    ".mov .webm .mkv .avi .m4v .mpg .mpeg .wmv .flv .3gp .ts .ogv .gif .apng .webp .png .jpg .jpeg "
    ".heic .avif .bmp .tif .tiff .json .jsonl .txt .csv .zip .wav .mp3".split()
)
_MAX_NAME_BYTES = 255  # where the file system does not say it
_TRIES = 10_000


def choose_video(output: Path, job: Job) -> Path:
    """The MP4 that a resolved job is to be written to, after it was checked that it can be.

    Args:
        output: the MP4, or a folder; in a folder a name is taken that is free.
    """
    try:
        if "\0" in str(output):
            raise ValueError("a name has no zero byte")
        is_file_name = output.suffix.lower() == SUFFIX
        if is_file_name:
            _check_length(output, job)
        _check_kind(output)
        video = output if is_file_name else _free_name(output, job)
        _check_companions(video, job)
        check_folder(video.parent)
    except OutputUnusable:
        raise
    except (OSError, ValueError) as error:  # what no path can be
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputUnusable(
            f"nothing can be written to {quote(output)} ({reason}); give another output."
        ) from error
    return video


def list_companions(video: Path, job: Job) -> Iterator[Path]:
    """What is written beside a job's video: its pictures and the sidecar."""
    for number in range(1, len(job.references) + 1):
        yield video.with_name(f"{video.stem}-reference-{number}.png")
    yield video.with_suffix(".json")


def _check_kind(output: Path) -> None:
    """Refuse what is neither the name of an MP4 nor a folder's, or is the other one already."""
    suffix = output.suffix.lower()
    if suffix in _OTHER_FILES and not output.is_dir():
        raise OutputUnusable(
            f"{quote(output)} ends in '{output.suffix}', and what is written is an MP4; "
            f"give a name that ends in '{SUFFIX}', or a folder."
        )
    if suffix == SUFFIX and output.is_dir():
        raise OutputUnusable(
            f"{quote(output)} is a folder; give the name of a file in it, or of another folder."
        )
    if suffix != SUFFIX and output.is_file():
        raise OutputUnusable(
            f"{quote(output)} is a file where a folder is needed; give a folder, or a name in '{SUFFIX}'."
        )


def _free_name(folder: Path, job: Job) -> Path:
    """A name in a folder under which there is nothing yet."""
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-seed-{job.settings.seed}"
    for number in range(1, _TRIES):
        video = folder / f"{stem}{f'-{number}' if number > 1 else ''}{SUFFIX}"
        if not any(os.path.lexists(path) for path in (video, *list_companions(video, job))):
            return video
    raise OutputUnusable(f"{quote(folder)} is full of videos of this second; give another folder.")


def _check_length(video: Path, job: Job) -> None:
    """Refuse a name that is too long, or becomes so."""
    names = [path.name for path in (video, *list_companions(video, job))]
    surplus = max(len(os.fsencode(name)) for name in names) - _longest_name(video)
    if surplus > 0:
        raise OutputUnusable(
            f"the name {quote(video)} is {surplus} bytes too long with what is appended to it; shorten it."
        )


def _check_companions(video: Path, job: Job) -> None:
    """Refuse names that are taken by what does not belong to the video."""
    own = _list_own(video)
    for path in list_companions(video, job):
        if os.path.lexists(path) and (path.name not in own or path.is_dir()):
            raise OutputUnusable(
                f"{quote(path)} is there and would be overwritten; move it, or give the video another name."
            )


def _longest_name(video: Path) -> int:
    """How many bytes a name may have where a video is to be written."""
    existing = next(path for path in video.absolute().parents if path.exists())
    try:
        return os.pathconf(existing, "PC_NAME_MAX")
    except (OSError, ValueError, AttributeError):
        return _MAX_NAME_BYTES


def _list_own(video: Path) -> set[str]:
    """The names of the files that were written with a video that is there; empty where there is none."""
    sidecar = video.with_suffix(".json")
    try:
        report = json.loads(sidecar.read_text(encoding="utf-8")) if video.is_file() else {}
        return {sidecar.name, *(str(reference["picture"]) for reference in report["job"]["references"])}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
