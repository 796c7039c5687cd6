"""The tab of a task: references and a sentence become a video."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import gradio as gr

from concat_id.errors import InvalidJob
from concat_id.generation import Preview, Result
from concat_id.job import Job
from concat_id.loading.presets import PRESETS
from concat_id.prompts.extension import Extension
from concat_id.prompts.unread import describe_unread
from concat_id.prompts.vocabulary import find_unknown_words
from concat_id.settings import SEED_LIMIT, Settings
from concat_id.studio.comparison import MAX_SIDES
from concat_id.ui.events import QUIET, Event, as_sentences
from concat_id.ui.forms.abilities import build_abilities, show_abilities
from concat_id.ui.forms.forecast import build_forecast, wire_forecast
from concat_id.ui.forms.lora_choice import LoraChoice, build_lora_choice
from concat_id.ui.forms.memory_choice import build_memory_choice
from concat_id.ui.forms.model_choice import (
    ModelChoice,
    build_model_choice,
    draw_needs,
    follow_pace,
    list_suggested,
    suggest,
    wire_model_choice,
)
from concat_id.ui.forms.photo_choice import find_photo_model
from concat_id.ui.forms.prompt_help import PromptHelp, build_prompt_help, keep_extension, wire_prompt_help
from concat_id.ui.forms.reference_slot import (
    ReferenceSlot,
    build_reference_slot,
    fill_reference_slot,
    wire_photo_choice,
    wire_reference_slot,
)
from concat_id.ui.forms.settings import SettingsPanel, build_settings, fill_settings, wire_settings
from concat_id.ui.forms.video_format import FormatPanel, build_format, fill_format, wire_format
from concat_id.ui.page_context import PageContext, Restored, keep_values
from concat_id.ui.panel import preview_area as stage
from concat_id.ui.panel import sidebar
from concat_id.ui.panel.preview_area import Stage, build_stage
from concat_id.ui.server.endpoint import add_endpoint
from concat_id.ui.tasks import TaskForm
from concat_id.ui.texts import CHOOSE_FIRST, STOPPED, UNKNOWN_WORDS

if TYPE_CHECKING:
    from gradio.events import Dependency

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
    prompt_help: PromptHelp
    words: gr.HTML  # what the model does not know of the prompt
    abilities: gr.HTML  # what it knows
    choice: ModelChoice
    settings: SettingsPanel
    format: FormatPanel
    lora: LoraChoice
    memory: gr.Dropdown
    videos: gr.Slider  # how many to make
    forecast: gr.HTML  # what it will take
    start: gr.Button
    stop: gr.Button
    stage: Stage
    scores: gr.HTML

    @property
    def inputs(self) -> list[gr.components.Component]:
        """The form, in the order in which `TaskForm.make_job` takes it."""
        components = dict(self.kept)
        for slot in self.slots:
            components |= {slot.kind.name: slot.picture, **slot.choices}
        return [components[name] for name in self.form.values]

    @property
    def filled(self) -> list[Any]:
        """What a restored job changes."""
        parts = [part for slot in self.slots for part in slot.filled]
        return [*self.kept.values(), self.prompt_help.extension, *parts]

    @property
    def kept(self) -> dict[str, gr.components.Component]:
        """What a browser keeps, by the names that programs have for it."""
        panels = self.settings.inputs | {"model": self.choice.model} | self.format.inputs | self.lora.inputs
        return {"prompt": self.prompt} | panels | {"memory": self.memory}

    @property
    def shown(self) -> list[gr.components.Component]:
        """What a run changes."""
        return [self.start, self.stop, self.scores, *self.stage.components]


def build_form_tab(
    form: TaskForm, context: PageContext, above: Mapping[str, gr.components.Component] = MappingProxyType({})
) -> FormTab:
    """Lay the tab out: the form on the left, the stage beside it.

    Args:
        above: what to place, not rendered yet, above the slots of these names.
    """
    preset, page = PRESETS[context.runner.preset], form.page
    form = form.fit(preset)
    photo_model = find_photo_model(context.list_models(form))
    with gr.Row(elem_classes="cid-columns"):
        with gr.Column(scale=5, min_width=250, elem_classes="cid-form"):
            slots = tuple(
                build_reference_slot(
                    slot, context.examples[slot.role], form.slot_page(slot), above.get(slot.name), photo_model
                )
                for slot in form.slots
            )
            prompt = gr.Textbox(
                label="Prompt", placeholder=form.question, lines=2, max_lines=5, elem_id=f"{page}prompt"
            )
            words = gr.HTML(visible=False, container=False, elem_id=f"{page}words", elem_classes="cid-words")
            prompt_help = build_prompt_help(form, context.runner.preset)
            abilities = build_abilities(context.runner.preset, page)
            with gr.Column(elem_classes="cid-ideas", elem_id=f"{page}ideas"):
                gr.Examples(
                    [[text] for text in form.ideas.values()],
                    [prompt],
                    label="Ideas",
                    example_labels=list(form.ideas),
                )
            choice = build_model_choice(context.list_models(form), context.runner.preset, page)
            size = build_format(context.runner.preset, page)
            lora = build_lora_choice(page)
            memory = build_memory_choice(page, is_offered=context.runner.replicas is None)
            above = [choice.model, choice.needs, lora.name, lora.strength]
            above += [size.size, size.frames, size.cost, memory]
            settings = build_settings(preset, page, above=above)
            with gr.Row(elem_classes="cid-actions"):
                choice.pace.render()
                start = gr.Button("Generate", variant="primary", size="lg", elem_id=f"{page}generate")
                stop = gr.Button("Stop", variant="stop", size="lg", visible=False, elem_id=f"{page}stop")
            forecast = build_forecast(page)
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
    scores = context.scores[form.task]
    panels = abilities, choice, settings, size, lora, memory
    return FormTab(
        form, slots, prompt, prompt_help, words, *panels, videos, forecast, start, stop, place, scores
    )


def wire_form_tab(tab: FormTab, context: PageContext) -> None:
    """Connect the tab's parts, and its endpoint."""
    task, model = tab.form.task, tab.choice.model
    switched = _wire_photo_choices(tab, context)
    for slot in tab.slots:
        wire_reference_slot(slot, context.prepare_for, model, switched)
    wire_settings(tab.settings)
    wire_model_choice(tab.choice, tab.settings)
    wire_format(tab.format, model)
    wire_prompt_help(tab.prompt_help, tab.prompt, model)
    gr.on(
        [tab.prompt.change, model.change],
        note_unknown_words,
        [tab.prompt, model],
        tab.words,
        trigger_mode="always_last",
        **QUIET,
    )
    model.change(show_abilities, model, tab.abilities, **QUIET)
    # A model that is no longer offered is not brought back.
    key = "-".join([context.runner.preset, task, *context.list_models(tab.form)])
    keep_values(context.blocks, key, tab.kept | {"videos": tab.videos})
    _wire_run(tab, context)
    tab.stage.compare.click(context.compare, tab.stage.made, [context.compared, context.tabs], **QUIET)

    def fill(restored: Restored) -> Any:
        return fill_form(tab, context, restored.job) if restored.job.task == task else gr.skip()

    context.restored.change(fill, context.restored, tab.filled, **QUIET)
    add_endpoint(tab.form, tab.inputs, context.runner)


