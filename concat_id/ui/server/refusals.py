"""What Gradio refuses by itself, in sentences of ours: its own name the server's folders and objects.

An error that is nobody's input is written to the log with its traceback; the visitor learns that it is there.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr
from gradio.exceptions import InvalidPathError

from concat_id.ui.server.gradio_patches import wrap_events
from concat_id.ui.texts import NOT_UPLOADED, OUR_FAULT, WRONG_VALUES, WRONG_VALUES_COUNT, hide_paths

LOGGER = logging.getLogger(__name__)

# Of what a program gave, in Gradio's words.
_TOO_FEW = re.compile(r"didn't receive enough input values|Expected .* arguments|needed: \d+, got: \d+")
MAX_MESSAGE_CHARACTERS = 400


def answer_in_sentences(demo: gr.Blocks) -> gr.Blocks:
    """Let every event of a page answer with its result or a sentence."""
    wrap_events(demo, _in_sentences)
    return demo


@contextmanager
def _in_sentences() -> Iterator[None]:
    """Turn whatever comes up into what a visitor may read."""
    try:
        yield
    except gr.Error as error:
        error.message = _shorten(hide_paths(str(error.message)))
        raise
    except (StopIteration, StopAsyncIteration):  # how a generator ends
        raise
    except InvalidPathError as error:
        raise gr.Error(NOT_UPLOADED, print_exception=False) from error
    except Exception as error:
        if _TOO_FEW.search(str(error)):
            raise gr.Error(WRONG_VALUES_COUNT, print_exception=False) from error
        if _is_about_values(error):
            raise gr.Error(WRONG_VALUES, print_exception=False) from error
        LOGGER.exception("an event failed")
        raise gr.Error(OUR_FAULT, print_exception=False) from error


def _is_about_values(error: Exception) -> bool:
    """Whether Gradio could not read what was given to an event, before any code of ours saw it."""
    trace, names = error.__traceback__, []
    while trace:
        names.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    return "preprocess_data" in names or "validate_inputs" in names


def _shorten(message: str) -> str:
    """A message of bearable length: some repeat what they were given."""
    if len(message) <= MAX_MESSAGE_CHARACTERS:
        return message
    return f"{message[: MAX_MESSAGE_CHARACTERS - 60]} ... {message[-50:]}"
