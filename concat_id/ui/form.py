"""The tab of a task: references and a sentence become a video."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

import gradio as gr

from concat_id.comparison import MAX_SIDES
from concat_id.generation import Preview, Progress, Result
from concat_id.job import SEED_LIMIT, Job
from concat_id.presets import PRESETS
from concat_id.ui import sidebar, stage
from concat_id.ui.desk import Desk, Restored, keep_values
from concat_id.ui.endpoint import add_endpoint
from concat_id.ui.events import GPU_QUEUE, QUIET
from concat_id.ui.reference_slot import (
    ReferenceSlot,
    build_reference_slot,
    fill_reference_slot,
    wire_reference_slot,
)
from concat_id.ui.settings import SettingsPanel, build_settings, fill_settings, wire_settings
from concat_id.ui.stage import Stage, build_stage
from concat_id.ui.tasks import SETTINGS, TaskForm
from concat_id.ui.texts import STOPPED, UNKNOWN_WORDS
from concat_id.vocabulary import find_unknown_words

# On a phone the stage lies below the button.
SHOW_STAGE = (
    "() => document.querySelector('#{page}stage').scrollIntoView({{block: 'nearest', behavior: 'smooth'}})"
)


@dataclass(frozen=True)
class FormTab:
    """The tab's components."""

    form: TaskForm
    slots: tuple[ReferenceSlot, ...]
    prompt: gr.Textbox
    words: gr.HTML  # what the model does not know of the prompt
    settings: SettingsPanel
    videos: gr.Slider  # how many to make
    start: gr.Button
    stop: gr.Button
    stage: Stage
    scores: gr.HTML
    idle: str  # what `scores` shows while there is nothing to score

    @property
    def inputs(self) -> list[gr.components.Component]:
        """The form, in the order in which `TaskForm.make_job` takes it."""
        components = {"prompt": self.prompt, **dict(zip(SETTINGS, self.settings.inputs, strict=True))}
        for slot in self.slots:
            components |= {slot.kind.name: slot.picture, **slot.choices}
        return [components[name] for name in self.form.values]

    @property
    def filled(self) -> list[Any]:
        """What a restored job changes."""
        return [self.prompt, *self.settings.inputs, *(part for slot in self.slots for part in slot.filled)]

    @property
    def shown(self) -> list[gr.components.Component]:
        """What a run changes."""
        return [self.start, self.stop, self.scores, *self.stage.components]


def build_form_tab(
    form: TaskForm, desk: Desk, above: Mapping[str, gr.components.Component] = MappingProxyType({})
) -> FormTab:
    """Lay the tab out: the form on the left, the stage beside it.

    Args:
        above: what to place, not rendered yet, above the slots of these names.
    """
    preset, page = PRESETS[desk.runner.preset], form.page
    form = form.fit(preset)
    with gr.Row(elem_classes="cid-columns"):
        with gr.Column(scale=5, min_width=250, elem_classes="cid-form"):
            slots = tuple(
                build_reference_slot(
                    slot, desk.examples[slot.role], form.slot_page(slot), above.get(slot.name)
                )
                for slot in form.slots
            )
            prompt = gr.Textbox(
                label="Prompt", placeholder=form.question, lines=2, max_lines=5, elem_id=f"{page}prompt"
            )
            words = gr.HTML(visible=False, container=False, elem_id=f"{page}words", elem_classes="cid-words")
            with gr.Column(elem_classes="cid-ideas", elem_id=f"{page}ideas"):
                gr.Examples(
                    [[text] for text in form.ideas.values()],
                    [prompt],
                    label="Ideas",
                    example_labels=list(form.ideas),
                )
            settings = build_settings(preset, page)
            with gr.Row(elem_classes="cid-actions"):
                start = gr.Button("Generate", variant="primary", size="lg", elem_id=f"{page}generate")
                stop = gr.Button("Stop", variant="stop", size="lg", visible=False, elem_id=f"{page}stop")
            videos = gr.Slider(
                1,
                MAX_SIDES,
                1,
                step=1,
                precision=0,
                label="Videos",
                info="More than one: of the seeds that follow, to compare.",
                elem_id=f"{page}videos",
            )
        with gr.Column(scale=7, min_width=300, elem_classes="cid-centre"):
            place = build_stage(preset, page)
    idle = sidebar.draw_idle(form.task, desk.runner.preset)
    return FormTab(
        form, slots, prompt, words, settings, videos, start, stop, place, desk.scores[form.task], idle
    )


