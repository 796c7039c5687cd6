"""What figures are called, and how they and tables of them are printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from concat_id.scoring.metrics import METRICS

# The renderer's own clips of the cases, in place of a model's.
DRAWN, CODED = "truth", "truth-autoencoder"
TRUTHS = {DRAWN: "Truth, as drawn", CODED: "Truth, through the autoencoder"}
MAIN_COLUMNS = {metric.field: f"{metric.title} ↑" for metric in METRICS if metric.in_paper}
MORE_ROWS = {
    "face_rate": "frames with a face",
    "whole_faces": "frames whose faces are all whole, a missing one counting as broken",
    "sharpness": "gradient inside the face, of the reference picture's",
    "strict_arcsim": "ArcSim, a missing face counting as 0",
    "strict_cursim": "CurSim, a missing face counting as 0",
    "arcsim_1": "ArcSim, first person from the left",
    "arcsim_2": "ArcSim, second person",
    "arcsim_3": "ArcSim, third person",
    "cursim_1": "CurSim, first person from the left",
    "cursim_2": "CurSim, second person",
    "cursim_3": "CurSim, third person",
    "worst_arcsim": "ArcSim of the worst person, a missing face counting as 0",
    "worst_cursim": "CurSim of the worst person, a missing face counting as 0",
    "order_rate": "frames with the people in the references' order",
    "garment": "garment similarity",
    "background": "background similarity",
    "retrieval": "right person found among the benchmark's",
    "garment_retrieval": "right garment found among the benchmark's",
    "background_retrieval": "right place found among the benchmark's",
    "right_expression": "expression as the prompt says",
    "right_motion": "motion as the prompt says",
    "right_garment": "garment as the prompt or the reference says",
    "right_place": "place as the prompt or the reference says",
}
MORE_ROWS |= {
    metric.field: metric.title for metric in METRICS if metric.field not in MAIN_COLUMNS | MORE_ROWS
}


def title_of(name: str) -> str:
    """What a figure is called."""
    return MAIN_COLUMNS.get(name) or MORE_ROWS[name]


def draw_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def show_estimate(figure: Mapping[str, Any] | None, *, with_count: bool = False) -> str:
    """A mean with its interval."""
    if figure is None:
        return "not computed"
    text = f"{show_number(figure['mean'])} ({show_number(figure['low'])} to {show_number(figure['high'])})"
    return f"{text}, N = {figure['count']}" if with_count else text


def show_number(value: float) -> str:
    """Three places without the leading zero, as the paper prints them."""
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3f}"
