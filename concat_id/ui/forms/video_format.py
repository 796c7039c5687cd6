"""Size and length of a form's video: what the model is good at, or values of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from concat_id.errors import InputError
from concat_id.loading.presets import PRESETS
from concat_id.settings import Settings, count_tokens, format_size, parse_size
from concat_id.ui.events import QUIET
from concat_id.ui.texts import FORMAT_COST, FORMAT_LENGTH, SIZE_INFO, sentence


@dataclass(frozen=True)
class FormatPanel:
    """The components, each to be placed with `render`."""

    size: gr.Dropdown  # width x height
    frames: gr.Slider
    cost: gr.HTML

    @property
    def inputs(self) -> dict[str, gr.components.Component]:
        """The values, by the names that programs have for them."""
        return {"size": self.size, "frames": self.frames}


def build_format(model: str, page: str = "") -> FormatPanel:
    """Make the components at a model's own values, not rendered yet.

    Args:
        page: goes before the elements' names on pages that are not the first with such a panel.
    """
    preset = PRESETS[model]
    size = gr.Dropdown(
        list_sizes(model),
        value=format_size(preset.width, preset.height),
        label="Size",
        info=SIZE_INFO.format(preset.side_multiple_px),
        allow_custom_value=True,
        render=False,
        elem_id=f"{page}size",
    )
    frames = gr.Slider(
        preset.frame_stride + 1,
        2 * preset.num_frames - 1,
        preset.num_frames,
        step=preset.frame_stride,
        precision=0,
        label="Frames",
        render=False,
        elem_id=f"{page}frames",
    )
    cost = gr.HTML(draw_cost(model, size.value, preset.num_frames), container=False, render=False)
    return FormatPanel(size, frames, cost)


def wire_format(panel: FormatPanel, model: gr.Dropdown) -> None:
    """Let size and length follow the model where the visitor chose it, and say what they cost."""
    inputs = [model, panel.size, panel.frames]

    def suggest(name: str) -> dict[Any, Any]:
        preset = PRESETS[name]
        size = format_size(preset.width, preset.height)
        return _offer(panel, name, size, preset.num_frames)

    model.input(suggest, model, [panel.size, panel.frames], **QUIET)
    changes = [part.change for part in inputs]
    gr.on(changes, draw_cost, inputs, panel.cost, trigger_mode="always_last", **QUIET)


def fill_format(panel: FormatPanel, model: str, settings: Settings) -> dict[Any, Any]:
    """The updates that restore a resolved job's size and length."""
    return _offer(panel, model, format_size(settings.width, settings.height), settings.num_frames)


def _offer(panel: FormatPanel, model: str, size: str, num_frames: int) -> dict[Any, Any]:
    """The updates to what a model can make, with a size and a length chosen."""
    preset = PRESETS[model]
    info = SIZE_INFO.format(preset.side_multiple_px)
    return {
        panel.size: gr.Dropdown(list_sizes(model), value=size, info=info),
        panel.frames: gr.Slider(
            minimum=preset.frame_stride + 1,
            maximum=max(2 * preset.num_frames - 1, num_frames),
            value=num_frames,
            step=preset.frame_stride,
        ),
    }


def list_sizes(model: str) -> list[tuple[str, str]]:
    """The sizes that a model is good at: as people read them, and as values."""
    preset = PRESETS[model]
    sizes = dict.fromkeys([(preset.width, preset.height), *preset.sizes])
    return [(f"{width} \u00d7 {height}", format_size(width, height)) for width, height in sizes]


def draw_cost(model: str, size: str | None, frames: float | None) -> str:
    """How long the video will be, and how much more work it is than the model's own size; what is wrong."""
    preset, said = PRESETS[model], ""
    try:
        width, height = parse_size(size) if size else (preset.width, preset.height)
        length = int(frames or preset.num_frames)
        said = FORMAT_LENGTH.format(length / preset.fps, preset.fps)
        own = count_tokens(preset.width, preset.height, preset.num_frames, preset)
        work = count_tokens(width, height, length, preset) / own
        if abs(work - 1) > 0.05:
            said += " " + FORMAT_COST.format(work)
    except InputError as error:
        said = sentence(error)
    return f'<p class="cid-hint">{escape(said)}</p>'
