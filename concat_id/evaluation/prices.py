"""What speeds save and cost, as `python -m concat_id evaluate --speeds` measured it, read and in words."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from concat_id.evaluation.figures import draw_table, show_number

LOGGER = logging.getLogger(__name__)
FILE = "prices.json"  # in a preset's folder of the output
EXACT = "exact"
# Of a video's figures, those that a speed might change.
FIGURES = {
    "arcsim": "ArcSim",
    "clipdist": "CLIPDist",
    "retrieval": "right person",
    "whole_faces": "whole faces",
    "right_expression": "expression",
    "right_motion": "motion",
}


def read_prices(folder: Path) -> dict[str, Any] | None:
    """What was measured of a preset, whose folder in the output this is; None where nothing was."""
    path = folder / FILE
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (OSError, ValueError):
        LOGGER.warning("%s cannot be read and is left out; measure the speeds again.", path)
        return None


def tabulate_prices(report: Mapping[str, Any]) -> str:
    """The table, with the change in each figure."""
    exact = report["speeds"][EXACT]
    shown = {name: title for name, title in FIGURES.items() if name in exact}
    rows = []
    for name, values in report["speeds"].items():
        changes = [f"{values[figure] - exact[figure]:+.3f}" for figure in shown]
        own = [show_number(exact[figure]) for figure in shown]
        rows.append(
            [
                name,
                f"{values['seconds']:.2f}",
                f"{exact['seconds'] / values['seconds']:.2f}",
                f"{values['psnr']:.1f}" if "psnr" in values else "",
                *(own if name == EXACT else changes),
            ]
        )
    head = ["speed", "seconds", "times as fast", "PSNR to exact, dB", *shown.values()]
    return draw_table(head, rows)


def describe_price(prices: Mapping[str, Any], name: str) -> str:
    """What a speed saves and costs, in a few words."""
    values, exact = prices["speeds"][name], prices["speeds"][EXACT]
    saved = 1 - values["seconds"] / exact["seconds"]
    change = round(values["arcsim"] - exact["arcsim"], 2) + 0.0  # no "-0.00"
    return f"{saved:.0%} less time, {values['psnr']:.0f} dB from exact, ArcSim {change:+.2f}"