def _wire_photo_choices(tab: FormTab, context: PageContext) -> list[Dependency]:
    """What to do with photographs. Returns the events that chose the model for them."""
    photo_model = find_photo_model(context.list_models(tab.form))
    switched = []
    for slot in tab.slots:
        if slot.photo is None:
            continue
        wire_photo_choice(slot, context.describe, tab.choice.model)
        if slot.photo.switch:
            choose = partial(suggest, tab.choice, tab.settings, photo_model)
            changed = list_suggested(tab.choice, tab.settings)
            switched.append(slot.photo.switch.click(choose, None, changed, **QUIET))
    return switched


def _wire_run(tab: FormTab, context: PageContext) -> None:
    """From the click on Generate to the last video, or to Stop."""
    model = tab.choice.model
    checked = gr.State()  # the job, from the click to its run
    asked = [slot.photo.is_open for slot in tab.slots if slot.photo]

    def begin(extension: Extension | None, pace: str | None, *given: Any) -> dict[Any, Any]:
        if any(given[: len(asked)]):
            with as_sentences():
                raise InvalidJob(CHOOSE_FIRST)
        job = follow_pace(tab.form.make_job(*given[len(asked) :]), pace)
        return {
            checked: replace(job, extension=keep_extension(extension, job.prompt)),
            **_await(tab, job),
        }

    def run(visitor: str, videos: int, memory: str | None, job: Job) -> Iterator[dict[Any, Any]]:
        jobs, made = follow_seed(job, int(videos)), []
        for job in jobs:
            if made:
                yield _await(tab, job)
            which = f"Video {len(made) + 1} of {len(jobs)}. " if len(jobs) > 1 else ""
            for event in context.runner.run(job, visitor, memory or None):
                yield _update(tab, event, job, which)
            made.append(event.video.parent.name)
        yield {
            **_switch(tab, running=False),
            **(tab.stage.offer_comparison(made) if len(made) > 1 else {}),
        }

    begun = gr.on(
        [tab.start.click, tab.prompt.submit],
        begin,
        [tab.prompt_help.extension, tab.choice.pace, *asked, *tab.inputs],
        [checked, *tab.shown],
        **QUIET,
    )
    tab.start.click(None, js=SHOW_STAGE.format(page=tab.form.page), api_visibility="private")
    running = begun.success(
        run,
        [context.visitor, tab.videos, tab.memory, checked],
        tab.shown,
        show_progress="minimal",
        show_progress_on=tab.stage.canvas,
        api_visibility="private",
        **context.runner.queue,
    )
    # Also what follows a cancelled run: the page is cleared after the last preview came in, not before.
    running.failure(partial(_clear, tab), model, tab.shown, **QUIET)
    # What was fetched for it is there now.
    running.success(draw_needs, model, tab.choice.needs, **QUIET)
    settings = tab.settings.inputs | tab.format.inputs
    if context.runner.replicas is None:  # how fast a backend is, nobody here has measured
        wire_forecast(tab.forecast, tab.form, model, tab.videos, settings, context.blocks, running)
    tab.stop.click(
        lambda: gr.Button("Stopping", interactive=False), None, tab.stop, cancels=[running], **QUIET
    )


