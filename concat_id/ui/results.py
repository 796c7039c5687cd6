"""The tab "Results": the evaluation that is shipped with the model, beside the paper's figures.

The folder is what `python -m concat_id evaluate --output FOLDER` writes; without a report there is no tab.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from concat_id.evaluation.ablations import describe_ablations
from concat_id.evaluation.benchmark import SETS
from concat_id.evaluation.report import (
    INTRODUCTION,
    describe_failures,
    describe_origin,
    describe_prices,
    describe_systems,
    select_entries,
    tabulate_main,
    tabulate_more,
)

ORIGIN = "Which command measured what"
LIKENESS = "Likeness against editability"
FRAMES = "Likeness, frame by frame: {}"
SHEET = "Random results, {}: references on the left"


def build_results_tab(folder: Path, reports: Mapping[str, Mapping[str, Any]]) -> None:
    """Lay out tables, plots and contact sheets.

    Args:
        folder: that of the pictures.
        reports: by the name of the preset, as `load_reports` reads them from the folder.
    """
    with gr.Column(elem_id="results-page", elem_classes=["cid-wide", "cid-results"]):
        gr.Markdown("\n\n".join([INTRODUCTION, *describe_systems(reports)]))
        for name, kind in SETS.items():
            entries = select_entries(reports, name)
            if any(entry["videos"] for entry in entries.values()):
                gr.Markdown(f"## {kind.title.capitalize()}\n\n{tabulate_main(name, entries)}")
                _build_details(entries)
                for preset in entries:
                    _show(folder / preset / f"sheet-{name}.webp", SHEET.format(reports[preset]["title"]))
        for part in (*describe_ablations(reports), *describe_prices(reports)):
            gr.Markdown(part)
        with gr.Accordion(ORIGIN, open=False):
            gr.Markdown(describe_origin(reports))
        gr.Markdown("## Plots")
        with gr.Row():
            _show(folder / "likeness.png", LIKENESS)
            for preset, report in reports.items():
                _show(folder / preset / "frames.png", FRAMES.format(report["title"]))


def _build_details(entries: Mapping[str, Mapping[str, Any]]) -> None:
    """What belongs to a set's main table, folded."""
    parts = [*tabulate_more(entries), *describe_failures(entries)]
    with gr.Accordion("More figures, and by category of prompts", open=False):
        gr.Markdown("\n\n".join(parts))


def _show(picture: Path, caption: str) -> None:
    """A picture below its caption, if it is there."""
    if picture.is_file():
        with gr.Column(min_width=280):
            gr.Markdown(f"**{caption}**")
            gr.Image(
                str(picture),
                label=caption,
                alt_text=caption,
                show_label=False,
                interactive=False,
                buttons=["fullscreen"],
            )
