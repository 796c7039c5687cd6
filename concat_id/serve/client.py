"""A backend that `python -m concat_id serve` runs, used as if it were this machine's own pipeline."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from concat_id.errors import BackendFailed, BackendUnavailable, InvalidJob
from concat_id.generation import Progress, Result
from concat_id.job import Job
from concat_id.output.destination import choose_video
from concat_id.output.video import read_video
from concat_id.output.video_files import write_or_rescue, write_received
from concat_id.references.roles import load_reference
from concat_id.scoring import Scores
from concat_id.serve.messages import (
    Message,
    Waiting,
    unpack_error,
    unpack_progress,
    unpack_video,
)

if TYPE_CHECKING:
    from PIL import Image

# Between two lines; the router lets no more than `HEARTBEAT_S` pass.
TIMEOUT = httpx.Timeout(60, connect=10)


@dataclass(frozen=True)
class Backend:
    """Where videos are made."""

    url: str
    presets: tuple[str, ...]  # names of those it makes videos with
    replicas: int  # how many jobs it runs at once

    @classmethod
    def connect(cls, url: str, preset: str) -> Backend:
        """The backend at an address.

        Raises:
            BackendUnavailable: where there is none, or it is not ready, or does not have the preset.
        """
        url = url.rstrip("/")
        with _answering(url):
            report = httpx.get(f"{url}/health", timeout=TIMEOUT).raise_for_status().json()
            backend = cls(url, tuple(report["presets"]), int(report["replicas"]))
        if preset not in backend.presets:
            raise BackendUnavailable(
                f"the backend at {url} has the presets {', '.join(backend.presets)}, and not {preset}; "
                "choose one of them by --preset."
            )
        return backend

    def generate(
        self, job: Job, output: Path, *, memory: str | None = None
    ) -> Iterator[Waiting | Progress | Result]:
        """What `concat_id.generation.generate` does, made there and written here.

        Progress begins anew where a replica died. The result's frames are those of the MP4, its scores those
        of the frames before.

        Args:
            output: the MP4 to write, or a folder to write it into.
            memory: None; it is the backend's.
        """
        if memory:
            raise InvalidJob(
                "how much of a GPU to use is settled where the backend was started; leave memory out."
            )
        job = job.resolve()
        video = choose_video(output, job)
        pictures = [load_reference(reference) for reference in job.references]
        for message in self._ask(job):
            match message["event"]:
                case "waiting":
                    yield Waiting(int(message["ahead"]))
                case "progress" | "preview":
                    yield unpack_progress(message)
                case "error":
                    raise unpack_error(message)
                case "result":
                    yield _write(message, video, job, pictures)
                    return
        raise BackendFailed(f"the backend at {self.url} ended without a video; try again.")

    def _ask(self, job: Job) -> Iterator[Message]:
        """Send a job, and give what comes back as it comes; closing it closes the connection."""
        files = [
            ("pictures", (f"picture-{number}", Path(reference.picture).read_bytes()))
            for number, reference in enumerate(job.references, start=1)
        ]
        # What pictures are called, and where they lie, is nobody's business.
        form = {"job": json.dumps(job.with_pictures([name for _, (name, _) in files]).to_dict())}
        with (
            _answering(self.url),
            httpx.stream("POST", f"{self.url}/jobs", data=form, files=files, timeout=TIMEOUT) as answer,
        ):
            if answer.status_code != HTTPStatus.OK:
                answer.read()
            for line in answer.iter_lines():
                if line:
                    yield json.loads(line)


@contextmanager
def _answering(url: str) -> Iterator[None]:
    """Turn what is wrong with a connection, or with what comes over it, into a sentence."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BackendUnavailable(
            f"there is no backend at {url}, or the connection was lost ({reason}); "
            "start one by `python -m concat_id serve`, or try again."
        ) from error


def _write(message: Message, video: Path, job: Job, pictures: Sequence[Image.Image]) -> Result:
    """The result, its files written here."""
    data, report = unpack_video(message), message["sidecar"]
    files = write_or_rescue(video, lambda path: write_received(path, job, data, pictures, report))
    scores = Scores.from_dict(report["scores"]) if report["scores"] else None
    frames = read_video(files.video).frames
    return Result(
        files.video, files.sidecar, files.job, scores, files.seconds, frames, tuple(message["notes"])
    )
