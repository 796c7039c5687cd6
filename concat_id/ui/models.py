"""The header: name, purpose, the model that serves, and behind it all models with what they need."""

from __future__ import annotations

from html import escape

from concat_id.loading.load import list_missing
from concat_id.loading.presets import PRESETS, Preset
from concat_id.ui.forms.model_choice import list_needs
from concat_id.ui.texts import HOW_TO_CHANGE_MODELS, TAGLINE, TITLE


def draw_header(preset: str) -> str:
    """The page's head for the preset that serves it."""
    model = PRESETS[preset]
    entries = "".join(_draw_entry(name, name == preset) for name in PRESETS)
    return (
        f'<header class="cid-head"><div><h1>{escape(TITLE)}</h1><p>{escape(TAGLINE)}</p></div>'
        f'<details class="cid-models" id="models"><summary class="cid-model"><b>{escape(model.title)}</b>'
        f"<span>{_describe_video(model)}</span></summary>"
        f'<div class="cid-model-list"><p>{escape(HOW_TO_CHANGE_MODELS)}</p><ul>{entries}</ul></div>'
        "</details></header>"
    )


def _draw_entry(name: str, serves: bool) -> str:
    """A model: what it makes, what it needs, whether it is here, and the command that starts it."""
    model = PRESETS[name]
    elsewhere = "not fetched yet" if list_missing(name) else "on this machine"
    state = "serves this page" if serves else elsewhere
    facts = "".join(f"<div><dt>{key}</dt><dd>{escape(value)}</dd></div>" for key, value in list_needs(model))
    command = "" if serves else f"<code>python app.py --preset {escape(name)}</code>"
    return (
        f'<li data-model="{escape(name)}"><h3>{escape(model.title)} <span>{state}</span></h3>'
        f'<p>{_describe_video(model)}</p><dl class="cid-facts">{facts}</dl>{command}</li>'
    )


def _describe_video(model: Preset) -> str:
    """Size, length and rate of its videos."""
    return f"{model.width} &times; {model.height}, {model.num_frames} frames at {model.fps} fps"
