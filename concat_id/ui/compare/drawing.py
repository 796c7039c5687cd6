"""A comparison in words and tables: which video is which, their scores, and what people voted."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from concat_id.scoring.metrics import METRICS, Metric
from concat_id.studio.votes import CRITERIA

if TYPE_CHECKING:
    from concat_id.studio.runs import Run
    from concat_id.studio.votes import Tally

# The bar that plays all of them; `in_step.js` makes it work.
TRANSPORT = (
    '<div class="cid-transport"><button type="button" class="cid-play">Pause</button>'
    '<input type="range" min="0" max="1" step="0.001" value="0" aria-label="Place in the videos">'
    '<label>Speed <select><option value="1">1 ×</option><option value="0.5">½ ×</option>'
    '<option value="0.25">¼ ×</option></select></label></div>'
)


def name_side(index: int) -> str:
    """What a video is called while nobody should know which it is."""
    return f"Video {index + 1}"


def draw_side(index: int, settings: str) -> str:
    """The line above a video."""
    said = f" <span>{escape(settings)}</span>" if settings else ""
    return f'<h3 class="cid-side-name">{name_side(index)}{said}</h3>'


def draw_scores(runs: Sequence[Run], settings: Sequence[str]) -> str:
    """A row for each score; of two videos, also what the second has more than the first."""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in settings)
    with_difference = len(runs) == 2
    heads += '<th scope="col">Difference</th>' if with_difference else ""
    rows = []
    for metric in METRICS:
        values, decimals = [_score(run, metric) for run in runs], metric.decimals
        is_always_there = metric.role == "face" and not metric.judge
        if not is_always_there and not any(value is not None for value in values):
            continue
        cells = "".join(f"<td>{_number(value, decimals)}</td>" for value in values)
        if with_difference:
            known = None not in values
            cells += f"<td>{_number(values[1] - values[0] if known else None, decimals, sign=True)}</td>"
        rows.append(f'<tr><th scope="row">{metric.title}</th>{cells}</tr>')
    return (
        '<div class="cid-table"><table><caption>Scores</caption><thead><tr><td></td>'
        f"{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _score(run: Run, metric: Metric) -> float | None:
    """A score of a run; None where there was no face to compare or none was found."""
    if run.scores is None or (metric.of_faces and not run.scores.face_rate):
        return None
    return getattr(run.scores, metric.field)


def _number(value: float | None, decimals: int, *, sign: bool = False) -> str:
    """A number of a table, a dash for none."""
    if value is None:
        return "&ndash;"
    return f"{value:{'+' if sign else ''}.{decimals}f}".replace("-", "&minus;")


def draw_notice(message: str) -> str:
    """What keeps videos from being compared or voted on."""
    return f'<p class="cid-notice">{escape(message)}</p>' if message else ""


def draw_tally(tallies: Sequence[Tally]) -> str:
    """All votes: for each pair of settings and each criterion, the share of the first with its interval."""
    if not tallies:
        return '<p class="cid-hint">No votes yet.</p>'
    parts = []
    for (first, second), rows in groupby(tallies, key=lambda row: (row.first, row.second)):
        lines = "".join(map(_draw_line, rows))
        parts.append(
            f"<table><caption>{escape(first)} <i>against</i> {escape(second)}</caption><thead><tr>"
            '<th scope="col">Criterion</th><th scope="col">Prefer the first</th>'
            '<th scope="col">95 % interval</th><th scope="col">Votes</th></tr></thead>'
            f"<tbody>{lines}</tbody></table>"
        )
    return f'<div class="cid-table">{"".join(parts)}</div>'


def _draw_line(row: Tally) -> str:
    """One criterion: numbers, and the interval as a bar around its middle."""
    low, high = row.interval
    bar = (
        f'<span class="cid-interval" aria-hidden="true"><i style="left:{100 * low:.1f}%;'
        f'width:{100 * (high - low):.1f}%"></i><b style="left:{100 * row.share:.1f}%"></b></span>'
    )
    return (
        f'<tr><th scope="row">{CRITERIA[row.criterion]}</th><td>{100 * row.share:.0f} %</td>'
        f"<td>{bar} {100 * low:.0f} to {100 * high:.0f} %</td><td>{row.votes}</td></tr>"
    )
