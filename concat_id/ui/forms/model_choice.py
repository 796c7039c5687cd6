"""Which model makes a form's video; draft or quality, where it can do both; and what it needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from concat_id.job import Job
from concat_id.loading.load import list_missing
from concat_id.loading.presets import PRESETS, Preset
from concat_id.ui.events import QUIET
from concat_id.ui.forms.settings import MODEL_KINDS, SettingsPanel, fill_settings
from concat_id.ui.texts import FETCHED_AT_FIRST_USE, ON_THIS_MACHINE

# Draft and quality share what the visitor wrote; another model has a negative prompt of its own.
SAMPLING_KINDS = tuple(kind for kind in MODEL_KINDS if not kind.is_text)


@dataclass(frozen=True)
class ModelChoice:
    """The components, each to be placed with `render`."""

    offered: tuple[str, ...]  # names of the presets to choose from
    model: gr.Dropdown  # the name of the preset
    pace: gr.Radio  # the same again: of the presets of one model, the draft or the other
    needs: gr.HTML


def build_model_choice(names: Sequence[str], chosen: str, page: str = "") -> ModelChoice:
    """Make the components, not rendered yet.

    Args:
        names: of the presets to choose from.
        chosen: one of them.
        page: goes before the elements' names on pages that are not the first with a choice.
    """
    choices = [(PRESETS[name].title, name) for name in names]
    model = gr.Dropdown(
        choices, value=chosen, label="Model", visible=len(names) > 1, render=False, elem_id=f"{page}model"
    )
    versions = list_versions(chosen, names)
    pace = gr.Radio(
        versions,
        value=chosen if versions else None,
        label="Draft or quality",
        show_label=False,
        container=False,
        scale=0,
        min_width=190,
        visible=bool(versions),
        render=False,
        elem_id=f"{page}pace",
        elem_classes="cid-pace",
    )
    needs = gr.HTML(draw_needs(chosen), visible=len(names) > 1, container=False, render=False)
    return ModelChoice(tuple(names), model, pace, needs)


def wire_model_choice(choice: ModelChoice, settings: SettingsPanel) -> None:
    """Let model and pace follow each other, and the settings follow them where the visitor chose."""

    def describe(name: str) -> dict[Any, Any]:
        versions = list_versions(name, choice.offered)
        value = name if versions else None
        return {
            choice.pace: gr.Radio(versions, value=value, visible=bool(versions)),
            choice.needs: draw_needs(name),
        }

    def suggest_pace(name: str) -> dict[Any, Any]:
        return {choice.model: name, **fill_settings(settings, PRESETS[name], SAMPLING_KINDS)}

    suggested = list_suggested(choice, settings)
    choice.model.change(describe, choice.model, [choice.pace, choice.needs], **QUIET)
    choice.model.input(partial(suggest, choice, settings), choice.model, suggested, **QUIET)
    choice.pace.input(suggest_pace, choice.pace, suggested, **QUIET)


def follow_pace(job: Job, pace: str | None) -> Job:
    """The job as the pace has it that was clicked a moment ago, before the form could follow it."""
    if pace in (None, job.preset) or pace not in [name for _, name in list_versions(job.preset, PRESETS)]:
        return job
    own = {field: getattr(PRESETS[pace], field) for kind in SAMPLING_KINDS for field in kind.fields}
    return replace(job, preset=pace, settings=replace(job.settings, **own)).resolve()


def list_suggested(choice: ModelChoice, settings: SettingsPanel) -> list[gr.components.Component]:
    """What `suggest` changes."""
    return [choice.model, *(settings.inputs[kind.name] for kind in MODEL_KINDS)]


def suggest(choice: ModelChoice, settings: SettingsPanel, name: str) -> dict[Any, Any]:
    """The updates that choose a model, with the settings it was made for."""
    return {choice.model: name, **fill_settings(settings, PRESETS[name], MODEL_KINDS)}


def list_versions(name: str, offered: Collection[str]) -> list[tuple[str, str]]:
    """How the presets of a preset's model are called, and their names; none without a draft to choose."""
    full = next((other for other, preset in PRESETS.items() if preset.draft == name), name)
    draft = PRESETS[full].draft
    if not {full, draft} <= set(offered):
        return []
    return [("Draft", draft), ("Quality", full)]


def draw_needs(name: str) -> str:
    """What a model asks for, in a line, before it is loaded."""
    return f'<p class="cid-hint">{escape(describe_needs(name))}</p>'


def describe_needs(name: str) -> str:
    """What a model asks for, in a sentence."""
    if not list_missing(name):
        return ON_THIS_MACHINE
    return FETCHED_AT_FIRST_USE.format(
        "; ".join(f"{key.lower()} {value}" for key, value in list_needs(PRESETS[name]))
    )


def list_needs(model: Preset) -> list[tuple[str, str]]:
    """Name and value of everything that a model asks for."""
    return [
        ("Download", f"{model.download_gb:g} GB, once" if model.download_gb else "none"),
        ("Memory", f"about {model.memory_gb:g} GB"),
        ("Licence", model.licence),
    ]
