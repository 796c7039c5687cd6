"""The way in: takes jobs over HTTP, keeps each until its video is delivered, and counts them.

    POST /jobs      a job and its pictures; lines say how far it is, see `concat_id.serve.messages`
    GET /health     the presets, and how many of the replicas are up; 503 while none is
    GET /queue      how many jobs wait, and how many run
    GET /metrics    the same and what became of all jobs, as Prometheus reads it

Closing the connection stops the job. A replica that dies is replaced; its job begins anew on another one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from concat_id.errors import BackendFailed, InputError, InvalidJob, PictureTooLarge, QueueFull
from concat_id.job import Job
from concat_id.limits import read_limits
from concat_id.serve.messages import (
    MAX_JOB_BYTES,
    MAX_PICTURES,
    Message,
    Waiting,
    pack_error,
    pack_waiting,
    read_job,
)
from concat_id.serve.tally import Delivery, Tally

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle
    from starlette.types import ASGIApp, Receive, Scope, Send

LOGGER = logging.getLogger(__name__)

APPLICATION, REPLICA = "concat-id", "Replica"  # what Ray Serve calls them
ATTEMPTS = 3
# Often enough that a waiting job can be stopped, and that a connection that is gone is noticed.
HEARTBEAT_S = 2.0

STATUS = {QueueFull: HTTPStatus.SERVICE_UNAVAILABLE, PictureTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE}
DIED = (
    "the process that ran the job ended {} times before the video was finished; the backend's log says why."
)
FAILED = "something went wrong in the backend that is no fault of the job; its log says what."


class Router:
    """Hands jobs to replicas, which Ray Serve chooses.

    Args:
        replica: the deployment that runs jobs.
        presets: names of those that can be asked for.
        count: how many replicas there should be.
    """

    def __init__(self, replica: DeploymentHandle, presets: Sequence[str], count: int) -> None:
        self._run = replica.run.options(stream=True)
        self._presets = presets
        self._count = count
        self._limits = read_limits()
        self._tally = Tally()

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """What Ray Serve hands requests to."""
        return _name_disconnection(
            Starlette(
                routes=[
                    Route("/jobs", self.take, methods=["POST"]),
                    Route("/health", self.health),
                    Route("/queue", self.queue),
                    Route("/metrics", self.metrics),
                ]
            )
        )

    async def take(self, request: Request) -> Response:
        """Run a job."""
        try:
            self._check_room()
            text, pictures = await self._read_form(request)
            # Pictures are decoded, which takes a moment; a job that cannot work must not wait first.
            job = await asyncio.to_thread(read_job, text, pictures, self._presets)
            self._check_room()
        except InputError as error:
            self._tally.end("refused")
            status = STATUS.get(type(error), HTTPStatus.BAD_REQUEST)
            return JSONResponse(pack_error(error), status)
        lines = self._deliver(job, pictures)
        return StreamingResponse(lines, media_type="application/x-ndjson")

    async def health(self, _: Request) -> Response:
        """What there is."""
        from ray import serve

        status = await asyncio.to_thread(serve.status)
        states = status.applications[APPLICATION].deployments[REPLICA].replica_states
        up = states.get("RUNNING", 0)
        report = {"presets": self._presets, "replicas": self._count, "replicas_up": up}
        return JSONResponse(report, HTTPStatus.OK if up else HTTPStatus.SERVICE_UNAVAILABLE)

    async def queue(self, _: Request) -> Response:
        """How much there is to do."""
        return JSONResponse({"waiting": len(self._tally.waiting), "running": self._tally.running})

    async def metrics(self, _: Request) -> Response:
        """All figures."""
        return Response(self._tally.print(), media_type=CONTENT_TYPE_LATEST)

    def _check_room(self) -> None:
        """Refuse a job where as many wait as may."""
        waiting = len(self._tally.waiting)
        if waiting >= self._limits.queue_length:
            raise QueueFull(
                f"{waiting} jobs are waiting, as many as may wait here; try again in a few minutes."
            )

    async def _read_form(self, request: Request) -> tuple[str, list[bytes]]:
        """The job's text and the pictures of a request, of bearable size."""
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            raise InvalidJob("there is no job; send a form with the field 'job' and the files 'pictures'.")
        most = MAX_JOB_BYTES + MAX_PICTURES * self._limits.picture_bytes
        parser = MultiPartParser(
            request.headers,
            _bound(request.stream(), most),
            max_files=MAX_PICTURES,
            max_fields=1,
            max_part_size=MAX_JOB_BYTES,
        )
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise InvalidJob(
                f"the form cannot be read ({error.message}); "
                f"send the field 'job' and up to {MAX_PICTURES} files 'pictures'."
            ) from error
        try:
            text, files = form.get("job"), form.getlist("pictures")
            if not isinstance(text, str) or any(isinstance(file, str) for file in files):
                raise InvalidJob("the form lacks a job; send the field 'job', and 'pictures' as files.")
            return text, [await file.read() for file in files]
        finally:
            await form.close()

    async def _deliver(self, job: Job, pictures: Sequence[bytes]) -> AsyncIterator[bytes]:
        """The lines of a job to its end, which is its client's leaving, too."""
        # Not before the first line is asked for: a client may be gone by then.
        delivery = Delivery(self._tally)
        began, outcome, seconds = time.monotonic(), "stopped", None
        try:
            async with aclosing(self._insist(delivery, job, pictures)) as messages:
                async for message in messages:
                    if message["event"] == "result":
                        outcome, seconds = "done", time.monotonic() - began
                    elif message["event"] == "error":
                        outcome = "failed" if message["error"] == BackendFailed.__name__ else "refused"
                    yield b"\n" if message["event"] == "busy" else json.dumps(message).encode() + b"\n"
        finally:
            delivery.leave()
            self._tally.end(outcome, seconds)

    async def _insist(
        self, delivery: Delivery, job: Job, pictures: Sequence[bytes]
    ) -> AsyncIterator[Message]:
        """The messages of a job from whichever replica finishes it."""
        from ray.exceptions import RayActorError
        from ray.serve.exceptions import RequestCancelledError

        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with aclosing(self._attempt(delivery, job, pictures)) as messages:
                    async for message in messages:
                        yield message
                return
            except RayActorError:
                LOGGER.warning("a replica died at a job, attempt %d of %d", attempt, ATTEMPTS)
                if attempt < ATTEMPTS:
                    delivery.return_to_queue()
                    self._tally.restarted.inc()
            except RequestCancelledError:  # by Ray Serve, as the client has left
                return
            # Whatever else: its traceback belongs into this log, and not to the client.
            except Exception:
                LOGGER.exception("a job failed")
                yield pack_error(BackendFailed(FAILED))
                return
        yield pack_error(BackendFailed(DIED.format(ATTEMPTS)))

    async def _attempt(
        self, delivery: Delivery, job: Job, pictures: Sequence[bytes]
    ) -> AsyncIterator[Message]:
        """The messages of one replica, and what fills the time until they come."""
        messages = self._run.remote(job, pictures)
        pending = _ask_next(messages)
        try:
            while True:
                done, _ = await asyncio.wait({pending}, timeout=HEARTBEAT_S)
                if not done:
                    yield {"event": "busy"} if delivery.is_running else pack_waiting(Waiting(delivery.ahead))
                    continue
                message = pending.result()
                if message is None:
                    return
                delivery.begin()
                yield message
                pending = _ask_next(messages)
        finally:
            pending.cancel()
            messages.cancel()


def _ask_next(messages: AsyncIterator[Message]) -> asyncio.Future[Message | None]:
    """The next message, None at the end; what it ends with may be looked at by nobody, who may have left."""
    pending = asyncio.ensure_future(anext(messages, None))
    pending.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return pending


def _name_disconnection(app: ASGIApp) -> ASGIApp:
    """Let an application see a client leave as ASGI has it; from Ray Serve it can be an error."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        from ray.exceptions import TaskCancelledError

        async def receive_all() -> Message:
            try:
                return await receive()
            except TaskCancelledError:
                return {"type": "http.disconnect"}

        await app(scope, receive_all, send)

    return call


async def _bound(stream: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """A request's body as it comes in, so many bytes of it at most."""
    size = 0
    async for chunk in stream:
        size += len(chunk)
        if size > most:
            raise PictureTooLarge(f"the request has more than {most / 2**20:g} MB; send smaller pictures.")
        yield chunk
