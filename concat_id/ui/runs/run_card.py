"""A run in words: its caption in the gallery, and the card with everything that made it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from concat_id.loading.presets import PRESETS
from concat_id.settings import ASKED_SETTINGS

if TYPE_CHECKING:
    from concat_id.job import Job
    from concat_id.studio.runs import Run


def caption_run(run: Run) -> str:
    """A line beneath a run's picture."""
    scores = run.scores
    if scores is None:
        return "no face to compare with"
    if not scores.face_rate:
        return "no face found"
    found = "" if scores.face_rate == 1 else f" · face in {100 * scores.face_rate:.0f} %"
    return f"ArcSim {scores.arcsim:.3f} · CLIPDist {scores.clipdist:.3f}{found}"


def draw_run(run: Run) -> str:
    """The prompt, the settings, and the link that restores them."""
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in _facts(run)
    )
    return (
        f'<section class="cid-run"><h3>{escape(run.job.prompt)}</h3><dl class="cid-facts">{rows}</dl>'
        f'<p><a href="?run={run.name}">Link to this run</a>: restores it for whoever has the link.</p>'
        "</section>"
    )


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    """Name and value of everything that made the video."""
    yield "Made", describe_age(time.time() - run.made)
    yield "Model", describe_model(run.job)
    for lora in run.job.loras:
        yield "LoRA", f"{lora.name} at {lora.strength:g}"
    for kind in ASKED_SETTINGS:
        value = kind.word(run.job.settings)
        if value:  # a negative prompt may be empty
            yield kind.label, value


def describe_model(job: Job) -> str:
    """The preset's title, or its name when this version does not know it."""
    return PRESETS[job.preset].title if job.preset in PRESETS else job.preset


def describe_age(seconds: float) -> str:
    """How long ago something was, roughly."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count = int(seconds // length)
        if count:
            return f"{count} {unit}{'s' * (count > 1)} ago"
    return "just now"
