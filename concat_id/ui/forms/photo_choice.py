"""What a photograph meets where the chosen model knows drawn people only: a choice, before a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from concat_id.loading.presets import PRESETS
from concat_id.ui.forms.model_choice import describe_needs
from concat_id.ui.texts import DRAW_ALIKE, KEEP_PHOTO, NO_PHOTO_MODEL, PHOTO_MEETS_DRAWN, PHOTO_MODEL_NEEDS


@dataclass(frozen=True)
class PhotoChoice:
    """The components; nothing of them is seen before there is such a photograph."""

    panel: gr.Column
    alike: gr.Button  # draws a person like the one in it
    switch: gr.Button | None  # to the model for photographs, if one can make this form's videos here
    keep: gr.Button  # uses it all the same
    is_open: gr.State  # whether the visitor has yet to choose

    @property
    def shown(self) -> list[gr.components.Component]:
        """What follows from the picture."""
        return [self.panel, self.is_open]

    def ask(self, is_open: bool) -> dict[Any, Any]:
        """The updates that put the question, or take it back."""
        return {self.panel: gr.Column(visible=is_open), self.is_open: is_open}


def find_photo_model(models: Sequence[str]) -> str | None:
    """The first of these presets that knows photographed people."""
    return next((name for name in models if PRESETS[name].domain != "drawn"), None)


def build_photo_choice(photo_model: str | None, page: str) -> PhotoChoice:
    """Lay the choice out, not seen yet.

    Args:
        photo_model: name of a preset for photographs that can make this form's videos; None: there is none.
        page: goes before the elements' names where they are not the only ones.
    """
    with gr.Column(visible=False, elem_id=f"{page}photo", elem_classes="cid-photo") as panel:
        gr.HTML(f"<p>{escape(PHOTO_MEETS_DRAWN)}</p>", container=False)
        alike = gr.Button(DRAW_ALIKE, variant="primary", size="md", elem_id=f"{page}photo-alike")
        switch = None
        if photo_model:
            title = PRESETS[photo_model].title
            switch = gr.Button(f"Use {title}", size="md", elem_id=f"{page}photo-model")
            needs = PHOTO_MODEL_NEEDS.format(title=title, needs=describe_needs(photo_model))
        else:
            needs = NO_PHOTO_MODEL
        gr.HTML(f'<p class="cid-hint">{escape(needs)}</p>', container=False)
        keep = gr.Button(KEEP_PHOTO, size="md", elem_id=f"{page}photo-keep")
    return PhotoChoice(panel, alike, switch, keep, gr.State(False))
