"""The blind test: which of the videos is better, asked before anyone knows which is which; and the tally."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from concat_id.errors import NotComparable
from concat_id.studio.comparison import check_comparable, name_differences
from concat_id.studio.runs import Run
from concat_id.studio.votes import CRITERIA, Ballots, Candidate
from concat_id.ui.compare.drawing import draw_tally, name_side
from concat_id.ui.scripts import read_script
from concat_id.ui.texts import BLIND, VOTED, VOTED_BEFORE


@dataclass(frozen=True)
class Ballot:
    """The components of the test and of its results."""

    group: gr.Column
    questions: dict[str, gr.Radio]  # for each criterion
    cast: gr.Button
    tally: gr.HTML
    export: gr.Button
    csv: gr.Textbox  # unseen: what is exported

    @property
    def shown(self) -> list[Any]:
        """What dealing the videos changes."""
        return [self.group, *self.questions.values()]

    def show(self, count: int) -> dict[Any, Any]:
        """The updates that ask about a number of videos; 0: about none."""
        choices = [(name_side(index), index) for index in range(count)]
        radios = {radio: gr.Radio(choices, value=None) for radio in self.questions.values()}
        return {self.group: gr.Column(visible=count > 0), **radios}


def build_ballot() -> tuple[gr.Column, dict[str, gr.Radio], gr.Button]:
    """Lay the questions out."""
    with gr.Column(visible=False, elem_id="ballot", elem_classes="cid-ballot") as group:
        gr.Markdown(BLIND)
        questions = {
            criterion: gr.Radio([], label=label, elem_id=f"vote-{criterion}")
            for criterion, label in CRITERIA.items()
        }
        cast = gr.Button("Vote and reveal", variant="primary", size="lg", elem_id="vote")
    return group, questions, cast


def build_tally() -> tuple[gr.HTML, gr.Button, gr.Textbox]:
    """Lay the results out."""
    with gr.Accordion("What people voted", open=False, elem_id="tally-fold"):
        tally = gr.HTML(draw_tally([]), container=False, elem_id="tally")
        export = gr.Button("All votes (CSV)", size="md", elem_id="export-votes")
        csv = gr.Textbox(visible="hidden", label="All votes")
    return tally, export, csv


def wire_tally(ballot: Ballot, ballots: Ballots) -> None:
    """Hand all votes over as a file; it is made in the browser."""
    exported = ballot.export.click(ballots.to_csv, None, ballot.csv, api_visibility="private")
    exported.success(None, ballot.csv, js=read_script("save_votes"), api_visibility="private")


def cast_vote(ballots: Ballots, voter: str, runs: Sequence[Run], choices: Sequence[int | None]) -> None:
    """Store a vote, and say whether it counted.

    Args:
        voter: token of who votes.
        runs: the videos as they were shown.
        choices: for each criterion, which of them is the best.
    """
    check_comparable(runs)
    if None in choices:
        raise NotComparable("one question is still open; say for each which video is better.")
    names = name_differences(runs)
    candidates = [Candidate(run.name, name) for run, name in zip(runs, names, strict=True)]
    best = {criterion: runs[choice].name for criterion, choice in zip(CRITERIA, choices, strict=True)}
    gr.Info(VOTED if ballots.cast(voter, best, candidates) else VOTED_BEFORE)
