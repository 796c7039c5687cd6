"""The tab "Single identity": one person's picture and a sentence become a video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from concat_id.generation import Preview, Result
from concat_id.job import Job
from concat_id.presets import PRESETS
from concat_id.ui import sidebar, stage
from concat_id.ui.desk import Desk, Restored, keep_values
from concat_id.ui.events import GPU_QUEUE, Runner
from concat_id.ui.reference_slot import (
    ReferenceSlot,
    build_reference_slot,
    fill_reference_slot,
    wire_reference_slot,
)
from concat_id.ui.settings import SettingsPanel, build_settings, fill_settings, wire_settings
from concat_id.ui.stage import Stage, build_stage
from concat_id.ui.texts import IDEAS, STOPPED

# On a phone the stage lies below the button.
SHOW_STAGE = "() => document.querySelector('#stage').scrollIntoView({block: 'nearest', behavior: 'smooth'})"


@dataclass(frozen=True)
class SingleTab:
    """The tab's components."""

    face: ReferenceSlot
    prompt: gr.Textbox
    settings: SettingsPanel
    start: gr.Button
    stop: gr.Button
    stage: Stage
    scores: gr.HTML

    @property
    def inputs(self) -> list[gr.components.Component]:
        """The form, in the order in which `Runner.make_job` takes it."""
        face = self.face
        return [face.picture, self.prompt, *self.settings.inputs, face.face_index, face.whole_picture]

    @property
    def filled(self) -> list[gr.components.Component]:
        """What a restored job changes."""
        return [self.prompt, *self.settings.inputs, *self.face.filled]

    @property
    def shown(self) -> list[gr.components.Component]:
        """What a run changes."""
        return [self.start, self.stop, self.scores, *self.stage.components]


def build_single_tab(desk: Desk) -> SingleTab:
    """Lay the tab out: the form on the left, the stage beside it."""
    preset = PRESETS[desk.runner.preset]
    with gr.Row(elem_classes="cid-columns"):
        with gr.Column(scale=5, min_width=250, elem_classes="cid-form"):
            face = build_reference_slot("Picture of a person", desk.examples)
            prompt = gr.Textbox(
                label="Prompt",
                placeholder="What does the person do, and where?",
                lines=2,
                max_lines=5,
                elem_id="prompt",
            )
            with gr.Column(elem_classes="cid-ideas", elem_id="ideas"):
                gr.Examples(
                    [[text] for text in IDEAS.values()], [prompt], label="Ideas", example_labels=list(IDEAS)
                )
            settings = build_settings(preset)
            with gr.Row(elem_classes="cid-actions"):
                start = gr.Button("Generate", variant="primary", size="lg", elem_id="generate")
                stop = gr.Button("Stop", variant="stop", size="lg", visible=False, elem_id="stop")
        with gr.Column(scale=7, min_width=300, elem_classes="cid-centre"):
            place = build_stage(preset)
    return SingleTab(face, prompt, settings, start, stop, place, desk.scores)


def wire_single_tab(tab: SingleTab, desk: Desk) -> None:
    """Connect the tab's parts, and its endpoint `/generate`."""
    runner = desk.runner
    wire_reference_slot(tab.face, desk.prepare)
    wire_settings(tab.settings)
    keep_values(desk.blocks, f"{runner.preset}-single", [tab.prompt, *tab.settings.inputs])
    quiet: dict[str, Any] = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_limit": None,
    }

    def begin(*form: Any) -> dict[Any, Any]:
        runner.make_job(*form)
        return _blank(tab, running=True)

    def run(visitor: str, *form: Any) -> Iterator[dict[Any, Any]]:
        job = runner.make_job(*form)
        for event in runner.run(job, visitor):
            yield _update(tab, event, job.settings.seed, runner.fps)

    begun = gr.on([tab.start.click, tab.prompt.submit], begin, tab.inputs, tab.shown, **quiet)
    tab.start.click(None, js=SHOW_STAGE, api_visibility="private")
    running = begun.success(
        run,
        [desk.visitor, *tab.inputs],
        tab.shown,
        show_progress="minimal",
        show_progress_on=tab.stage.canvas,
        api_visibility="private",
        **GPU_QUEUE,
    )
    # Also what follows a cancelled run: the page is cleared after the last preview came in, not before.
    running.failure(lambda: _blank(tab, running=False), None, tab.shown, **quiet)
    tab.stop.click(
        lambda: gr.Button("Stopping", interactive=False), None, tab.stop, cancels=[running], **quiet
    )

    def fill(restored: Restored) -> Any:
        return fill_form(tab, desk, restored.job) if restored.job.task == "single" else gr.skip()

    desk.restored.change(fill, desk.restored, tab.filled, **quiet)
    add_endpoint(tab, runner)


