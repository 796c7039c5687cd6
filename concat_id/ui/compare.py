"""The tab "Compare": the same references and prompt through several settings, played side by side."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from concat_id.comparison import (
    MAX_SIDES,
    VARIATIONS,
    check_comparable,
    name_differences,
    presets_at_hand,
    vary,
)
from concat_id.errors import InvalidJob, NotComparable
from concat_id.generation import Preview, Result
from concat_id.job import Job
from concat_id.presets import PRESETS
from concat_id.runs import Run
from concat_id.ui import stage
from concat_id.ui.ballot import Ballot, build_ballot, build_tally, cast_vote, wire_tally
from concat_id.ui.compare_drawing import TRANSPORT, draw_notice, draw_scores, draw_side, draw_tally
from concat_id.ui.desk import Compared, Desk
from concat_id.ui.events import GPU_QUEUE, QUIET, as_sentences
from concat_id.ui.run_card import describe_age, describe_likeness
from concat_id.ui.settings import SettingsPanel, build_settings, fill_settings, read_seed, wire_settings
from concat_id.ui.texts import CHOOSE_RUNS, sentence

IN_STEP = Path(__file__).with_name("in_step.js")
MAX_LABEL_CHARACTERS = 48


@dataclass(frozen=True)
class Side:
    """One of the videos."""

    column: gr.Column
    name: gr.HTML
    video: gr.Video


@dataclass(frozen=True)
class CompareTab:
    """The tab's components."""

    chosen: gr.Dropdown  # the names of the runs
    blind: gr.Checkbox
    dealt: gr.State  # the names in the order in which they are shown
    sides: tuple[Side, ...]
    transport: gr.HTML
    notice: gr.HTML
    scores: gr.HTML
    ballot: Ballot
    # Making another one
    making: gr.Column
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
        sides = [part for side in self.sides for part in (side.column, side.name, side.video)]
        others = [self.transport, self.notice, self.scores, self.making, self.model, *self.settings.inputs]
        return [self.dealt, *sides, *others, *self.ballot.shown]


def build_compare_tab(desk: Desk) -> CompareTab:
    """Lay the tab out: the choice, the videos, the vote or the scores, and how to make another video."""
    preset = PRESETS[desk.runner.preset]
    with gr.Column(elem_id="compare-page", elem_classes="cid-wide"):
        with gr.Row(elem_classes="cid-compare-head"):
            chosen = gr.Dropdown(
                [],
                value=[],
                multiselect=True,
                max_choices=MAX_SIDES,
                label="Videos to compare",
                info=CHOOSE_RUNS,
                scale=4,
                elem_id="chosen",
            )
            blind = gr.Checkbox(
                label="Blind test",
                info="Hides which is which, and asks.",
                scale=1,
                min_width=180,
                elem_id="blind",
            )
        with gr.Row(elem_id="sides", elem_classes="cid-sides"):
            sides = tuple(_build_side(index) for index in range(MAX_SIDES))
        transport = gr.HTML(
            TRANSPORT, visible=False, js_on_load=IN_STEP.read_text("utf-8"), elem_id="transport"
        )
        notice = gr.HTML(container=False, elem_id="notice")
        group, questions, cast = build_ballot()
        scores = gr.HTML(container=False, elem_id="compare-scores")
        with gr.Column(visible=False, elem_id="making", elem_classes="cid-making") as making:
            gr.HTML("<h3>Compare the first with &hellip;</h3>", container=False)
            with gr.Row(elem_classes="cid-variations"):
                variations = {name: gr.Button(name, size="md", min_width=120) for name in VARIATIONS}
            model = gr.Dropdown([], label="Model", visible=False, elem_id="model")
            settings = build_settings(preset, "compare-")
            make = gr.Button("Make one with these settings", size="lg", elem_id="make")
            preview = gr.HTML(
                visible=False, elem_id="making-preview", elem_classes="cid-canvas", container=False
            )
            progress = gr.HTML(visible=False, elem_id="making-progress", container=False)
            stop = gr.Button("Stop", variant="stop", size="lg", visible=False, elem_id="stop-making")
        tally, export, csv = build_tally()
    return CompareTab(
        chosen=chosen,
        blind=blind,
        dealt=gr.State(()),
        sides=sides,
        transport=transport,
        notice=notice,
        scores=scores,
        ballot=Ballot(group, questions, cast, tally, export, csv),
        making=making,
        variations=variations,
        model=model,
        settings=settings,
        make=make,
        stop=stop,
        preview=preview,
        progress=progress,
    )


