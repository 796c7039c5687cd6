"""The folded settings of a tab."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from concat_id.errors import InvalidJob
from concat_id.job import SEED_LIMIT
from concat_id.ui.texts import NEGATIVE_PLACEHOLDER

if TYPE_CHECKING:
    from concat_id.job import Settings
    from concat_id.loading.presets import Preset


@dataclass(frozen=True)
class SettingsPanel:
    """The settings' components."""

    negative_prompt: gr.Textbox
    seed: gr.Textbox
    dice: gr.Button
    steps: gr.Slider
    guidance: gr.Slider
    likeness: gr.Slider

    @property
    def inputs(self) -> list[gr.components.Component]:
        """The values, in the order in which `tasks.SETTINGS` names them."""
        return [self.negative_prompt, self.seed, self.steps, self.guidance, self.likeness]


def build_settings(
    preset: Preset, page: str = "", above: Sequence[gr.components.Component] = ()
) -> SettingsPanel:
    """Lay the settings out, at the preset's values.

    Args:
        page: goes before the elements' names on pages that are not the first with such a panel.
        above: what to place above them, not rendered yet.
    """
    with gr.Accordion(
        "Advanced settings", open=False, elem_id=f"{page}advanced", elem_classes="cid-advanced"
    ):
        for component in above:
            component.render()
        negative_prompt = gr.Textbox(
            preset.negative_prompt,
            label="Negative prompt",
            placeholder=NEGATIVE_PLACEHOLDER,
            lines=1,
            max_lines=4,
        )
        with gr.Row(elem_classes="cid-seed"):
            # A number field would turn empty into 0.
            seed = gr.Textbox(
                label="Seed",
                placeholder="random",
                info="Empty or -1: a new one for every video.",
                elem_id=f"{page}seed",
            )
            dice = gr.Button("Roll", size="md", min_width=72, scale=0, elem_id=f"{page}dice")
        steps = gr.Slider(
            1,
            100,
            preset.num_inference_steps,
            step=1,
            precision=0,
            label="Steps",
            info="More steps: finer and slower.",
        )
        guidance = gr.Slider(
            1,
            12,
            preset.guidance_scale,
            step=0.1,
            label="Guidance",
            info="How strictly the prompt is followed.",
        )
        likeness = gr.Slider(
            0,
            4,
            preset.reference_guidance_scale,
            step=0.1,
            label="Likeness",
            info="1: as the method does it, and fastest. Higher: more alike. Lower: more freely edited.",
            elem_id=f"{page}likeness",
        )
    return SettingsPanel(negative_prompt, seed, dice, steps, guidance, likeness)


def wire_settings(panel: SettingsPanel) -> None:
    """The dice."""
    panel.dice.click(
        roll_seed, outputs=panel.seed, queue=False, show_progress="hidden", api_visibility="private"
    )


def fill_settings(panel: SettingsPanel, settings: Settings) -> dict[Any, Any]:
    """The updates that restore a resolved job's settings."""
    return {
        panel.negative_prompt: settings.negative_prompt,
        panel.seed: str(settings.seed),
        panel.steps: _reach(panel.steps, settings.num_inference_steps),
        panel.guidance: _reach(panel.guidance, settings.guidance_scale),
        panel.likeness: _reach(panel.likeness, settings.reference_guidance_scale),
    }


def _reach(slider: gr.Slider, value: float) -> dict[str, Any]:
    """The update of a slider to a value that programs may have set beyond its ends."""
    return gr.Slider(value=value, minimum=min(value, slider.minimum), maximum=max(value, slider.maximum))


def roll_seed() -> str:
    """A seed to keep."""
    return str(secrets.randbelow(SEED_LIMIT))


def read_seed(value: str | float | None) -> int | None:
    """The seed in a field or from a program; None if it was left empty."""
    if value is None or str(value).strip() == "":
        return None
    try:
        return int(value)
    except (ValueError, OverflowError) as error:
        raise InvalidJob(f"the seed must be a whole number, got '{value}'; or leave it empty.") from error
