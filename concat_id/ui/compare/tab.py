"""The tab "Compare": the same references and prompt through several settings, played side by side."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from concat_id.errors import NotComparable
from concat_id.loading.presets import PRESETS
from concat_id.studio.comparison import MAX_SIDES, TRAITS, check_comparable, name_differences
from concat_id.studio.evaluated import EvaluatedRun
from concat_id.studio.runs import Run
from concat_id.ui.compare.ballot import Ballot, build_ballot, build_tally, cast_vote, wire_tally
from concat_id.ui.compare.drawing import TRANSPORT, draw_notice, draw_scores, draw_side, draw_tally
from concat_id.ui.compare.variation_panel import VariationPanel, build_variation_panel, wire_variation_panel
from concat_id.ui.events import QUIET, as_sentences
from concat_id.ui.page_context import Compared, PageContext
from concat_id.ui.panel.preview_area import show_clip
from concat_id.ui.runs.run_card import describe_age
from concat_id.ui.scripts import read_script
from concat_id.ui.texts import CHOOSE_CASE, CHOOSE_RUNS, DELETED, sentence

MAX_LABEL_CHARACTERS = 48
# One after the other: an event that began earlier must not undo the choices that a later one offers.
IN_TURN = QUIET | {"concurrency_id": "choices", "concurrency_limit": 1}


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
    case: gr.Dropdown  # of the evaluation
    blind: gr.Checkbox
    dealt: gr.State  # the names in the order in which they are shown
    sides: tuple[Side, ...]
    transport: gr.HTML
    notice: gr.HTML
    scores: gr.HTML
    ballot: Ballot
    variations: VariationPanel

    @property
    def shown(self) -> list[Any]:
        """What a choice of runs changes."""
        sides = [part for side in self.sides for part in (side.column, side.name, side.video)]
        others = [self.transport, self.notice, self.scores]
        return [self.dealt, *sides, *others, *self.variations.shown, *self.ballot.shown]


def build_compare_tab(context: PageContext) -> CompareTab:
    """Lay the tab out: the choice, the videos, the vote or the scores, and how to make another video."""
    with gr.Column(elem_id="compare-page", elem_classes="cid-wide"):
        chosen, case, blind = _build_choice(context.evaluated.list_cases())
        with gr.Row(elem_id="sides", elem_classes="cid-sides"):
            sides = tuple(_build_side(index) for index in range(MAX_SIDES))
        transport = gr.HTML(TRANSPORT, visible=False, js_on_load=read_script("in_step"), elem_id="transport")
        notice = gr.HTML(container=False, elem_id="notice")
        group, questions, cast = build_ballot()
        scores = gr.HTML(container=False, elem_id="compare-scores")
        variations = build_variation_panel(PRESETS[context.runner.preset])
        tally, export, csv = build_tally()
    ballot = Ballot(group, questions, cast, tally, export, csv)
    return CompareTab(chosen, case, blind, gr.State(()), sides, transport, notice, scores, ballot, variations)


def _build_choice(cases: Sequence[str]) -> tuple[gr.Dropdown, gr.Dropdown, gr.Checkbox]:
    """Lay out what is compared, and whether blindly.

    Args:
        cases: of the evaluation.
    """
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
        case = gr.Dropdown(
            [*cases],
            value=None,
            label="Of the evaluation",
            info=CHOOSE_CASE,
            visible=bool(cases),
            scale=1,
            min_width=180,
            elem_id="case",
        )
        blind = gr.Checkbox(
            label="Blind test",
            info="Hides which is which, and asks.",
            scale=1,
            min_width=180,
            elem_id="blind",
        )
    return chosen, case, blind


def _build_side(index: int) -> Side:
    """Lay out the place of one video."""
    with gr.Column(visible=False, min_width=220, elem_classes="cid-side") as column:
        name = gr.HTML(container=False)
        video = gr.Video(
            interactive=False, show_label=False, buttons=[], elem_id=f"side-{index}", elem_classes="cid-video"
        )
    return Side(column, name, video)


def wire_compare_tab(tab: CompareTab, context: PageContext) -> None:
    """Connect the choice of runs, the blind test, and the making of another video."""
    ballots = context.ballots

    def deal(names: list[str], blind: bool) -> dict[Any, Any]:
        runs = context.open_all(names)
        if blind:
            random.shuffle(runs)
        return show_runs(tab, context, runs, blind=blind)

    def vote(visitor: str, dealt: Sequence[str], *choices: int | None) -> dict[Any, Any]:
        with as_sentences():
            runs = [context.open(name) for name in dealt]
            cast_vote(ballots, visitor, runs, choices)
        return {**show_runs(tab, context, runs, blind=False), tab.ballot.tally: draw_tally(ballots.tally())}

    def refresh(chosen: Sequence[str], visitor: str) -> dict[Any, Any]:
        choices = list_choices(context, visitor, chosen)
        # Gradio refuses a value that is no longer among the choices, before anybody can drop it.
        gone = [(DELETED, name) for name in chosen if name not in dict(choices).values()]
        return {
            tab.chosen: gr.Dropdown([*choices, *gone]),
            tab.ballot.tally: draw_tally(ballots.tally()),
        }

    def join(chosen: Sequence[str], new: Sequence[str], visitor: str) -> dict[Any, Any]:
        choices = list_choices(context, visitor, [*chosen, *new])
        return {tab.chosen: gr.Dropdown(choices, value=join_names(context, chosen, new))}

    def take_case(case: str, visitor: str) -> dict[Any, Any]:
        return join([], [run.name for run in context.evaluated.list(case)][:MAX_SIDES], visitor)

    def take(compared: Compared, chosen: list[str], visitor: str) -> dict[Any, Any]:
        return join(chosen, compared.names, visitor)

    listed = [tab.chosen, tab.ballot.tally]
    context.opened["compare"].select(refresh, [tab.chosen, context.visitor], listed, **IN_TURN)
    tab.case.input(take_case, [tab.case, context.visitor], tab.chosen, **IN_TURN)
    context.compared.change(take, [context.compared, tab.chosen, context.visitor], tab.chosen, **IN_TURN)
    gr.on([tab.chosen.change, tab.blind.input], deal, [tab.chosen, tab.blind], tab.shown, **QUIET)
    questions = list(tab.ballot.questions.values())
    tab.ballot.cast.click(
        vote, [context.visitor, tab.dealt, *questions], [*tab.shown, tab.ballot.tally], **QUIET
    )
    wire_tally(tab.ballot, ballots)
    wire_variation_panel(tab.variations, context, tab.chosen, join)


def show_runs(tab: CompareTab, context: PageContext, runs: Sequence[Run], *, blind: bool) -> dict[Any, Any]:
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
    names = name_differences(runs)
    updates: dict[Any, Any] = {tab.dealt: tuple(run.name for run in runs)}
    for index, side in enumerate(tab.sides):
        here = index < len(runs)
        updates[side.column] = gr.Column(visible=here)
        updates[side.name] = draw_side(index, "" if asking or not here else names[index])
        updates[side.video] = show_clip(runs[index]) if here else None
    labels = [name or f"Video {index + 1}" for index, name in enumerate(names)]
    return {
        **updates,
        tab.transport: gr.HTML(visible=bool(runs)),
        tab.notice: draw_notice(hindrance),
        tab.scores: draw_scores(runs, labels) if runs and not asking else "",
        **tab.ballot.show(len(runs) if asking else 0),
        **(tab.variations.offer(runs[0], context.models) if runs else {}),
        tab.variations.group: gr.Column(visible=bool(runs) and not asking),
    }


def join_names(context: PageContext, chosen: Sequence[str], new: Sequence[str]) -> list[str]:
    """Add runs to those on screen; what cannot be compared with them takes their place."""
    runs = context.open_all(list(dict.fromkeys([*chosen, *new])))[-MAX_SIDES:]
    try:
        check_comparable(runs)
    except NotComparable:
        runs = context.open_all(new)
    return [run.name for run in runs]


def list_choices(context: PageContext, visitor: str, chosen: Sequence[str]) -> list[tuple[str, str]]:
    """How each run that can be chosen is called in the list, and its name: the visitor's, and of the
    evaluation's cases those that are chosen."""
    cases = dict.fromkeys(run.video.stem for run in context.open_all(chosen) if isinstance(run, EvaluatedRun))
    runs = [*context.library.list(visitor), *(run for case in cases for run in context.evaluated.list(case))]
    return [(_label(run), run.name) for run in runs]


def _label(run: Run) -> str:
    """A run in a line."""
    if isinstance(run, EvaluatedRun):
        return f"{run.video.stem} · {run.model}"
    prompt = run.job.prompt
    if len(prompt) > MAX_LABEL_CHARACTERS:
        prompt = f"{prompt[: MAX_LABEL_CHARACTERS - 1]}…"
    facts = ", ".join(f"{name} {TRAITS[name](run.job)}" for name in ("likeness", "steps", "seed"))
    return f"{prompt} · {facts} · {describe_age(time.time() - run.made)}"
