"""The score panel: what is known about the video on screen, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING

import gradio as gr

from concat_id.ui.curve import draw_curve
from concat_id.ui.texts import POSITIONS

if TYPE_CHECKING:
    from concat_id.generation import Preview, Result
    from concat_id.job import Job
    from concat_id.presets import Task
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
    paper: float | None = None


_ARCSIM = Metric("arcsim", "ArcSim", "likeness to the reference face, 0 to 1: higher is more alike")
_CLIPDIST = Metric("clipdist", "CLIPDist", "distance from the reference face: higher is more freely edited")
_GARMENT = Metric("garment", "Garment", "likeness to the garment by CLIP, lost clothing as 0")
_PLACE = Metric("background", "Place", "likeness to the place by CLIP, where it can be seen")
METRICS: dict[Task, tuple[Metric, ...]] = {
    # The paper's figures are for one person and nothing else.
    "single": (replace(_ARCSIM, paper=0.442), replace(_CLIPDIST, paper=0.325)),
    "multi": (
        replace(_ARCSIM, title="ArcSim, mean", meaning="likeness to the reference faces, 0 to 1"),
        replace(_CLIPDIST, title="CLIPDist, mean", meaning="distance from the reference faces"),
    ),
    "try-on": (_ARCSIM, _CLIPDIST, _GARMENT),
    "background": (_ARCSIM, _CLIPDIST, _PLACE),
}
# What only says something where a face was found.
OF_FACES = ("arcsim", "clipdist")


def build_sidebar(tasks: Iterable[Task]) -> dict[Task, gr.HTML]:
    """The collapsible column on the right. Returns its panels; that of the form on screen is seen."""
    with gr.Sidebar(position="right", width=336, elem_classes="cid-sidebar"):
        return {
            task: gr.HTML(
                draw_idle(task),
                elem_id="scores" if task == "single" else f"{task}-scores",
                container=False,
            )
            for task in tasks
        }


def draw_idle(task: Task, message: str = "They appear while your video takes shape.") -> str:
    """The panel while nothing is on screen: no numbers."""
    return _panel("idle", "", f'{_cards(METRICS[task], None)}<p class="cid-hint">{escape(message)}</p>')


def draw_preview(preview: Preview, job: Job) -> str:
    """The panel for a preview; scores that were not computed for it stay blank."""
    badge = f"preview, step {preview.index + 1} of {preview.total}"
    return _panel("running", badge, _body(preview.scores, job, preview.seconds))


def draw_result(result: Result | Run) -> str:
    """The panel for the finished video."""
    return _panel("final", "final", _body(result.scores, result.job, result.seconds))


def _panel(state: str, badge: str, body: str) -> str:
    """The frame around everything."""
    badge = f'<span class="cid-badge">{escape(badge)}</span>' if badge else ""
    return (
        f'<section class="cid-panel" data-state="{state}" aria-label="Scores">'
        f"<header><h2>Scores</h2>{badge}</header>{body}</section>"
    )


def _body(scores: Scores | None, job: Job, seconds: float) -> str:
    """Cards, people, curve and facts of what is on screen."""
    shown = f'<p class="cid-lost">{NOTHING_TO_COMPARE}</p>'
    if scores is not None:
        shown = draw_people(scores) + _curve(scores)
    return f"{_cards(list_metrics(job), scores)}{shown}{_facts(scores, job.settings.seed, seconds)}"


def list_metrics(job: Job) -> tuple[Metric, ...]:
    """What a job's video is measured by."""
    with_place = job.task == "try-on" and any(reference.role == "background" for reference in job.references)
    return METRICS[job.task] + ((_PLACE,) if with_place else ())


def _cards(metrics: Sequence[Metric], scores: Scores | None) -> str:
    """One card per metric."""
    cards = (_card(metric, _value(metric, scores)) for metric in metrics)
    return f'<div class="cid-cards">{"".join(cards)}</div>'


