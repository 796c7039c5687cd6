"""The settings in a video that was made here, and its reference pictures where they are still at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from concat_id.errors import ForeignVideo
from concat_id.job import Job
from concat_id.output.video import read_metadata
from concat_id.references.pictures import load_picture
from concat_id.studio.runs import Run, read_digests


def restore_job(path: Path, runs: Iterable[Run], examples: Iterable[Path]) -> Job:
    """The job that made a video, resolved.

    The pictures are not in the file, but what identifies them is.

    Args:
        path: an MP4.
        runs: whose pictures may be taken.
        examples: more pictures that may be taken.

    Returns:
        The job; a reference whose picture was not found has an empty path.
    """
    report = read_metadata(path)
    if "job" not in report:
        raise ForeignVideo(
            f"'{path.name}' carries no settings; drop a video made here, as it was downloaded."
        )
    job = Job.from_dict(report["job"])
    wanted = read_digests(report)
    if len(wanted) != len(job.references):
        raise ForeignVideo(f"'{path.name}' does not say which pictures it was made of; drop another video.")
    known = {digest: picture for run in runs for digest, picture in _pictures(run)}
    if not set(wanted) <= set(known):
        known |= {digest_pixels(example): str(example) for example in examples}
    return job.with_pictures([known.get(digest, "") for digest in wanted]).resolve()


def _pictures(run: Run) -> Iterable[tuple[str, str]]:
    """What identifies each of a run's pictures, and its file."""
    return zip(run.pictures_sha256, (reference.picture for reference in run.job.references), strict=False)


def digest_pixels(picture: Path) -> str:
    """SHA-256 of a picture's pixels, as in the sidecar."""
    return hashlib.sha256(load_picture(picture).tobytes()).hexdigest()
