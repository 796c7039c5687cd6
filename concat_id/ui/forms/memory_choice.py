"""How much of the GPU a form's video may take."""

from __future__ import annotations

from typing import get_args

import gradio as gr

from concat_id.loading.devices import choose_device
from concat_id.loading.memory import MemoryMode
from concat_id.ui.texts import AS_STARTED, MEMORY_INFO


def build_memory_choice(page: str = "", *, is_offered: bool = True) -> gr.Dropdown:
    """Make the component, not rendered yet; unseen where there is no GPU.

    Args:
        page: goes before the element's name on pages that are not the first with such a choice.
        is_offered: whether videos are made on this machine.
    """
    return gr.Dropdown(
        [(AS_STARTED, ""), *((describe_mode(mode), mode) for mode in get_args(MemoryMode))],
        value="",
        label="GPU memory",
        info=MEMORY_INFO,
        visible=is_offered and choose_device(None).startswith("cuda"),
        render=False,
        elem_id=f"{page}memory",
    )


def describe_mode(mode: str) -> str:
    """A mode as people read it."""
    size, _, bits = mode.partition("-")
    said = "All there is" if size == "auto" else f"{size.removesuffix('gb')} GB"
    return f"{said}, text encoder in {bits.removesuffix('bit')} bits" if bits else said
