"""Who may join the queue of runs: as many as may wait, and of each visitor as many as one may ask for.

Runs wait in Gradio's queue. What it refuses when it is full, it refuses for reasons that are its own, and for
programs without a word; here a refused run takes the place of an event that says why.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import gradio as gr

from concat_id.errors import InputError, QueueFull, TooManyRuns
from concat_id.limits import Limits
from concat_id.ui.events import QUIET, RUN_QUEUE, as_sentences
from concat_id.ui.server.gradio_patches import Join, list_waiting, replace_push

if TYPE_CHECKING:
    from fastapi import Request

HOUR_S = 3600
# Events of other kinds that may wait besides: each takes a moment.
MAX_BRIEF = 256


@dataclass(frozen=True)
class Admission:
    """Counts what visitors asked for; a visitor is who comes from an address."""

    limits: Limits
    asked: defaultdict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def admit(self, visitor: str, waiting: Sequence[str], now: float) -> None:
        """Count a run, or refuse it.

        Args:
            waiting: the visitors whose runs wait, one for each run.
            now: in seconds, from any start.
        """
        limits = self.limits
        if len(waiting) >= limits.queue_length:
            raise QueueFull(
                f"{len(waiting)} runs are waiting, as many as may wait here; try again in a few minutes."
            )
        own = waiting.count(visitor)
        if limits.waiting_per_visitor and own >= limits.waiting_per_visitor:
            raise QueueFull(
                f"{own} of your own are waiting, as many as one visitor's may; ask again when one has begun."
            )
        if limits.runs_per_hour:
            self._count(visitor, limits.runs_per_hour, now)

    def _count(self, visitor: str, most: int, now: float) -> None:
        """Refuse what is too much for the hour that ends now."""
        for name in [name for name, times in self.asked.items() if times[-1] <= now - HOUR_S]:
            del self.asked[name]
        times = self.asked[visitor]
        while times and times[0] <= now - HOUR_S:
            times.popleft()
        if len(times) >= most:
            minutes = -(-(times[0] + HOUR_S - now) // 60)
            raise TooManyRuns(
                f"you asked for {_count(most, 'run')} within an hour, as many as one visitor may; "
                f"ask again in {_count(round(minutes), 'minute')}."
            )
        times.append(now)


def open_queue(demo: gr.Blocks, limits: Limits) -> gr.Blocks:
    """Let events of the page and of programs wait, within the limits."""
    with demo:
        said = gr.Textbox(visible=False)
        refusal = gr.Button(visible=False).click(_refuse, said, None, **QUIET)
    # Without the routes past the queue: whoever took them would be served at once, beside the others.
    demo.queue(max_size=limits.queue_length + MAX_BRIEF, api_open=False)
    admission, lock = Admission(limits), asyncio.Lock()

    def admit_first(join: Join) -> Join:
        async def push(body: Any, request: Request, username: str | None) -> Any:
            fn = demo.fns.get(body.fn_index)
            if fn is None or fn.concurrency_id != RUN_QUEUE:
                return await join(body, request, username)
            async with lock:  # who is counted has joined before the next one is
                waiting = map(name_visitor, list_waiting(demo, RUN_QUEUE))
                try:
                    admission.admit(name_visitor(request), list(waiting), time.monotonic())
                except InputError as error:
                    body.fn_index, body.data = refusal["id"], [str(error)]
                return await join(body, request, username)

        return push

    replace_push(demo, admit_first)
    return demo


def _refuse(said: str) -> None:
    """Say why a run was not admitted."""
    with as_sentences():
        raise QueueFull(said)


def name_visitor(request: Request) -> str:
    """A visitor's address; of IPv6, whose owners have many, the network."""
    host = request.client.host if request.client else ""
    try:
        return str(ip_network(f"{host}/64", strict=False)) if ":" in host else host
    except ValueError:  # what a proxy made of it
        return host


def _count(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
