"""The files of a finished video: the MP4, its reference pictures, and the sidecar with all that made it.

`NAME.mp4`, `NAME-reference-1.png`, ... and `NAME.json` lie in one folder. The sidecar's job names the
pictures by file name alone, so that the folder can be moved, and its job run again wherever it lies.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from concat_id.errors import OutputLost
from concat_id.job import Job
from concat_id.output.provenance import sign_video
from concat_id.output.video import write_video
from concat_id.output.watermark import mark
from concat_id.scoring import Scores


@dataclass(frozen=True)
class ResultFiles:
    """Where everything was written."""

    video: Path
    sidecar: Path
    job: Job  # with the pictures beside the video
    seconds: float  # since the start


def describe_run(
    pictures: Sequence[Image.Image],
    notes: Sequence[Sequence[str]],
    scores: Scores | None,
    model: str,
    weights_sha256: str,
) -> dict[str, Any]:
    """What went in and what came out, besides the job; the same for every run of the same job."""
    references = [
        {"pixels_sha256": hashlib.sha256(picture.tobytes()).hexdigest(), "notes": list(said)}
        for picture, said in zip(pictures, notes, strict=True)
    ]
    return {
        "references": references,
        "scores": scores.to_dict() if scores else None,
        "model": {"title": model, "weights_sha256": weights_sha256},
        "versions": {name: version(name) for name in ("torch", "diffusers", "transformers")},
    }


def write_result(
    output: Path,
    job: Job,
    frames: np.ndarray,
    pictures: Sequence[Image.Image],
    facts: dict[str, Any],
    started: float,
) -> ResultFiles:
    """Write all files of a video, or none.

    Args:
        output: the MP4 to write, or a folder to write it into.
        job: resolved.
        frames: (T, H, W, 3) uint8.
        pictures: of the references, as loaded.
        facts: from `describe_run`.
        started: what `time.monotonic` said at the start.
    """

    def write(path: Path, report: dict[str, Any]) -> float:
        # Marked and signed, always. The report's scores are those of the frames before: they judge the model,
        # and the mark changes them by no more than encoding does (tests/benchmarks/benchmark_watermark.py).
        write_video(mark(frames), job.settings.fps, path, report)
        sign_video(path, facts["model"]["title"])
        return time.monotonic() - started

    return _write_all(_video_path(output, job), job, pictures, facts, write)


def write_received(
    video: Path, job: Job, data: bytes, pictures: Sequence[Image.Image], report: dict[str, Any]
) -> ResultFiles:
    """Write all files of a video that was made elsewhere, or none.

    Args:
        video: the MP4 to write.
        job: resolved.
        data: of the MP4, as it was written and signed there.
        pictures: of the references, as loaded.
        report: the content of the sidecar that was written there.
    """

    def write(path: Path, _: dict[str, Any]) -> float:
        path.write_bytes(data)
        return float(report["seconds"])

    facts = {name: value for name, value in report.items() if name not in ("job", "seconds")}
    return _write_all(video, job, pictures, facts, write)


def _write_all(
    video: Path,
    job: Job,
    pictures: Sequence[Image.Image],
    facts: dict[str, Any],
    write: Callable[[Path, dict[str, Any]], float],
) -> ResultFiles:
    """Write a video's files together.

    Args:
        write: writes the MP4, given where and the report for its metadata; gives the seconds since the start.
    """
    with _staging(video.parent) as folder:
        names = write_pictures(pictures, folder, video.stem)
        # People pass these files on: they name no folder of the maker's machine, nor what pictures were
        # called.
        report = {"job": job.with_pictures(names).to_dict()} | facts
        seconds = write(folder / video.name, report)
        text = json.dumps(report | {"seconds": round(seconds, 3)}, indent=2, ensure_ascii=False)
        sidecar = video.with_suffix(".json")
        (folder / sidecar.name).write_text(text + "\n", encoding="utf-8")
    beside = job.with_pictures([video.parent / name for name in names])
    return ResultFiles(video, sidecar, beside, seconds)


def write_pictures(pictures: Sequence[Image.Image], folder: Path, stem: str) -> list[str]:
    """Write a video's reference pictures, as loaded. Returns the names of the files."""
    names = [f"{stem}-reference-{number}.png" for number in range(1, len(pictures) + 1)]
    for name, picture in zip(names, pictures, strict=True):
        # A loaded picture carries no metadata. Compressed lightly: a photo takes seconds otherwise.
        picture.save(folder / name, compress_level=1)
    return names


def write_or_rescue(video: Path, write: Callable[[Path], ResultFiles]) -> ResultFiles:
    """Write all files of a video; where that fails, of a full disk for example, keep them elsewhere.

    Work of hours is not lost for a folder that went away.

    Args:
        video: the MP4 to write.
        write: writes it and what lies beside it, given where.
    """
    from c2pa import C2paError

    failures = (OSError, C2paError)
    try:
        return write(video)
    except failures as error:
        folder = Path(tempfile.mkdtemp(prefix="concat-id-"))
        try:
            write(folder / video.name)
            rest = f"it was kept in '{folder}'."
        except failures:
            shutil.rmtree(folder, ignore_errors=True)
            rest = "nor could it be kept elsewhere: make room, and run the job again."
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise OutputLost(f"the video could not be written to '{video}' ({reason}); {rest}") from error


def _video_path(output: Path, job: Job) -> Path:
    """The file to write."""
    if output.suffix.lower() == ".mp4":
        return output
    return output / f"{time.strftime('%Y%m%d-%H%M%S')}-seed-{job.settings.seed}.mp4"


@contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """A folder whose files move to the target together at the end; after a failure nothing is left behind."""
    new_folders = [folder for folder in (target, *target.parents) if not folder.exists()]
    target.mkdir(parents=True, exist_ok=True)
    moved = []
    try:
        with tempfile.TemporaryDirectory(dir=target, prefix=".") as folder:
            yield Path(folder)
            for file in sorted(Path(folder).iterdir()):
                os.replace(file, target / file.name)
                moved.append(target / file.name)
    except BaseException:
        for file in moved:
            file.unlink()
        with suppress(OSError):  # others may have written there meanwhile
            for folder in new_folders:
                folder.rmdir()
        raise