def wire_form_tab(tab: FormTab, desk: Desk) -> None:
    """Connect the tab's parts, and its endpoint."""
    runner, task = desk.runner, tab.form.task
    for slot in tab.slots:
        wire_reference_slot(slot, desk.prepare)
    wire_settings(tab.settings)
    tab.prompt.change(
        partial(note_unknown_words, runner.preset), tab.prompt, tab.words, trigger_mode="always_last", **QUIET
    )
    keep_values(desk.blocks, f"{runner.preset}-{task}", [tab.prompt, *tab.settings.inputs, tab.videos])

    def begin(*form: Any) -> dict[Any, Any]:
        tab.form.make_job(runner.preset, *form)
        return _blank(tab, running=True)

    def run(visitor: str, videos: int, *form: Any) -> Iterator[dict[Any, Any]]:
        jobs, made = follow_seed(tab.form.make_job(runner.preset, *form), int(videos)), []
        for job in jobs:
            if made:
                yield _blank(tab, running=True)
            which = f"Video {len(made) + 1} of {len(jobs)}. " if len(jobs) > 1 else ""
            for event in runner.run(job, visitor):
                yield _update(tab, event, job, runner.fps, which)
            made.append(event.video.parent.name)
        yield {
            tab.start: gr.Button(visible=True),
            tab.stop: gr.Button(visible=False),
            **(tab.stage.offer_comparison(made) if len(made) > 1 else {}),
        }

    begun = gr.on([tab.start.click, tab.prompt.submit], begin, tab.inputs, tab.shown, **QUIET)
    tab.start.click(None, js=SHOW_STAGE.format(page=tab.form.page), api_visibility="private")
    running = begun.success(
        run,
        [desk.visitor, tab.videos, *tab.inputs],
        tab.shown,
        show_progress="minimal",
        show_progress_on=tab.stage.canvas,
        api_visibility="private",
        **GPU_QUEUE,
    )
    # Also what follows a cancelled run: the page is cleared after the last preview came in, not before.
    running.failure(lambda: _blank(tab, running=False), None, tab.shown, **QUIET)
    tab.stop.click(
        lambda: gr.Button("Stopping", interactive=False), None, tab.stop, cancels=[running], **QUIET
    )

    tab.stage.compare.click(desk.compare, tab.stage.made, [desk.compared, desk.tabs], **QUIET)

    def fill(restored: Restored) -> Any:
        return fill_form(tab, desk, restored.job) if restored.job.task == task else gr.skip()

    desk.restored.change(fill, desk.restored, tab.filled, **QUIET)
    add_endpoint(tab.form, tab.inputs, tab.settings.seed, runner)


def fill_form(tab: FormTab, desk: Desk, job: Job) -> dict[Any, Any]:
    """The updates that put a job into the form."""
    updates = {tab.prompt: job.prompt, **fill_settings(tab.settings, job.settings)}
    for slot, reference in zip_longest(tab.slots, job.references[: len(tab.slots)]):
        updates |= fill_reference_slot(slot, desk.prepare, reference)
    return updates


def follow_seed(job: Job, count: int) -> list[Job]:
    """The resolved job and others that differ from it in the seed: the ones that follow its own."""
    seeds = [(job.settings.seed + number) % SEED_LIMIT for number in range(count)]
    return [replace(job, settings=replace(job.settings, seed=seed)) for seed in seeds]


def note_unknown_words(preset: str, prompt: str | None) -> gr.HTML:
    """The quiet line under a prompt with words that the model never read; None: on a tab not shown yet."""
    words = [f"\u201c{word}\u201d" for word in find_unknown_words(prompt or "", preset)]
    said = " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
    return gr.HTML(f"<p>{escape(UNKNOWN_WORDS.format(said))}</p>" if words else "", visible=bool(words))


def _blank(tab: FormTab, *, running: bool) -> dict[Any, Any]:
    """Nothing of an earlier run stays on screen."""
    canvas = stage.draw_waiting() if running else stage.draw_empty(STOPPED)
    return {
        tab.start: gr.Button(visible=not running),
        tab.stop: gr.Button("Stop", visible=running, interactive=True),
        tab.scores: tab.idle,
        **tab.stage.show_canvas(canvas, stage.draw_start() if running else ""),
    }


def _update(tab: FormTab, event: Progress | Result, job: Job, fps: int, which: str) -> dict[Any, Any]:
    """What an event changes on screen. Args: which: of several videos."""
    if isinstance(event, Progress):
        updates = {tab.stage.progress: tab.stage.frame(stage.draw_progress(event, which))}
        if isinstance(event, Preview):
            updates[tab.stage.canvas] = tab.stage.frame(stage.draw_preview(event, fps))
            updates[tab.scores] = sidebar.draw_preview(event, job)
        return updates
    return {tab.scores: sidebar.draw_result(event, event.frames), **tab.stage.show_video(event)}
