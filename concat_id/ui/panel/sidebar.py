"""The score panel: what is known about the video on screen, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

import gradio as gr

from concat_id.evaluation.paper import STAGE_3
from concat_id.job import TASK_ROLES
from concat_id.loading.presets import PRESETS
from concat_id.loading.weights import describe_fetching, find
from concat_id.scoring.copying import copies_reference
from concat_id.scoring.metrics import Metric, list_cards
from concat_id.ui.panel.curve import draw_curve
from concat_id.ui.panel.face_strip import cut_strip
from concat_id.ui.texts import (
    AT_THE_END,
    COPIED,
    IDLE_SCORES,
    LOST_FACES,
    MISSING_JUDGES,
    PAPER_TICKS,
    POSITIONS,
)

if TYPE_CHECKING:
    import numpy as np

    from concat_id.generation import Preview, Result
    from concat_id.job import Job
    from concat_id.loading.presets import Preset, Task
    from concat_id.loading.weights import Source
    from concat_id.scoring import Scores
    from concat_id.studio.runs import Run


MAX_NAMED_FRAMES = 4
NOTHING_TO_COMPARE = "No face was found in the reference, so there is nothing to compare with."


def build_sidebar(tasks: Iterable[Task], preset: str) -> dict[Task, gr.HTML]:
    """The collapsible column on the right. Returns its panels; that of the form on screen is seen."""
    with gr.Sidebar(position="right", width=336, elem_classes="cid-sidebar"):
        return {
            task: gr.HTML(
                draw_idle(task, preset),
                elem_id="scores" if task == "single" else f"{task}-scores",
                container=False,
            )
            for task in tasks
        }


def draw_idle(task: Task, preset: str) -> str:
    """The panel while nothing is on screen: no numbers."""
    cards = _cards(list_cards(TASK_ROLES[task][0]), None, PRESETS[preset], task)
    return _panel("idle", "", f'{cards}<p class="cid-hint">{escape(IDLE_SCORES)}</p>')


def draw_preview(preview: Preview, job: Job) -> str:
    """The panel for a preview; scores that were not computed for it stay blank."""
    badge = f"preview, step {preview.index + 1} of {preview.total}"
    cards = _cards(_metrics_of(job), preview.scores, PRESETS[job.preset], job.task)
    return _panel("running", badge, cards + _body(preview.scores, preview.frames, job, preview.seconds))


def draw_result(result: Result | Run, frames: np.ndarray) -> str:
    """The panel for the finished video, (T, H, W, 3) uint8; what was not computed of it has no card."""
    scores, job = result.scores, result.job
    # Runs may be of models that this version does not know.
    cards = _cards(_metrics_of(job), scores, PRESETS.get(job.preset), job.task, finished=True)
    warning = _warn(COPIED) if scores and copies_reference(scores) else ""
    return _panel("final", "final", cards + warning + _body(scores, frames, job, result.seconds))


def _panel(state: str, badge: str, body: str) -> str:
    """The frame around everything."""
    badge = f'<span class="cid-badge">{escape(badge)}</span>' if badge else ""
    return (
        f'<section class="cid-panel" data-state="{state}" aria-label="Scores">'
        f"<header><h2>Scores</h2>{badge}</header>{body}</section>"
    )


def _body(scores: Scores | None, frames: np.ndarray, job: Job, seconds: float) -> str:
    """People, curve and facts of what is on screen."""
    shown = _warn(NOTHING_TO_COMPARE)
    if scores is not None:
        shown = draw_people(scores) + _curve(scores, frames)
    return f"{shown}{_facts(scores, job.settings.seed, seconds)}"


def _metrics_of(job: Job) -> tuple[Metric, ...]:
    """What a job's video is measured by."""
    return list_cards(reference.role for reference in job.references)


def _cards(
    metrics: Sequence[Metric],
    scores: Scores | None,
    model: Preset | None,
    task: Task,
    *,
    finished: bool = False,
) -> str:
    """A card for each score that is or will be there, what the ticks are, and how to get what is missing."""
    missing = [metric for metric in metrics if metric.judge and model and not find(_judge(metric, model))]
    shown = [
        metric
        for metric in metrics
        if not metric.judge
        or getattr(scores, metric.field, None) is not None
        or not (finished or metric in missing)
    ]
    # The paper's figures are for one person and nothing else.
    paper = STAGE_3.to_figures() if task == "single" else {}
    cards = "".join(
        _card(
            metric,
            _value(metric, scores),
            paper.get(metric.field),
            is_due=bool(metric.judge) and not finished,
        )
        for metric in shown
    )
    notes = ""
    if model and paper:
        notes = f'<p class="cid-hint">{PAPER_TICKS[model.domain == "drawn"]}</p>'
    if missing:
        notes += _draw_missing(missing, model)
    return f'<div class="cid-cards">{cards}</div>{notes}'


def _draw_missing(missing: Sequence[Metric], model: Preset) -> str:
    """How to get the judges that are not on this machine."""
    names = " and ".join(metric.title for metric in missing)
    commands = (describe_fetching(_judge(metric, model)) for metric in missing)
    lines = "".join(f"<code>{escape(command)}</code>" for command in commands)
    return f'<p class="cid-hint cid-fetch">{MISSING_JUDGES.format(names)}{lines}</p>'


def _judge(metric: Metric, model: Preset) -> Source:
    """Where a model's judge by a metric comes from."""
    return getattr(model, metric.judge)


def _value(metric: Metric, scores: Scores | None) -> float | None:
    """A score, if there is one."""
    if scores is None or (metric.of_faces and not scores.face_rate):
        return None
    return getattr(scores, metric.field)


def _card(metric: Metric, value: float | None, paper: float | None, *, is_due: bool) -> str:
    """A number, its place between 0 and 1, and the paper's figure as a tick."""
    said = "&ndash;" if value is None else f"{value:.3f}"
    fill = "" if value is None else f'<i style="width:{100 * min(max(value, 0), 1):.1f}%"></i>'
    tick = note = ""
    if paper is not None:
        tick = f'<b style="left:{100 * paper:.1f}%"></b>'
        note = f'<p class="cid-paper">paper {paper:.3f}</p>'
    return (
        f'<article class="cid-card" data-metric="{metric.field}"><h3>{metric.title}</h3>'
        f'<strong class="cid-value">{said}</strong><div class="cid-gauge">{fill}{tick}</div>'
        f"{note}<p>{metric.meaning}{AT_THE_END * is_due}</p></article>"
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


def _curve(scores: Scores, frames: np.ndarray) -> str:
    """The per-frame figure, with a sentence where faces are missing."""
    scored = scores.frames
    lost = [index + 1 for index, value in zip(scored.indices, scored.arcsim, strict=True) if value is None]
    note = _warn(LOST_FACES.format(_name_lost(lost, len(scored.indices)))) if lost else ""
    curve = draw_curve(scored.indices, scored.arcsim, cut_strip(scores, frames))
    people = ", mean of the people found" if scores.people else ""
    return f"{note}<figure><figcaption>ArcSim, frame by frame{people}</figcaption>{curve}</figure>"


def _name_lost(lost: list[int], scored: int) -> str:
    """Which frames have no face, or how many when they are many."""
    if len(lost) > MAX_NAMED_FRAMES:
        return f"{len(lost)} of {scored} frames"
    return f"frame{'s' * (len(lost) > 1)} {', '.join(map(str, lost))}"


def _warn(message: str) -> str:
    """What the visitor should look at."""
    return f'<p class="cid-notice">{escape(message)}</p>'


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