def fill_form(tab: FormTab, context: PageContext, job: Job) -> dict[Any, Any]:
    """The updates that put a job into the form."""
    model = job.preset if job.preset in context.list_models(tab.form) else context.runner.preset
    updates = {tab.prompt: job.prompt, tab.choice.model: model, **fill_settings(tab.settings, job.settings)}
    updates |= fill_format(tab.format, model, job.settings) | tab.lora.fill(job)
    updates[tab.prompt_help.extension] = job.extension
    left = list(job.references)
    for slot in tab.slots:
        reference = next((other for other in left if other.role == slot.kind.role), None)
        if reference:
            left.remove(reference)
        # It was used before, whatever it is.
        updates |= fill_reference_slot(slot, context.prepare_for(model), reference, keep=True)
    return updates


def follow_seed(job: Job, count: int) -> list[Job]:
    """The resolved job and others that differ from it in the seed: the ones that follow its own."""
    seeds = [(job.settings.seed + number) % SEED_LIMIT for number in range(count)]
    return [replace(job, settings=replace(job.settings, seed=seed)) for seed in seeds]


def note_unknown_words(prompt: str | None, preset: str) -> gr.HTML:
    """The quiet lines under a prompt that the model does not read in full; None: on a tab not shown yet."""
    words = [f"\u201c{word}\u201d" for word in find_unknown_words(prompt or "", preset)]
    said = " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
    lines = [UNKNOWN_WORDS.format(said)] if words else []
    lines += describe_unread(prompt or "", Settings(), preset)
    return gr.HTML("".join(f"<p>{escape(line)}</p>" for line in lines), visible=bool(lines))


def _await(tab: FormTab, job: Job) -> dict[Any, Any]:
    """Nothing of an earlier run stays on screen, and the next one is under way."""
    shown = tab.stage.show_canvas(stage.draw_waiting(), job.settings, stage.draw_start())
    return {**_switch(tab, running=True), tab.scores: sidebar.draw_idle(job.task, job.preset), **shown}


def _clear(tab: FormTab, model: str) -> dict[Any, Any]:
    """Nothing of an earlier run stays on screen."""
    shown = tab.stage.show_canvas(stage.draw_empty(STOPPED), PRESETS[model])
    return {**_switch(tab, running=False), tab.scores: sidebar.draw_idle(tab.form.task, model), **shown}


def _switch(tab: FormTab, *, running: bool) -> dict[Any, Any]:
    """Stop takes the place of Generate while there is something to stop."""
    return {
        tab.start: gr.Button(visible=not running),
        tab.stop: gr.Button("Stop", visible=running, interactive=True),
    }


def _update(tab: FormTab, event: Event, job: Job, which: str) -> dict[Any, Any]:
    """What an event changes on screen.

    Args:
        which: of several videos.
    """
    shape = stage.read_shape(job.settings)
    if not isinstance(event, Result):
        updates = {tab.stage.progress: stage.frame_drawing(stage.draw_progress(event, which), shape)}
        if isinstance(event, Preview):
            drawing = stage.draw_preview(event, job.settings.fps)
            updates[tab.stage.canvas] = stage.frame_drawing(drawing, shape)
            updates[tab.scores] = sidebar.draw_preview(event, job)
        return updates
    return {tab.scores: sidebar.draw_result(event, event.frames), **tab.stage.show_video(event)}
