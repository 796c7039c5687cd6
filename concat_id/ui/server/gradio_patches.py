"""Where Gradio offers no way, and one of its objects gets a method of ours: all such places.

Each replaces a method on one instance, never on a class, and was written for the version that
`requirements.txt` names; `tests/ui/test_gradio_patches.py` fails when an upgrade changes what it stands on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import gradio as gr

if TYPE_CHECKING:
    from fastapi import Request
    from gradio.data_classes import ImageData

Join = Callable[[Any, "Request", "str | None"], Awaitable[Any]]
WRITTEN_FOR = "6.31.0"


def replace_push(demo: gr.Blocks, wrap: Callable[[Join], Join]) -> None:
    """Let whoever joins the queue go through a function that is given the original way in.

    Gradio refuses when its queue is full, but for reasons that are its own.
    """
    demo._queue.push = wrap(demo._queue.push)


def list_waiting(demo: gr.Blocks, concurrency_id: str) -> list[Request]:
    """The requests of all events that wait in one of the queue's lines."""
    line = demo._queue.event_queue_per_concurrency_id.get(concurrency_id)
    return [event.request for event in (line.queue if line else ())]


def wrap_events(demo: gr.Blocks, context: Callable[[], AbstractContextManager[None]]) -> None:
    """Let every event, of the page and of programs, run within a context.

    Gradio's own messages name the server's folders and objects.
    """
    process = demo.process_api

    async def process_api(*arguments: Any, **options: Any) -> Any:
        with context():
            return await process(*arguments, **options)

    demo.process_api = process_api


def describe_input(component: gr.components.Component, about: Sequence[str | None], **facts: Any) -> None:
    """Let clients say more of an argument than its type.

    Args:
        about: sentences, after which comes what Gradio says itself.
        facts: more entries of the argument's JSON schema.
    """
    info = component.api_info_as_input()
    said = [*about, info.get("description"), info.get("additional_description")]
    info["additional_description"] = " ".join(filter(None, said))
    info |= facts
    component.api_info_as_input = lambda: info


def hand_over_file(image: gr.Image) -> None:
    """Let an image input give its event the uploaded file as it came, not what Gradio makes of it."""
    decode = image.preprocess

    def take_file(payload: ImageData | None) -> str | None:
        return payload.path if payload and payload.path else decode(payload)

    image.preprocess = take_file