def fill_form(tab: SingleTab, desk: Desk, job: Job) -> dict[Any, Any]:
    """The updates that put a job into the form."""
    return {
        tab.prompt: job.prompt,
        **fill_reference_slot(tab.face, desk.prepare, job.references[0]),
        **fill_settings(tab.settings, job.settings),
    }


def add_endpoint(tab: SingleTab, runner: Runner) -> None:
    """The same run for programs: `client.predict(picture, prompt, api_name="/generate")`."""

    def generate(
        picture: str,
        prompt: str,
        negative_prompt: str,
        seed: float | None = None,
        steps: float | None = None,
        guidance: float | None = None,
        likeness: float | None = None,
        face_index: float | None = None,
        whole_picture: bool = False,
    ) -> Iterator[tuple[str | None, str | None, dict[str, Any]]]:
        """Make a video of the person in a picture.

        Args:
            picture: a picture with a face.
            prompt: what the person does, and where.
            negative_prompt: what the video should not show.
            seed: 0 to 2^32 - 1; none draws one.
            steps: denoising steps.
            guidance: how strictly the prompt is followed.
            likeness: strength of the reference; 1 is the method as it is.
            face_index: which face to take when there are several, counted from the largest; none takes that.
            whole_picture: skip the search for a face.

        Returns:
            The video's file, the file with all settings and scores, and a report: while running
            {"step", "total"}, at the end {"scores", "seed", "seconds"}.
        """
        form = (picture, prompt, negative_prompt, seed, steps, guidance, likeness, face_index, whole_picture)
        job = runner.make_job(*form)
        for event in runner.run(job):
            yield _report(event)

    seed = gr.Number(None, visible=False, label="Seed", precision=0)
    inputs = [seed if component is tab.settings.seed else component for component in tab.inputs]
    sidecar = gr.File(visible=False, label="Settings and scores")
    report = gr.JSON(visible=False, label="Report")
    trigger = gr.Button(visible=False)
    trigger.click(generate, inputs, [tab.stage.video, sidecar, report], api_name="generate", **GPU_QUEUE)


def _report(event: Preview | Result) -> tuple[str | None, str | None, dict[str, Any]]:
    """What a program gets for an event."""
    if isinstance(event, Preview):
        return None, None, {"step": event.index + 1, "total": event.total}
    scores = event.scores.to_dict() if event.scores else None
    report = {"scores": scores, "seed": event.job.settings.seed, "seconds": event.seconds}
    return str(event.video), str(event.sidecar), report


def _blank(tab: SingleTab, *, running: bool) -> dict[Any, Any]:
    """Nothing of an earlier run stays on screen."""
    canvas = stage.draw_waiting() if running else stage.draw_empty(STOPPED)
    return {
        tab.start: gr.Button(visible=not running),
        tab.stop: gr.Button("Stop", visible=running, interactive=True),
        tab.scores: sidebar.draw_idle(),
        **tab.stage.show_canvas(canvas),
    }


def _update(tab: SingleTab, event: Preview | Result, seed: int, fps: int) -> dict[Any, Any]:
    """What an event changes on screen."""
    if isinstance(event, Preview):
        return {
            tab.stage.canvas: tab.stage.frame(stage.draw_preview(event, fps)),
            tab.scores: sidebar.draw_preview(event, seed),
        }
    return {
        tab.start: gr.Button(visible=True),
        tab.stop: gr.Button(visible=False),
        tab.scores: sidebar.draw_result(event),
        **tab.stage.show_video(event),
    }
