"""Drawing a person instead of giving a picture: a form over the renderer's traits, in a reference's slot."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from concat_id.ui.forms.kept_picture import keep_picture
from concat_id.ui.texts import DRAW_SOMEONE

if TYPE_CHECKING:
    from concat_id.people.palette import Color
    from concat_id.people.portrait import Traits

LABELS = {
    "features": "Features",
    "skin": "Skin",
    "hair": "Hair",
    "hair_color": "Hair colour",
    "eye_color": "Eyes",
    "beard": "Beard",
    "glasses": "Glasses",
    "glasses_color": "Frame",
}
FIELD_ROWS = (
    ("features",),
    ("skin",),
    ("hair", "beard"),
    ("hair_color",),
    ("eye_color",),
    ("glasses",),
    ("glasses_color",),
)
SWATCHES = ("skin", "hair_color", "eye_color", "glasses_color")
DETAILS = ("wrinkles", "freckles", "earrings")
# Drawing takes a core for half a second.
DRAWING: dict[str, Any] = {
    "show_progress": "hidden",
    "api_visibility": "private",
    "concurrency_id": "drawing",
    "concurrency_limit": 2,
}


@dataclass(frozen=True)
class DrawingPanel:
    """The components."""

    fold: gr.Accordion
    fields: Mapping[str, gr.components.Component]  # by trait
    details: gr.CheckboxGroup  # the traits that are there or not
    seed: gr.State  # of what no field says
    chance: gr.Button  # anyone
    other: gr.Button  # someone else with these traits

    @property
    def inputs(self) -> list[gr.components.Component]:
        """The person, in the order in which `read_panel` takes it."""
        return [self.seed, self.details, *self.fields.values()]


def build_drawing_panel(page: str) -> DrawingPanel:
    """Lay the form out, folded.

    Args:
        page: goes before the elements' names where they are not the only ones.
    """
    from concat_id.people.portrait import Traits

    someone = Traits()
    fields: dict[str, gr.components.Component] = {}
    with gr.Accordion(DRAW_SOMEONE, open=False, elem_id=f"{page}draw", elem_classes="cid-draw") as fold:
        with gr.Row(elem_classes="cid-draw-chance"):
            chance = gr.Button("Anyone", size="md", min_width=90, elem_id=f"{page}draw-chance")
            other = gr.Button("Another face", size="md", min_width=90, elem_id=f"{page}draw-other")
        for names in FIELD_ROWS:
            with gr.Row() if len(names) > 1 else nullcontext():
                fields |= {name: _build_field(name, someone, page) for name in names}
        details = gr.CheckboxGroup(
            list(DETAILS),
            value=[name for name in DETAILS if getattr(someone, name)],
            label="Details",
            elem_id=f"{page}draw-details",
            elem_classes="cid-trait",
        )
    return DrawingPanel(fold, fields, details, gr.State(someone.seed), chance, other)


def _build_field(name: str, someone: Traits, page: str) -> gr.components.Component:
    """What chooses one trait: colours and a few words side by side, more words in a list."""
    from concat_id.people.portrait import CHOICES

    is_listed = name in ("hair", "beard")
    return (gr.Dropdown if is_listed else gr.Radio)(
        list(CHOICES[name]),
        value=getattr(someone, name),
        label=LABELS[name],
        visible=name != "glasses_color" or someone.glasses != "none",
        min_width=120,
        elem_id=f"{page}draw-{name.replace('_', '-')}",
        elem_classes=["cid-swatches", f"cid-{name}"] if name in SWATCHES else ["cid-trait"],
    )


def wire_drawing_panel(panel: DrawingPanel, picture: gr.Image) -> None:
    """Let the slot's picture follow the form at once; an empty slot that is opened shows anyone."""

    def draw(*values: Any) -> dict[Any, Any]:
        traits = read_panel(panel, *values)
        # The fields stay as they are: what was chosen meanwhile would be undone.
        return {picture: keep_portrait(picture, traits), frame: gr.Radio(visible=traits.glasses != "none")}

    def draw_other(*values: Any) -> dict[Any, Any]:
        from concat_id.people.portrait import roll_seed

        return show_person(panel, picture, read_panel(panel, roll_seed(), *values[1:]))

    def draw_anyone() -> dict[Any, Any]:
        from concat_id.people.portrait import Traits, roll_seed

        return show_person(panel, picture, Traits.of_seed(roll_seed()))

    frame, outputs = panel.fields["glasses_color"], [picture, *panel.inputs]
    changed = [field.input for field in (*panel.fields.values(), panel.details)]
    gr.on(changed, draw, panel.inputs, [picture, frame], trigger_mode="always_last", **DRAWING)
    panel.other.click(draw_other, panel.inputs, outputs, **DRAWING)
    panel.chance.click(draw_anyone, None, outputs, **DRAWING)
    panel.fold.expand(lambda given: gr.skip() if given else draw_anyone(), picture, outputs, **DRAWING)


def read_panel(panel: DrawingPanel, seed: int, details: list[str], *values: str) -> Traits:
    """The person whom the form describes."""
    from concat_id.people.portrait import Traits

    named = dict(zip(panel.fields, values, strict=True))
    return Traits(**named, **{name: name in details for name in DETAILS}, seed=seed)


def show_person(panel: DrawingPanel, picture: gr.Image, traits: Traits) -> dict[Any, Any]:
    """The updates that put a person into the form, and their portrait into the slot."""
    updates: dict[Any, Any] = {field: getattr(traits, name) for name, field in panel.fields.items()}
    updates[panel.fields["glasses_color"]] = gr.Radio(
        value=traits.glasses_color, visible=traits.glasses != "none"
    )
    return updates | {
        picture: keep_portrait(picture, traits),
        panel.seed: traits.seed,
        panel.details: [name for name in DETAILS if getattr(traits, name)],
    }


def keep_portrait(picture: gr.Image, traits: Traits) -> str:
    """Draw a person into Gradio's cache, where uploads are, too. Returns the picture's path."""
    from concat_id.people.portrait import draw_portrait

    return keep_picture(draw_portrait(traits), picture, "drawn.png")


def draw_swatches() -> str:
    """The style sheet that shows the colours behind their names."""
    from concat_id.people.palette import EYE_COLORS, GLASSES_COLORS, HAIR_COLORS, SKIN_COLORS

    palettes = dict(zip(SWATCHES, (SKIN_COLORS, HAIR_COLORS, EYE_COLORS, GLASSES_COLORS), strict=True))
    return "\n".join(
        f'.cid-{kind} label:has([value="{name}"]) {{ --swatch: {_to_css(color)}; }}'
        for kind, colors in palettes.items()
        for name, color in colors.items()
    )


def _to_css(color: Color) -> str:
    """A colour as CSS writes it."""
    return f"rgb({' '.join(str(round(255 * value)) for value in color)})"
