"""Making and measuring the benchmark's videos, one after the other, so that a run can be stopped and goes on.

Below the output folder, by preset: `videos/CASE.mp4` with its sidecar, `results/CASE.json`, and for what
went wrong `results/CASE.error.json`, which is tried again by the next run.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from concat_id.errors import InputError
from concat_id.evaluation.benchmark import Case
from concat_id.evaluation.judges import Judges
from concat_id.evaluation.metrics import PROTOCOLS, Galleries, measure
from concat_id.files.atomic import replacing
from concat_id.generation import generate
from concat_id.loading.load import weights_digest
from concat_id.loading.memory import read_bits
from concat_id.output.video import read_video

LOGGER = logging.getLogger(__name__)


class Maker(Protocol):
    """What makes the videos of cases."""

    def key(self, case: Case) -> dict[str, Any]:
        """On what a video depends; if it changes, the video is made anew. It names no machine's folders."""

    def make(self, case: Case, video: Path) -> None:
        """Write the case's MP4."""


@dataclass(frozen=True)
class ModelMaker:
    """Makes videos with a preset.

    Args:
        preset: key of `PRESETS`.
        device, memory: see `load_pipeline`.
    """

    preset: str
    device: str | None = None
    memory: str | None = None

    def key(self, case: Case) -> dict[str, Any]:
        """The job, its pictures, the model's weights, and in how many bits if fewer than they have."""
        job = case.job(self.preset).resolve()
        pictures = [hashlib.sha256(Path(reference.picture).read_bytes()) for reference in job.references]
        return {
            "job": job.to_dict() | {"references": [picture.hexdigest() for picture in pictures]},
            "weights_sha256": weights_digest(self.preset),
        } | ({"bits": bits} if (bits := read_bits(self.memory)) else {})

    def make(self, case: Case, video: Path) -> None:
        """Run the case's job."""
        job, given = case.job(self.preset), {"device": self.device, "memory": self.memory}
        for _ in generate(job, video, preview_every=0, **given):
            pass


@dataclass(frozen=True)
class Progress:
    """One case is done."""

    case: Case
    number: int  # of the case, from 1
    total: int
    error: str | None  # what went wrong, None if nothing did


def run_cases(
    cases: Sequence[Case],
    folder: Path,
    judges: Judges,
    *,
    maker: Maker,
    protocol: str,
    galleries: Galleries,
) -> Iterator[Progress]:
    """Make and measure what is missing; a case that fails is written down and does not stop the others.

    Args:
        folder: the maker's folder in the output.
        protocol: key of `PROTOCOLS`.
        galleries: among whom the references in the videos are to be found again.
    """
    for number, case in enumerate(cases, start=1):
        path = result_path(folder, case)
        problem = path.with_suffix(".error.json")
        message = None
        try:
            key = maker.key(case) | {"protocol": protocol, "judges": judges.fingerprint}
            if _read(path).get("key") != key:
                video = make_video(case, folder / "videos", maker)
                result = _measure(case, video, judges, protocol, galleries)
                _write(path, {"key": key, **_describe(case), **result})
            problem.unlink(missing_ok=True)
        # Whatever goes wrong with one video: hours of others must not be lost.
        except Exception as error:
            if not isinstance(error, InputError):  # whose sentence says it all
                LOGGER.exception("%s failed", case.name)
            message = f"{type(error).__name__}: {error}"
            path.unlink(missing_ok=True)
            _write(problem, {"error": message})
        yield Progress(case, number, len(cases), message)


def make_video(case: Case, folder: Path, maker: Maker) -> Path:
    """The case's video: the one that is there if it was made of the same and by the same, else a new one."""
    video = folder / f"{case.name}.mp4"
    key_path = video.with_suffix(".key.json")
    key = maker.key(case)
    if video.is_file() and _read(key_path) == key:
        return video
    key_path.unlink(missing_ok=True)
    maker.make(case, video)
    _write(key_path, key)
    return video


def result_path(folder: Path, case: Case) -> Path:
    """Where a case's result lies."""
    return folder / "results" / f"{case.name}.json"


def load_results(folder: Path, cases: Sequence[Case]) -> list[dict[str, Any]]:
    """The results that are there, in the cases' order."""
    results = [_read(result_path(folder, case)) for case in cases]
    return [result for result in results if result]


def load_errors(folder: Path, cases: Sequence[Case]) -> dict[str, str]:
    """What went wrong, by the case's name."""
    found = {case.name: _read(result_path(folder, case).with_suffix(".error.json")) for case in cases}
    return {name: report["error"] for name, report in found.items() if report}


def _measure(case: Case, video: Path, judges: Judges, protocol: str, galleries: Galleries) -> dict[str, Any]:
    """A video's figures, from the file: the same whenever they are computed."""
    frames = read_video(video).frames
    return asdict(measure(case, frames, judges, protocol=PROTOCOLS[protocol], galleries=galleries))


def _describe(case: Case) -> dict[str, Any]:
    """What the report says of a case."""
    return {
        "name": case.name,
        "set": case.set_name,
        "category": case.category,
        "people": [person.name for person in case.people],
        "companion": case.companion.name if case.companion else None,
        "prompt": case.prompt,
        "truth": dict(case.truth),
    }


def _read(path: Path) -> dict[str, Any]:
    """A JSON file; empty if it is missing or was cut off."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _write(path: Path, data: dict[str, Any]) -> None:
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