def _build_side(index: int) -> Side:
    """Lay out the place of one video."""
    with gr.Column(visible=False, min_width=220, elem_classes="cid-side") as column:
        name = gr.HTML(container=False)
        video = gr.Video(
            interactive=False, show_label=False, buttons=[], elem_id=f"side-{index}", elem_classes="cid-video"
        )
    return Side(column, name, video)


def wire_compare_tab(tab: CompareTab, desk: Desk) -> None:
    """Connect the choice of runs, the blind test, and the making of another video."""
    ballots = desk.ballots

    def deal(names: list[str], blind: bool) -> dict[Any, Any]:
        with as_sentences():
            runs = [desk.library.open(name) for name in names]
        if blind:
            random.shuffle(runs)
        return show_runs(tab, desk, runs, blind=blind)

    def vote(visitor: str, dealt: Sequence[str], *choices: int | None) -> dict[Any, Any]:
        with as_sentences():
            runs = [desk.library.open(name) for name in dealt]
            cast_vote(ballots, visitor, runs, choices)
        return {**show_runs(tab, desk, runs, blind=False), tab.ballot.tally: draw_tally(ballots.tally())}

    def refresh(visitor: str) -> dict[Any, Any]:
        return {
            tab.chosen: gr.Dropdown(list_choices(desk.library.list(visitor))),
            tab.ballot.tally: draw_tally(ballots.tally()),
        }

    def take(compared: Compared, chosen: list[str], visitor: str) -> dict[Any, Any]:
        choices = list_choices(desk.library.list(visitor))
        return {tab.chosen: gr.Dropdown(choices, value=join_names(desk, chosen, compared.names))}

    desk.tabs.change(refresh, desk.visitor, [tab.chosen, tab.ballot.tally], **QUIET)
    desk.compared.change(take, [desk.compared, tab.chosen, desk.visitor], tab.chosen, **QUIET)
    gr.on([tab.chosen.change, tab.blind.input], deal, [tab.chosen, tab.blind], tab.shown, **QUIET)
    questions = list(tab.ballot.questions.values())
    tab.ballot.cast.click(
        vote, [desk.visitor, tab.dealt, *questions], [*tab.shown, tab.ballot.tally], **QUIET
    )
    wire_tally(tab.ballot, ballots)
    _wire_making(tab, desk)


def _wire_making(tab: CompareTab, desk: Desk) -> None:
    """From the first of the chosen runs to another video beside it."""
    wire_settings(tab.settings)

    def begin(chosen: list[str]) -> dict[Any, Any]:
        with as_sentences():
            ratio = stage.read_ratio(_first(desk, chosen).job.settings)
        return {
            tab.preview: gr.HTML(stage.frame_drawing(stage.draw_waiting(), ratio), visible=True),
            tab.progress: gr.HTML(stage.frame_drawing(stage.draw_start(), ratio), visible=True),
            tab.stop: gr.Button("Stop", visible=True, interactive=True),
        }

    def run(job: Job, chosen: list[str], visitor: str) -> Iterator[dict[Any, Any]]:
        ratio = stage.read_ratio(job.settings)
        for event in desk.runner.run(job, visitor):
            if isinstance(event, Preview):
                drawing = stage.draw_preview(event, job.settings.fps)
                yield {tab.preview: stage.frame_drawing(drawing, ratio)}
            if not isinstance(event, Result):
                yield {tab.progress: stage.frame_drawing(stage.draw_progress(event), ratio)}
                continue
            choices = list_choices(desk.library.list(visitor))
            names = join_names(desk, chosen, [event.video.parent.name])
            yield {**_at_rest(tab), tab.chosen: gr.Dropdown(choices, value=names)}

    def run_variation(name: str, chosen: list[str], visitor: str) -> Iterator[dict[Any, Any]]:
        with as_sentences():
            base = _first(desk, chosen).job
            job = vary(base, base.preset, VARIATIONS[name](base.settings))
        yield from run(job, chosen, visitor)

    def run_own(chosen: list[str], visitor: str, preset: str, *form: Any) -> Iterator[dict[Any, Any]]:
        negative_prompt, seed, steps, guidance, likeness = form
        with as_sentences():
            base = _first(desk, chosen).job
            settings = replace(
                base.settings,
                negative_prompt=negative_prompt,
                seed=read_seed(seed),
                num_inference_steps=int(steps),
                guidance_scale=float(guidance),
                reference_guidance_scale=float(likeness),
            )
            job = vary(base, preset, settings)
        yield from run(job, chosen, visitor)

    def fill_model(preset: str, chosen: list[str]) -> dict[Any, Any]:
        base = _first(desk, chosen).job
        settings = replace(base.settings, num_inference_steps=None, guidance_scale=None)
        return fill_settings(tab.settings, vary(base, preset, settings).settings)

    inputs = [tab.chosen, desk.visitor]
    outputs = [tab.preview, tab.progress, tab.stop, tab.chosen]
    options: dict[str, Any] = {
        "show_progress": "minimal",
        "show_progress_on": tab.preview,
        "api_visibility": "private",
        **GPU_QUEUE,
    }

    def started(button: gr.Button) -> Any:
        return button.click(begin, tab.chosen, outputs, **QUIET)

    runs = [
        started(button).success(partial(run_variation, name), inputs, outputs, **options)
        for name, button in tab.variations.items()
    ]
    own = [*inputs, tab.model, *tab.settings.inputs]
    runs.append(started(tab.make).success(run_own, own, outputs, **options))
    for running in runs:
        running.failure(lambda: _at_rest(tab), None, outputs, **QUIET)
    tab.stop.click(lambda: gr.Button("Stopping", interactive=False), None, tab.stop, cancels=runs, **QUIET)
    tab.model.input(fill_model, [tab.model, tab.chosen], tab.settings.inputs, **QUIET)