def _value(metric: Metric, scores: Scores | None) -> float | None:
    """A score, if there is one."""
    if scores is None or (metric.field in OF_FACES and not scores.face_rate):
        return None
    return getattr(scores, metric.field)


def _card(metric: Metric, value: float | None) -> str:
    """A number, its place between 0 and 1, and the paper's figure as a tick."""
    said = "&ndash;" if value is None else f"{value:.3f}"
    fill = "" if value is None else f'<i style="width:{100 * min(max(value, 0), 1):.1f}%"></i>'
    tick = note = ""
    if metric.paper is not None:
        tick = f'<b style="left:{100 * metric.paper:.1f}%"></b>'
        note = f'<p class="cid-paper">paper {metric.paper:.3f}: real people, not comparable</p>'
    return (
        f'<article class="cid-card" data-metric="{metric.field}"><h3>{metric.title}</h3>'
        f'<strong class="cid-value">{said}</strong><div class="cid-gauge">{fill}{tick}</div>'
        f"{note}<p>{metric.meaning}</p></article>"
    )


def draw_people(scores: Scores) -> str:
    """A row for each of several people, and who is the least alike; nothing for one person."""
    if not scores.people:
        return ""
    names = POSITIONS[len(scores.people)]
    worst = scores.worst if scores.face_rate else None
    rows = "".join(
        _person(name, person, index == worst)
        for index, (name, person) in enumerate(zip(names, scores.people, strict=True))
    )
    named = "" if worst is None else f"<p>Least alike: {names[worst]}; lost faces count as 0.</p>"
    return (
        '<section class="cid-persons"><table><caption>Person by person</caption><thead><tr><td></td>'
        '<th scope="col">ArcSim</th><th scope="col">CLIPDist</th><th scope="col">Found</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>{named}</section>"
    )


def _person(name: str, scores: Scores, is_worst: bool) -> str:
    """One person's row."""
    values = ["&ndash;", "&ndash;"]
    if scores.face_rate:
        values = [f"{scores.arcsim:.3f}", f"{scores.clipdist:.3f}"]
    cells = "".join(f"<td>{value}</td>" for value in [*values, f"{100 * scores.face_rate:.0f} %"])
    return f'<tr{" data-worst" * is_worst}><th scope="row">{name}</th>{cells}</tr>'


def _curve(scores: Scores) -> str:
    """The per-frame figure, with a sentence where faces are missing."""
    frames = scores.frames
    lost = [index + 1 for index, value in zip(frames.indices, frames.arcsim, strict=True) if value is None]
    note = f'<p class="cid-lost">{_name_lost(lost, len(frames.indices))}</p>' if lost else ""
    curve = draw_curve(frames.indices, frames.arcsim)
    people = ", mean of the people found" if scores.people else ""
    return f"<figure><figcaption>ArcSim, frame by frame{people}</figcaption>{curve}{note}</figure>"


def _name_lost(lost: list[int], scored: int) -> str:
    """Which frames have no face, or how many when they are many."""
    if len(lost) > MAX_NAMED_FRAMES:
        return f"No face found in {len(lost)} of {scored} frames."
    return f"No face found in frame{'s' * (len(lost) > 1)} {', '.join(map(str, lost))}."


def _facts(scores: Scores | None, seed: int, seconds: float) -> str:
    """Face rate, strict mean, order of several people, seed, time."""
    facts = []
    if scores is not None:
        found = "Faces found" if scores.people else "Frames with a face"
        facts.append((found, f"{100 * scores.face_rate:.0f} %"))
        facts.append(("ArcSim, lost faces as 0", f"{scores.strict_arcsim:.3f}"))
        if scores.order_rate is not None:
            facts.append(("Frames in this order", f"{100 * scores.order_rate:.0f} %"))
    facts += [("Seed", str(seed)), ("Time", f"{seconds:.1f} s")]
    rows = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    return f'<dl class="cid-facts">{rows}</dl>'
