"""What goes over the wire: a job as a form, and what becomes of it as lines of JSON.

A request is a form with the field `job`, JSON as `Job.to_dict` or a sidecar has it, and the files `pictures`,
one for each reference in their order. Whatever names the job has for pictures are passed over. The answer has
an object a line, told apart by "event":

    waiting    ahead: how many jobs begin before
    started    process: the replica's, on the machine of the backend; again after a replica died
    progress   index, total, seconds, seconds_left, notes, as of `Progress`
    preview    the same, with scores or null, and frames: one JPEG in base64 each
    result     seconds, notes, sidecar: the content of the file, and video: the MP4 in base64
    error      error: the name of a class of `concat_id.errors`, and message: a sentence

The last line is a result or an error; empty lines say that it goes on. Axes: T frames, H, W in px.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from concat_id import errors
from concat_id.errors import BackendFailed, InputError
from concat_id.generation import Preview, Progress, Result
from concat_id.job import TASK_ROLES, Job
from concat_id.references.pictures import load_picture
from concat_id.references.roles import ROLES
from concat_id.scoring import Scores
from concat_id.validation import either, require, show

Message = dict[str, Any]

JPEG_QUALITY = 90
MAX_JOB_BYTES = 2**20  # of a sidecar, too, with the scores of each frame
MAX_PICTURES = max(len(roles) for takes in TASK_ROLES.values() for roles in takes)


@dataclass(frozen=True)
class Waiting:
    """All replicas are busy with other jobs."""

    ahead: int  # jobs that begin before


def read_job(text: str | bytes, pictures: Sequence[bytes], presets: Sequence[str]) -> Job:
    """A request's job, checked with its pictures and resolved: running it twice gives the same video.

    Args:
        presets: names of those that can be asked for.

    Raises:
        InputError: what is wrong with it.
    """
    require(len(text) <= MAX_JOB_BYTES, f"the job has more than {MAX_JOB_BYTES // 2**20} MB.")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise errors.InvalidJob("the job is no JSON; send what lies beside every video.") from error
    job = Job.from_file(data, Path())
    require(
        len(pictures) == len(job.references),
        f"pictures are {len(pictures)} and references {len(job.references)}; "
        "send one for each, in their order.",
    )
    require(
        job.preset in presets,
        f"this backend makes videos of {either(presets)}, and not of {show(job.preset)}.",
    )
    job = job.with_pictures([""] * len(pictures)).resolve()
    for reference, picture in zip(job.references, pictures, strict=True):
        load_picture(picture, keep_alpha=ROLES[reference.role].keeps_alpha)
    return job


def pack_event(event: Progress | Result) -> Message:
    """An event of `generate` as JSON types."""
    if isinstance(event, Result):
        sidecar = json.loads(event.sidecar.read_text(encoding="utf-8"))
        video = _encode(event.video.read_bytes())
        return {
            "event": "result",
            "seconds": event.seconds,
            "notes": event.notes,
            "sidecar": sidecar,
            "video": video,
        }
    message = {
        "event": "progress",
        "index": event.index,
        "total": event.total,
        "seconds": event.seconds,
        "seconds_left": event.seconds_left,
        "notes": event.notes,
    }
    if isinstance(event, Preview):
        scores = event.scores.to_dict() if event.scores else None
        return message | {"event": "preview", "scores": scores, "frames": _encode_frames(event.frames)}
    return message


def unpack_progress(message: Message) -> Progress:
    """A step's progress, with its preview if it has one."""
    values = {name: message[name] for name in ("index", "total", "seconds", "seconds_left")}
    values["notes"] = tuple(message["notes"])
    if message["event"] == "progress":
        return Progress(**values)
    scores = Scores.from_dict(message["scores"]) if message["scores"] else None
    return Preview(**values, frames=_decode_frames(message["frames"]), scores=scores)


def unpack_video(message: Message) -> bytes:
    """The MP4 of a result."""
    return base64.b64decode(message["video"])


def pack_error(error: InputError) -> Message:
    """What was wrong, in a sentence."""
    return {"event": "error", "error": type(error).__name__, "message": str(error)}


def unpack_error(message: Message) -> InputError:
    """The same error here; one without a name of ours is a fault of the backend."""
    kind = getattr(errors, str(message.get("error")), None)
    is_ours = isinstance(kind, type) and issubclass(kind, InputError)
    return (kind if is_ours else BackendFailed)(str(message.get("message")))


def pack_waiting(waiting: Waiting) -> Message:
    """A place in the queue."""
    return {"event": "waiting", **asdict(waiting)}


def _encode_frames(frames: np.ndarray) -> list[str]:
    """Frames, (T, H, W, 3) uint8, as JPEGs: an animation would join those that are alike."""
    encoded = []
    for frame in frames:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=JPEG_QUALITY)
        encoded.append(_encode(buffer.getvalue()))
    return encoded


def _decode_frames(encoded: Sequence[str]) -> np.ndarray:
    """What `_encode_frames` was given, nearly."""
    opened = (Image.open(io.BytesIO(base64.b64decode(frame)), formats=["JPEG"]) for frame in encoded)
    return np.stack([np.asarray(frame.convert("RGB")) for frame in opened])


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