def _at_rest(tab: CompareTab) -> dict[Any, Any]:
    """The updates after a run."""
    drawings = {drawing: gr.HTML("", visible=False) for drawing in (tab.preview, tab.progress)}
    return {**drawings, tab.stop: gr.Button(visible=False)}


def _first(desk: Desk, names: Sequence[str]) -> Run:
    """The run that others are compared with."""
    if not names:
        raise InvalidJob("there is no video to compare with yet; choose one.")
    return desk.library.open(names[0])


def show_runs(tab: CompareTab, desk: Desk, runs: Sequence[Run], *, blind: bool) -> dict[Any, Any]:
    """The updates that show runs side by side.

    Args:
        runs: in the order in which they are shown.
        blind: hide which is which, and ask.
    """
    hindrance = ""
    try:
        check_comparable(runs)
    except NotComparable as error:
        hindrance = sentence(error) if runs else ""
    asking = blind and not hindrance
    names = name_differences([run.job for run in runs])
    updates: dict[Any, Any] = {tab.dealt: tuple(run.name for run in runs)}
    for index, side in enumerate(tab.sides):
        here = index < len(runs)
        updates[side.column] = gr.Column(visible=here)
        updates[side.name] = draw_side(index, "" if asking or not here else names[index])
        updates[side.video] = str(runs[index].video) if here else None
    labels = [name or f"Video {index + 1}" for index, name in enumerate(names)]
    return {
        **updates,
        tab.transport: gr.HTML(visible=bool(runs)),
        tab.notice: draw_notice(hindrance),
        tab.scores: draw_scores(runs, labels) if runs and not asking else "",
        **tab.ballot.show(len(runs) if asking else 0),
        **_offer_making(tab, desk, runs),
        tab.making: gr.Column(visible=bool(runs) and not asking),
    }


def _offer_making(tab: CompareTab, desk: Desk, runs: Sequence[Run]) -> dict[Any, Any]:
    """The updates that prepare the making of another video like the first."""
    if not runs:
        return {}
    job = runs[0].job
    models = presets_at_hand(job.task, desk.runner.preset)
    choices = [(PRESETS[name].title, name) for name in models]
    value = job.preset if job.preset in models else desk.runner.preset
    return {
        tab.model: gr.Dropdown(choices, value=value, visible=len(choices) > 1),
        **fill_settings(tab.settings, job.settings),
    }


def join_names(desk: Desk, chosen: Sequence[str], new: Sequence[str]) -> list[str]:
    """Add runs to those on screen; what cannot be compared with them takes their place."""
    names = list(dict.fromkeys([*chosen, *new]))[-MAX_SIDES:]
    try:
        check_comparable([desk.library.open(name) for name in names])
    except NotComparable:
        return list(new)
    return names


def list_choices(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """How each run is called in the list, and its name."""
    return [(_label(run), run.name) for run in runs]


def _label(run: Run) -> str:
    """A run in a line."""
    prompt = run.job.prompt
    if len(prompt) > MAX_LABEL_CHARACTERS:
        prompt = f"{prompt[: MAX_LABEL_CHARACTERS - 1]}…"
    settings = run.job.settings
    facts = (
        f"likeness {describe_likeness(run.job)}, {settings.num_inference_steps} steps, seed {settings.seed}"
    )
    return f"{prompt} · {facts} · {describe_age(time.time() - run.made)}"
