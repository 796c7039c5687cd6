"""Plots of an evaluation: likeness against editability for every model, and likeness frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from concat_id.evaluation.paper import TABLES
from concat_id.evaluation.statistics import estimate

SET_COLORS = {
    "single": "tab:blue",
    "two": "tab:orange",
    "three": "tab:red",
    "try-on": "tab:green",
    "background": "tab:purple",
}
MARKERS = "os^vDP*X<>ph"
CURVES = {"arcsim": "ArcSim", "cursim": "CurSim"}


def plot_likeness(reports: Mapping[str, Mapping[str, Any]], path: Path) -> Path:
    """Write the plot of all models."""
    draw_likeness(reports).savefig(path, dpi=150)
    return path


def draw_likeness(reports: Mapping[str, Mapping[str, Any]]) -> Figure:
    """ArcSim against CLIPDist: ours filled, with their 95 % intervals, the paper's models as outlines.

    The shape of a marker says which model it is, its colour which set: words beside points would overlap.
    """
    names = [*reports, *{row.model for rows in TABLES.values() for row in rows}]
    # Both legends stand above each other.
    figure = Figure(figsize=(8, max(5, 2 + 0.22 * len(names))), layout="constrained")
    axes = figure.subplots()
    models: dict[str, Line2D] = {}
    for preset, report in reports.items():
        model = models.setdefault(preset, _marker(preset, MARKERS[len(models) % len(MARKERS)]))
        for name, entry in report["sets"].items():
            if {"arcsim", "clipdist"} <= entry["figures"].keys():
                _plot_point(axes, entry["figures"], model.get_marker(), SET_COLORS[name])
    for name, rows in TABLES.items():
        for row in rows:
            text, marker = f"{row.model} (paper)", MARKERS[len(models) % len(MARKERS)]
            model = models.setdefault(text, _marker(text, marker, fillstyle="none"))
            axes.plot(row.clipdist, row.arcsim, model.get_marker(), color=SET_COLORS[name], fillstyle="none")
    sets = [Patch(color=color, label=name) for name, color in SET_COLORS.items()]
    figure.legend(handles=[*models.values()], title="Models", loc="outside right upper")
    figure.legend(handles=sets, title="Sets", loc="outside right lower")
    axes.set_xlabel("CLIPDist: the face was edited more →")
    axes.set_ylabel("ArcSim: more alike →")
    axes.set_title("Drawn people and photographs (paper) have scales of their own", fontsize="small")
    axes.margins(0.1)
    axes.grid(alpha=0.3)
    return figure


def plot_frames(results: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> Path:
    """Mean ArcSim and CurSim over the video with 95 % bands.

    Args:
        results: the results of one preset by set.
    """
    shown = {name: rows for name, rows in results.items() if rows}
    figure = Figure(figsize=(5 * max(1, len(shown)), 4), layout="constrained")
    for axes, (name, rows) in zip(
        figure.subplots(1, max(1, len(shown)), squeeze=False)[0], shown.items(), strict=False
    ):
        for curve, title in CURVES.items():
            indices, means, lows, highs = frame_curve(rows, curve)
            (line,) = axes.plot(indices, means, label=title)
            axes.fill_between(indices, lows, highs, alpha=0.2, color=line.get_color())
        axes.set_title(f"{name}, N = {len(rows)}")
        axes.set_xlabel("frame")
        axes.set_ylim(0, 1)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=150)
    return path


def frame_curve(rows: Sequence[Mapping[str, Any]], curve: str) -> tuple[np.ndarray, ...]:
    """Frame numbers, and mean, low and high over the videos that have a face there, (T,) each."""
    values: dict[int, list[tuple[float, str]]] = {}
    for row in rows:
        group = "+".join(row["people"])
        for index, value in zip(row["frames"]["indices"], row["frames"][curve], strict=True):
            if value is not None:
                values.setdefault(index, []).append((value, group))
    points = [(index, estimate(*zip(*found, strict=True))) for index, found in sorted(values.items())]
    return tuple(
        np.array(column)
        for column in (
            [index for index, _ in points],
            [point.mean for _, point in points],
            [point.low for _, point in points],
            [point.high for _, point in points],
        )
    )


def _plot_point(axes: Any, figures: Mapping[str, Mapping[str, float]], marker: str, color: str) -> None:
    """One of our models."""
    x, y = figures["clipdist"], figures["arcsim"]
    axes.errorbar(
        x["mean"],
        y["mean"],
        xerr=[[x["mean"] - x["low"]], [x["high"] - x["mean"]]],
        yerr=[[y["mean"] - y["low"]], [y["high"] - y["mean"]]],
        fmt=marker,
        color=color,
    )


def _marker(text: str, marker: str, *, fillstyle: str = "full") -> Line2D:
    """A model in the legend."""
    return Line2D([], [], marker=marker, linestyle="none", color="black", fillstyle=fillstyle, label=text)
