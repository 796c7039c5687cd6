"""Making another video beside those compared: like the first of them, with other settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr

from concat_id.errors import InvalidJob
from concat_id.generation import Preview, Result
from concat_id.job import Job
from concat_id.loading.presets import PRESETS, Preset
from concat_id.settings import Settings, read_settings
from concat_id.studio.comparison import VARIATIONS, presets_at_hand, vary
from concat_id.studio.runs import Run
from concat_id.ui.events import QUIET, as_sentences
from concat_id.ui.forms.settings import (
    KINDS,
    MODEL_KINDS,
    SettingsPanel,
    build_settings,
    fill_settings,
    wire_settings,
)
from concat_id.ui.page_context import PageContext
from concat_id.ui.panel import preview_area as stage

# The updates that put new runs beside the chosen ones; takes the names of both, and the visitor.
Join = Callable[[Sequence[str], Sequence[str], str], dict[Any, Any]]


@dataclass(frozen=True)
class VariationPanel:
    """The components."""

    group: gr.Column
    variations: dict[str, gr.Button]
    model: gr.Dropdown
    settings: SettingsPanel
    make: gr.Button
    stop: gr.Button
    preview: gr.HTML
    progress: gr.HTML

    @property
    def shown(self) -> list[Any]:
        """What a choice of runs changes."""
        return [self.group, self.model, *self.settings.inputs.values()]

    @property
    def running(self) -> list[Any]:
        """What a run changes."""
        return [self.preview, self.progress, self.stop]

    def offer(self, run: Run, models: Sequence[str]) -> dict[Any, Any]:
        """The updates that prepare another video like a run's.

        Args:
            models: names of presets.
        """
        job = run.job
        at_hand = presets_at_hand(job.task, models)
        choices = [(PRESETS[name].title, name) for name in at_hand]
        value = job.preset if job.preset in at_hand else next(iter(at_hand), None)
        return {
            self.model: gr.Dropdown(choices, value=value, visible=len(choices) > 1),
            **fill_settings(self.settings, job.settings),
        }

    def begin(self, settings: Settings) -> dict[Any, Any]:
        """The updates before a run."""
        shape = stage.read_shape(settings)
        return {
            self.preview: gr.HTML(stage.frame_drawing(stage.draw_waiting(), shape), visible=True),
            self.progress: gr.HTML(stage.frame_drawing(stage.draw_start(), shape), visible=True),
            self.stop: gr.Button("Stop", visible=True, interactive=True),
        }

    def rest(self) -> dict[Any, Any]:
        """The updates after a run."""
        drawings = {drawing: gr.HTML("", visible=False) for drawing in (self.preview, self.progress)}
        return {**drawings, self.stop: gr.Button(visible=False)}


def build_variation_panel(preset: Preset) -> VariationPanel:
    """Lay it out: one click for each variation, and below them settings of one's own."""
    with gr.Column(visible=False, elem_id="making", elem_classes="cid-making") as group:
        gr.HTML("<h3>Compare the first with &hellip;</h3>", container=False)
        with gr.Row(elem_classes="cid-variations"):
            variations = {name: gr.Button(name, size="md", min_width=120) for name in VARIATIONS}
        model = gr.Dropdown([], label="Model", visible=False, elem_id="compare-model")
        settings = build_settings(preset, "compare-")
        make = gr.Button("Make one with these settings", size="lg", elem_id="make")
        preview = gr.HTML(visible=False, elem_id="making-preview", elem_classes="cid-canvas", container=False)
        progress = gr.HTML(visible=False, elem_id="making-progress", container=False)
        stop = gr.Button("Stop", variant="stop", size="lg", visible=False, elem_id="stop-making")
    return VariationPanel(group, variations, model, settings, make, stop, preview, progress)


def wire_variation_panel(
    panel: VariationPanel, context: PageContext, chosen: gr.Dropdown, join: Join
) -> None:
    """Connect the buttons.

    Args:
        chosen: the names of the runs that are compared.
    """
    outputs = [*panel.running, chosen]

    def start(button: gr.Button, make_job: Callable[..., Job], form: Sequence[Any] = ()) -> Any:
        """Let a button run the job that is made from the first run and the values of a form."""
        begun = button.click(
            lambda names: panel.begin(_first_job(context, names).settings), chosen, outputs, **QUIET
        )
        running = begun.success(
            partial(_run, panel, context, join, make_job),
            [chosen, context.visitor, *form],
            outputs,
            show_progress="minimal",
            show_progress_on=panel.preview,
            api_visibility="private",
            **context.runner.queue,
        )
        running.failure(panel.rest, None, outputs, **QUIET)
        return running

    def fill(preset: str, names: list[str]) -> dict[Any, Any]:
        return fill_settings(panel.settings, _suggest(_first_job(context, names), preset))

    wire_settings(panel.settings)
    runs = [start(button, partial(_vary, name)) for name, button in panel.variations.items()]
    runs.append(start(panel.make, _read_form, [panel.model, *panel.settings.inputs.values()]))
    panel.stop.click(
        lambda: gr.Button("Stopping", interactive=False), None, panel.stop, cancels=runs, **QUIET
    )
    panel.model.input(fill, [panel.model, chosen], list(panel.settings.inputs.values()), **QUIET)


def _run(
    panel: VariationPanel,
    context: PageContext,
    join: Join,
    make_job: Callable[..., Job],
    chosen: list[str],
    visitor: str,
    *form: Any,
) -> Iterator[dict[Any, Any]]:
    """Make the video, and put it beside the others."""
    base = _first_job(context, chosen)
    with as_sentences():
        job = make_job(base, *form)
    shape = stage.read_shape(job.settings)
    for event in context.runner.run(job, visitor):
        if isinstance(event, Preview):
            drawing = stage.draw_preview(event, job.settings.fps)
            yield {panel.preview: stage.frame_drawing(drawing, shape)}
        if isinstance(event, Result):
            yield {**panel.rest(), **join(chosen, [event.video.parent.name], visitor)}
        else:
            yield {panel.progress: stage.frame_drawing(stage.draw_progress(event), shape)}


def _first_job(context: PageContext, names: Sequence[str]) -> Job:
    """What made the video that others are compared with."""
    with as_sentences():
        if not names:
            raise InvalidJob("there is no video to compare with yet; choose one.")
        return context.open(names[0]).job


def _vary(name: str, base: Job) -> Job:
    """One of the variations."""
    return vary(base, base.preset, VARIATIONS[name](base.settings))


def _read_form(base: Job, preset: str, *form: Any) -> Job:
    """What the form asks for.

    Args:
        form: as `SettingsPanel.inputs` has it.
    """
    values = dict(zip((kind.name for kind in KINDS), form, strict=True))
    return vary(base, preset, read_settings(values, base.settings))


def _suggest(base: Job, preset: str) -> Settings:
    """The settings to begin with for another model: its own steps and strengths."""
    own = {field: None for kind in MODEL_KINDS if not kind.is_text for field in kind.fields}
    settings = replace(base.settings, **own)
    return vary(base, preset, settings).settings
