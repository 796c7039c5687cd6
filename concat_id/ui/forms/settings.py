"""The folded settings of a tab."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from concat_id.evaluation.prices import EXACT, describe_price, read_prices
from concat_id.loading.presets import DEFAULT_PRESET, EMBEDDED
from concat_id.settings import FORM_SETTINGS, SEED_LIMIT, SettingKind, Slider
from concat_id.speed import SPEEDS
from concat_id.ui.texts import NEGATIVE_PLACEHOLDER, SPEED_INFO

if TYPE_CHECKING:
    from concat_id.loading.presets import Preset
    from concat_id.settings import Settings

# Size and length depend on the model, and have a panel of their own.
KINDS = tuple(kind for kind in FORM_SETTINGS if kind.widget not in ("size", "length"))
# Of the model; a visitor's own seed outlives a change of model.
MODEL_KINDS = tuple(kind for kind in KINDS if kind.widget != "seed")


@dataclass(frozen=True)
class SettingsPanel:
    """The settings' components."""

    inputs: dict[str, gr.components.Component]  # by the names that programs have for them
    dice: gr.Button


def build_settings(
    preset: Preset, page: str = "", above: Sequence[gr.components.Component] = ()
) -> SettingsPanel:
    """Lay the settings out, at the preset's values.

    Args:
        page: goes before the elements' names on pages that are not the first with such a panel.
        above: what to place above them, not rendered yet.
    """
    inputs: dict[str, gr.components.Component] = {}
    with gr.Accordion(
        "Advanced settings", open=False, elem_id=f"{page}advanced", elem_classes="cid-advanced"
    ):
        for component in above:
            component.render()
        for kind in KINDS:
            if kind.widget == "seed":
                with gr.Row(elem_classes="cid-seed"):
                    inputs[kind.name] = _build_seed(kind, page)
                    dice = gr.Button("Roll", size="md", min_width=72, scale=0, elem_id=f"{page}dice")
            elif kind.widget == "speed":
                inputs[kind.name] = _build_speed(kind, kind.fill(preset), page)
            elif isinstance(kind.widget, Slider):
                inputs[kind.name] = _build_slider(kind, kind.widget, kind.fill(preset), page)
            else:
                inputs[kind.name] = gr.Textbox(
                    kind.fill(preset),
                    label=kind.label,
                    placeholder=NEGATIVE_PLACEHOLDER,
                    lines=1,
                    max_lines=4,
                )
    return SettingsPanel(inputs, dice)


def _build_seed(kind: SettingKind, page: str) -> gr.Textbox:
    # A number field would turn empty into 0.
    return gr.Textbox(
        label=kind.label,
        placeholder="random",
        info="Empty or -1: a new one for every video.",
        elem_id=f"{page}{kind.name}",
    )


def _build_slider(kind: SettingKind, slider: Slider, value: float, page: str) -> gr.Slider:
    return gr.Slider(
        slider.low,
        slider.high,
        value,
        step=slider.step,
        precision=0 if kind.type is int else None,
        label=kind.label,
        info=slider.info,
        elem_id=f"{page}{kind.name}",
    )


def _build_speed(kind: SettingKind, value: str, page: str) -> gr.Radio:
    return gr.Radio(
        [(name.capitalize(), name) for name in SPEEDS],
        value=value,
        label=kind.label,
        info=describe_speeds(read_prices(EMBEDDED / "results" / DEFAULT_PRESET)),
        elem_id=f"{page}{kind.name}",
    )


def describe_speeds(prices: Mapping[str, Any] | None) -> str:
    """What speeds are, and where it was measured what each saves and costs with the embedded model."""
    if prices is None:
        return SPEED_INFO
    priced = [f"{name}: {describe_price(prices, name)}" for name in SPEEDS if name != EXACT]
    return f"{SPEED_INFO} With the embedded model, {'; '.join(priced)}."


def wire_settings(panel: SettingsPanel) -> None:
    """The dice."""
    panel.dice.click(
        roll_seed, outputs=panel.inputs["seed"], queue=False, show_progress="hidden", api_visibility="private"
    )


def fill_settings(
    panel: SettingsPanel, settings: Settings | Preset, kinds: Sequence[SettingKind] = KINDS
) -> dict[Any, Any]:
    """The updates that restore a resolved job's settings, or a preset's own."""
    updates = {}
    for kind in kinds:
        component, value = panel.inputs[kind.name], kind.fill(settings)
        if kind.widget == "seed":
            updates[component] = str(value)
        elif isinstance(kind.widget, Slider):
            updates[component] = _reach(component, value)
        else:
            updates[component] = value
    return updates


def _reach(slider: gr.Slider, value: float) -> dict[str, Any]:
    """The update of a slider to a value that programs may have set beyond its ends."""
    return gr.Slider(value=value, minimum=min(value, slider.minimum), maximum=max(value, slider.maximum))


def roll_seed() -> str:
    """A seed to keep."""
    return str(secrets.randbelow(SEED_LIMIT))
