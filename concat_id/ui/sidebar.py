"""The score panel: what is known about the video on screen, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import gradio as gr

from concat_id.ui.curve import draw_curve

if TYPE_CHECKING:
    from concat_id.generation import Preview, Result
    from concat_id.runs import Run
    from concat_id.scoring import Scores


MAX_NAMED_FRAMES = 4
NOTHING_TO_COMPARE = "No face was found in the reference, so there is nothing to compare with."


@dataclass(frozen=True)
class Metric:
    """A score's card: how it is called, read, and what the paper reports for it."""

    field: str
    title: str
    meaning: str
    paper: float


METRICS = (
    Metric("arcsim", "ArcSim", "likeness to the reference face, 0 to 1: higher is more alike", 0.442),
    Metric("clipdist", "CLIPDist", "distance from the reference face: higher is more freely edited", 0.325),
)


def build_sidebar() -> gr.HTML:
    """The collapsible column on the right. Returns its one component, the score panel."""
    with gr.Sidebar(position="right", width=336, elem_classes="cid-sidebar"):
        return gr.HTML(draw_idle(), elem_id="scores", container=False)


def draw_idle(message: str = "They appear while your video takes shape.") -> str:
    """The panel while nothing is on screen: no numbers."""
    return _panel("idle", "", f'{_cards(None)}<p class="cid-hint">{escape(message)}</p>')


def draw_preview(preview: Preview, seed: int) -> str:
    """The panel for a preview; scores that were not computed for it stay blank."""
    badge = f"preview, step {preview.index + 1} of {preview.total}"
    return _panel("running", badge, _body(preview.scores, seed, preview.seconds))


def draw_result(result: Result | Run) -> str:
    """The panel for the finished video."""
    return _panel("final", "final", _body(result.scores, result.job.settings.seed, result.seconds))


def _panel(state: str, badge: str, body: str) -> str:
    """The frame around everything."""
    badge = f'<span class="cid-badge">{escape(badge)}</span>' if badge else ""
    return (
        f'<section class="cid-panel" data-state="{state}" aria-label="Scores">'
        f"<header><h2>Scores</h2>{badge}</header>{body}</section>"
    )


def _body(scores: Scores | None, seed: int, seconds: float) -> str:
    """Cards, curve and facts of what is on screen."""
    curve = f'<p class="cid-lost">{NOTHING_TO_COMPARE}</p>' if scores is None else _curve(scores)
    return f"{_cards(scores)}{curve}{_facts(scores, seed, seconds)}"


def _cards(scores: Scores | None) -> str:
    """One card per metric."""
    seen = scores is not None and scores.face_rate > 0
    cards = (_card(metric, getattr(scores, metric.field) if seen else None) for metric in METRICS)
    return f'<div class="cid-cards">{"".join(cards)}</div>'


def _card(metric: Metric, value: float | None) -> str:
    """A number, its place between 0 and 1, and the paper's figure as a tick."""
    said = "&ndash;" if value is None else f"{value:.3f}"
    fill = "" if value is None else f'<i style="width:{100 * min(max(value, 0), 1):.1f}%"></i>'
    return (
        f'<article class="cid-card" data-metric="{metric.field}"><h3>{metric.title}</h3>'
        f'<strong class="cid-value">{said}</strong>'
        f'<div class="cid-gauge">{fill}<b style="left:{100 * metric.paper:.1f}%"></b></div>'
        f'<p class="cid-paper">paper {metric.paper:.3f}: real people, not comparable</p>'
        f"<p>{metric.meaning}</p></article>"
    )


def _curve(scores: Scores) -> str:
    """The per-frame figure, with a sentence where faces are missing."""
    frames = scores.frames
    lost = [index + 1 for index, value in zip(frames.indices, frames.arcsim, strict=True) if value is None]
    note = f'<p class="cid-lost">{_name_lost(lost, len(frames.indices))}</p>' if lost else ""
    curve = draw_curve(frames.indices, frames.arcsim)
    return f"<figure><figcaption>ArcSim, frame by frame</figcaption>{curve}{note}</figure>"


def _name_lost(lost: list[int], scored: int) -> str:
    """Which frames have no face, or how many when they are many."""
    if len(lost) > MAX_NAMED_FRAMES:
        return f"No face found in {len(lost)} of {scored} frames."
    return f"No face found in frame{'s' * (len(lost) > 1)} {', '.join(map(str, lost))}."


def _facts(scores: Scores | None, seed: int, seconds: float) -> str:
    """Face rate, strict mean, seed, time."""
    facts = []
    if scores is not None:
        facts.append(("Frames with a face", f"{100 * scores.face_rate:.0f} %"))
        facts.append(("ArcSim, lost faces as 0", f"{scores.strict_arcsim:.3f}"))
    facts += [("Seed", str(seed)), ("Time", f"{seconds:.1f} s")]
    rows = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    return f'<dl class="cid-facts">{rows}</dl>'
