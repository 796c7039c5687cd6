"""The studio's runs: a folder for each, found again by its visitor alone, or by whoever knows its name.

`OWNER-SECRET/` holds a video with its sidecar and pictures (see `concat_id.output.video_files`), and what is
made of them for downloading. OWNER is a digest of the visitor's token and SECRET cannot be guessed: a name
may be passed on without giving away the visitor's other runs.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import secrets
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from concat_id.errors import InputError, RunNotFound
from concat_id.files.atomic import replacing
from concat_id.job import Job
from concat_id.output.video import read_video, write_gif
from concat_id.scoring import Scores

TOKEN = re.compile(r"[0-9a-f]{32}")
NAME = re.compile(r"[0-9a-f]{16}-[0-9a-f]{24}")
PACKED = (".mp4", ".gif", ".json", ".png")
# A folder without a video for so long is not being written: whoever did was interrupted.
UNFINISHED_S = 3600


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run, as its files tell it."""

    video: Path  # MP4; everything else of the run lies beside it
    report: dict[str, Any]  # the sidecar's content
    job: Job  # with all settings, and the pictures beside the video

    @property
    def name(self) -> str:
        """The folder's name: enough to find the run again."""
        return self.video.parent.name

    @property
    def model(self) -> str:
        """Which model made it."""
        return self.job.preset

    @property
    def has_settings(self) -> bool:
        """Whether the job's settings are those that made it."""
        return True

    @property
    def sidecar(self) -> Path:
        """The JSON file."""
        return self.video.with_suffix(".json")

    @property
    def seconds(self) -> float:
        """How long it took."""
        return float(self.report.get("seconds", 0.0))

    @cached_property
    def made(self) -> float:
        """When it was finished, in seconds since the epoch."""
        return self.video.stat().st_mtime

    @cached_property
    def scores(self) -> Scores | None:
        """None where there was no face to compare with."""
        scores = self.report.get("scores")
        return Scores.from_dict(scores) if scores else None

    @property
    def pictures_sha256(self) -> tuple[str, ...]:
        """What identifies the reference pictures, whatever their files are called."""
        return read_digests(self.report)

    def make_gif(self) -> Path:
        """The video as an animation, made at the first call."""
        path = self.video.with_suffix(".gif")
        if not path.exists():
            video = read_video(self.video)
            write_gif(video.frames, video.fps, path)
        return path

    def make_zip(self) -> Path:
        """All files of the run in one, made at the first call."""
        path = self.video.with_suffix(".zip")
        if not path.exists():
            self.make_gif()
            files = [file for file in self.video.parent.iterdir() if file.suffix in PACKED]
            write_zip({file.name: file for file in files}, path)
        return path


@dataclass(frozen=True)
class Library:
    """All runs under one folder; nothing outside of it is read, written or deleted."""

    outputs: Path

    def new_folder(self, visitor: str | None) -> Path:
        """A folder to write a run into, not made yet; without a visitor it is found by its name alone."""
        return self.outputs / f"{_owner(visitor) or secrets.token_hex(8)}-{secrets.token_hex(12)}"

    def list(self, visitor: str | None) -> list[Run]:
        """A visitor's runs, the newest first."""
        owner, runs = _owner(visitor), []
        for folder in self.outputs.glob(f"{owner}-*") if owner else ():
            try:
                runs.append(self.open(folder.name))
            except InputError:
                continue  # a run that is being written, or being deleted
        return sorted(runs, key=lambda run: run.made, reverse=True)

    def open(self, name: str) -> Run:
        """A run by its folder's name."""
        folder = self.outputs / name
        if not NAME.fullmatch(name) or folder.is_symlink():
            raise RunNotFound("there is no such run; its link is incomplete.")
        for sidecar in sorted(folder.glob("*.json")):
            video = sidecar.with_suffix(".mp4")
            if video.is_file():
                job = Job.load(sidecar)
                return Run(video, json.loads(sidecar.read_text(encoding="utf-8")), job)
        raise RunNotFound("this run is no longer there; it was deleted.")

    def delete(self, name: str, visitor: str | None) -> None:
        """Delete a visitor's run with all its files."""
        run = self.open(name)
        if not name.startswith(f"{_owner(visitor)}-"):
            raise RunNotFound("only who made a run can delete it.")
        shutil.rmtree(run.video.parent)

    def tidy(self, max_age_s: float | None, max_bytes: int | None) -> None:
        """Delete what is too old, then the oldest until the rest is small enough; None: no limit.

        A run that is being written stays, and so does everything that is no run.
        """
        now = time.time()
        weighed = map(_weigh, self.outputs.glob("*-*"))
        room = math.inf if max_bytes is None else max_bytes
        for made, size, folder in sorted(filter(None, weighed), reverse=True):
            room -= size
            if room < 0 or (max_age_s is not None and now - made > max_age_s):
                shutil.rmtree(folder, ignore_errors=True)  # its visitor may be deleting it, too


def _weigh(folder: Path) -> tuple[float, int, Path] | None:
    """When a run was made, its bytes, its folder; None for what is no run, or is being written or deleted."""
    if not NAME.fullmatch(folder.name) or folder.is_symlink():
        return None
    try:
        size = sum(file.lstat().st_size for file in folder.rglob("*"))
        videos = [file.stat().st_mtime for file in folder.glob("*.mp4")]
        made = max(videos, default=folder.stat().st_mtime)
    except FileNotFoundError:
        return None
    return (made, size, folder) if videos or time.time() - made > UNFINISHED_S else None


def _owner(visitor: str | None) -> str | None:
    """What the folders of a visitor begin with; None for what is no visitor's token."""
    if not isinstance(visitor, str) or not TOKEN.fullmatch(visitor):
        return None
    return hashlib.sha256(f"visitor {visitor}".encode()).hexdigest()[:16]


def read_digests(report: dict[str, Any]) -> tuple[str, ...]:
    """SHA-256 of each reference picture's pixels, from a sidecar or a video's metadata; empty if unknown."""
    try:
        return tuple(str(reference["pixels_sha256"]) for reference in report["references"])
    except (KeyError, TypeError):
        return ()


def write_zip(files: dict[str, Path], path: Path) -> Path:
    """Pack files in one step: what the archive calls them, and where they are."""
    # Videos and pictures are compressed already.
    with replacing(path) as unfinished, zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as archive:
        for name, source in sorted(files.items()):
            archive.write(source, name)
    return path


def _by(name: str) -> Callable[[Run], tuple[bool, float]]:
    """Sort by a score, the highest first and runs without it last."""

    def key(run: Run) -> tuple[bool, float]:
        value = getattr(run.scores, name, None)
        return value is None, -(value or 0.0)

    return key


# How runs can be ordered; each sort keeps the newest first among equals.
ORDERS: dict[str, Callable[[Run], Any]] = {
    "Newest": lambda run: -run.made,
    "ArcSim": _by("arcsim"),
    "CLIPDist": _by("clipdist"),
    "Face found": _by("face_rate"),
}
