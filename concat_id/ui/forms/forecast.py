"""What the video will take, in a line below the button: as the last run of the model was measured here."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from concat_id.errors import InputError
from concat_id.generation import PREVIEW_EVERY
from concat_id.job import Job
from concat_id.loading.presets import PRESETS
from concat_id.pace import forecast
from concat_id.references.reference import Reference
from concat_id.settings import read_settings
from concat_id.ui.events import QUIET
from concat_id.ui.texts import FORECAST, FORECAST_MEMORY, FORECAST_VIDEOS, NO_FORECAST

if TYPE_CHECKING:
    from gradio.events import Dependency

    from concat_id.ui.tasks import TaskForm


def build_forecast(page: str) -> gr.HTML:
    """Lay the line out.

    Args:
        page: goes before the element's name on pages that are not the first.
    """
    return gr.HTML(container=False, elem_id=f"{page}forecast")


def wire_forecast(
    line: gr.HTML,
    form: TaskForm,
    model: gr.Dropdown,
    videos: gr.Slider,
    settings: Mapping[str, gr.components.Component],
    blocks: gr.Blocks,
    run: Dependency,
) -> None:
    """Draw the line with the page, after each change, and after each run, which is measured.

    Args:
        settings: by the names that programs have for them.
    """

    def draw(model: str, videos: float | None, *values: Any) -> str:
        return draw_forecast(form, model, int(videos or 1), dict(zip(settings, values, strict=True)))

    inputs = [model, videos, *settings.values()]
    blocks.load(draw, inputs, line, **QUIET)
    gr.on([part.change for part in inputs], draw, inputs, line, trigger_mode="always_last", **QUIET)
    run.success(draw, inputs, line, **QUIET)


def draw_forecast(
    form: TaskForm,
    model: str,
    videos: int,
    values: Mapping[str, Any],
) -> str:
    """Time and memory for what the form asks for; nothing where it asks for what cannot be made.

    Args:
        values: of settings, by the names that programs have for them.
    """
    try:
        references = tuple(Reference(slot.role, "") for slot in form.slots if not slot.optional)
        job = Job(form.task, references, "anything", read_settings(values), model).resolve()
    except InputError:  # said where it is to be put right
        return ""
    return f'<p class="cid-hint">{escape(describe_forecast(job, videos))}</p>'


def describe_forecast(job: Job, videos: int = 1) -> str:
    """Time and memory for so many videos of a resolved job, in a sentence."""
    expected = forecast(job, preview_every=PREVIEW_EVERY)
    if expected is None:
        return NO_FORECAST.format(PRESETS[job.preset].memory_gb)
    duration = say_duration(videos * expected.seconds)
    said = FORECAST_VIDEOS.format(duration, videos) if videos > 1 else FORECAST.format(duration)
    if expected.memory_bytes is not None:
        said += FORECAST_MEMORY.format(expected.memory_bytes / 1e9)
    return f"{said}, as measured on this machine."


def say_duration(seconds: float) -> str:
    """A duration, no more exact than a forecast is."""
    if seconds < 90:
        return f"{max(1, round(seconds)):d} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{seconds / 3600:.1f} h"
