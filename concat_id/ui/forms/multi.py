"""The tab "Multi identity": its slots stand as the people do; they can be swapped, or come from one photo."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise, zip_longest
from typing import Any

import gradio as gr

from concat_id.errors import InvalidJob
from concat_id.loading.presets import PRESETS
from concat_id.references.reference import Reference
from concat_id.ui.events import QUIET, as_sentences
from concat_id.ui.forms.form import FormTab, build_form_tab, wire_form_tab
from concat_id.ui.forms.reference_slot import Prepare, ReferenceSlot, fill_reference_slot
from concat_id.ui.page_context import PageContext
from concat_id.ui.tasks import MULTI
from concat_id.ui.texts import GROUP_PHOTO, NOT_A_GROUP, POSITIONS, SWAP


@dataclass(frozen=True)
class MultiTab:
    """The tab's components."""

    form: FormTab
    group: gr.UploadButton
    swaps: tuple[gr.Button, ...]  # each swaps a slot and the next


def build_multi_tab(context: PageContext) -> MultiTab:
    """Lay the tab out: above the slots the group photo, and between them what swaps them."""
    first, *others = MULTI.fit(PRESETS[context.runner.preset]).slots
    group = gr.UploadButton(
        GROUP_PHOTO, file_types=["image"], size="md", variant="secondary", elem_id="group", render=False
    )
    swaps = {
        slot.name: gr.Button(
            SWAP.format(number, number + 1), size="md", elem_id=f"swap-{number}", render=False
        )
        for number, slot in enumerate(others, start=1)
    }
    form = build_form_tab(MULTI, context, above={first.name: group, **swaps})
    return MultiTab(form, group, tuple(swaps.values()))


def wire_multi_tab(tab: MultiTab, context: PageContext) -> None:
    """Connect the form, the group photo, and what swaps the slots."""
    wire_form_tab(tab.form, context)
    slots = tab.form.slots
    options: dict[str, Any] = {"show_progress": "minimal", "api_visibility": "private"}

    model = tab.form.choice.model

    def pick(model: str, photo: str) -> dict[Any, Any]:
        with as_sentences():
            return pick_from_photo(slots, context.prepare_for(model), photo)

    tab.group.upload(pick, [model, tab.group], [part for slot in slots for part in slot.filled], **options)
    for button, pair in zip(tab.swaps, pairwise(slots), strict=True):
        inputs = [model, *(part for slot in pair for part in (slot.picture, *slot.choices.values()))]
        outputs = [part for slot in pair for part in slot.filled]
        button.click(partial(swap, context, pair), inputs, outputs, **options)
    if len(slots) > 2:
        # Given by hand, and restored before the slot was ever seen.
        given = [slots[2].picture.change, slots[2].restored.change]
        gr.on(given, name_second, slots[2].picture, slots[1].picture, **QUIET)


def pick_from_photo(slots: tuple[ReferenceSlot, ...], prepare: Prepare, photo: str) -> dict[Any, Any]:
    """The updates that put the largest faces of a photo into the slots, from left to right."""
    faces = prepare(Reference("face", photo)).faces
    if len(faces) < 2:
        raise InvalidJob(NOT_A_GROUP)
    largest = range(min(len(faces), len(slots)))
    in_order = sorted(largest, key=lambda index: faces[index].box[0] + faces[index].box[2])
    references = [Reference("face", photo, face_index=index) for index in in_order]
    updates: dict[Any, Any] = {}
    for slot, reference in zip_longest(slots, references):
        updates |= fill_reference_slot(slot, prepare, reference)
    return updates


def swap(
    context: PageContext,
    pair: tuple[ReferenceSlot, ReferenceSlot],
    model: str,
    picture: str | None,
    face_index: int | None,
    whole_picture: bool,
    other: str | None,
    other_face_index: int | None,
    other_whole_picture: bool,
) -> dict[Any, Any]:
    """The updates that put into each of two slots what the other one holds."""
    here = Reference("face", picture or "", face_index, whole_picture)
    there = Reference("face", other or "", other_face_index, other_whole_picture)
    prepare = context.prepare_for(model)
    return fill_reference_slot(pair[0], prepare, there) | fill_reference_slot(pair[1], prepare, here)


def name_second(third: str | None) -> gr.Image:
    """The second person stands on the right, or in the middle once there is a third."""
    return gr.Image(label=POSITIONS[3 if third else 2][1])
