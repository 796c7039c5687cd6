"""Plots of an evaluation: likeness against editability for every model, and likeness frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from concat_id.evaluation.report import PAPER
from concat_id.evaluation.statistics import estimate

SET_COLORS = {
    "single": "tab:blue",
    "two": "tab:orange",
    "three": "tab:red",
    "try-on": "tab:green",
    "background": "tab:purple",
}
CURVES = {"arcsim": "ArcSim", "cursim": "CurSim"}


def plot_likeness(reports: Mapping[str, Mapping[str, Any]], path: Path) -> Path:
    """ArcSim against CLIPDist: the paper's models as crosses, ours as points with their 95 % intervals."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    for name, rows in PAPER.items():
        for row in rows:
            axes.plot(row.clipdist, row.arcsim, "x", color=SET_COLORS[name])
            _label(axes, f"{row.model} (paper, {name})", row.clipdist, row.arcsim)
    for preset, report in reports.items():
        for name, entry in report["sets"].items():
            figures = entry["figures"]
            if {"arcsim", "clipdist"} <= figures.keys():
                _plot_point(axes, figures, f"{preset} ({name})", SET_COLORS[name])
    axes.set_xlabel("CLIPDist: the face was edited more →")
    axes.set_ylabel("ArcSim: more alike →")
    axes.set_title("Likeness against editability; drawn people and photographs have scales of their own")
    axes.title.set_fontsize("small")
    axes.margins(0.15)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)
    return path


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


def _plot_point(axes: Any, figures: Mapping[str, Mapping[str, float]], text: str, color: str) -> None:
    """One of our models."""
    x, y = figures["clipdist"], figures["arcsim"]
    axes.errorbar(
        x["mean"],
        y["mean"],
        xerr=[[x["mean"] - x["low"]], [x["high"] - x["mean"]]],
        yerr=[[y["mean"] - y["low"]], [y["high"] - y["mean"]]],
        fmt="o",
        color=color,
    )
    _label(axes, text, x["mean"], y["mean"])


def _label(axes: Any, text: str, x: float, y: float) -> None:
    axes.annotate(text, (x, y), textcoords="offset points", xytext=(6, 4), fontsize="x-small")
