"""What the model of drawn people can show, and what it cannot, in a fold below the prompt."""

from __future__ import annotations

from html import escape

import gradio as gr

from concat_id.loading.presets import PRESETS
from concat_id.ui.texts import CAN_SHOW, CANNOT_SHOW


def build_abilities(model: str, page: str) -> gr.HTML:
    """Lay the fold out.

    Args:
        page: goes before the element's name on pages that are not the first.
    """
    knows_drawn = PRESETS[model].domain == "drawn"
    return gr.HTML(
        draw_abilities(), visible=knows_drawn, container=False, elem_id=f"{page}can", elem_classes="cid-can"
    )


def show_abilities(model: str) -> gr.HTML:
    """The update for another model: of those for photographs there is no such list."""
    return gr.HTML(visible=PRESETS[model].domain == "drawn")


def draw_abilities() -> str:
    """The renderer's words: all that was in the training."""
    from concat_id.people import COLORS, EXPRESSIONS, GARMENTS, HEADWEAR, MOTIONS, PATTERNS, PLACES

    clothes = (*GARMENTS, *(name for name in HEADWEAR if name != "none"))
    kinds = {
        "Expressions": EXPRESSIONS,
        "Movements": MOTIONS,
        "Places": PLACES,
        "Clothes": (*clothes, *(name for name in PATTERNS if name != "plain")),
        "Colours": tuple(COLORS),
    }
    rows = "".join(
        f"<div><dt>{kind}</dt><dd>{escape(', '.join(names))}</dd></div>" for kind, names in kinds.items()
    )
    return (
        f"<details><summary>{escape(CAN_SHOW)}</summary><dl>{rows}</dl><p>{escape(CANNOT_SHOW)}</p></details>"
    )
