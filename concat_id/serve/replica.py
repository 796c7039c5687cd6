"""A replica: a process of its own that holds the models and runs one job at a time."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from concat_id.errors import InputError
from concat_id.generation import generate
from concat_id.job import Job
from concat_id.loading.warm import warm_preset
from concat_id.serve.messages import Message, pack_error, pack_event

LOGGER = logging.getLogger(__name__)


class Replica:
    """Loads a preset when it is made; Ray Serve makes as many as were asked for.

    Args:
        device, memory: as for `generate`.
        folder: for the files of the job that runs.
    """

    def __init__(self, preset: str, device: str, memory: str | None, folder: Path) -> None:
        self._device = device
        self._memory = memory
        self._folder = folder
        # One thread for all jobs: the next one begins when the last step of a stopped one is over.
        self._thread = ThreadPoolExecutor(max_workers=1)
        warm_preset(preset, device, memory)

    async def run(self, job: Job, pictures: Sequence[bytes]) -> AsyncIterator[Message]:
        """The messages of a resolved job; cancelling it ends it within a step."""
        loop = asyncio.get_running_loop()
        messages = run_job(job, pictures, self._folder, self._device, self._memory)
        try:
            yield {"event": "started", "process": os.getpid()}
            while message := await loop.run_in_executor(self._thread, next, messages, None):
                yield message
        finally:
            # Shielded: who is cancelled while waiting for it must not count as free.
            await asyncio.shield(loop.run_in_executor(self._thread, messages.close))


def run_job(
    job: Job, pictures: Sequence[bytes], parent: Path, device: str, memory: str | None
) -> Iterator[Message]:
    """Run a resolved job in a folder that is gone afterwards; what the client can put right is a message."""
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder = Path(name)
        paths = [folder / f"picture-{number}" for number in range(1, len(pictures) + 1)]
        for path, picture in zip(paths, pictures, strict=True):
            path.write_bytes(picture)
        run = generate(job.with_pictures(paths), folder / "video.mp4", device=device, memory=memory)
        try:
            with closing(run) as events:
                for event in events:
                    yield pack_event(event)
        except InputError as error:
            yield pack_error(error)
