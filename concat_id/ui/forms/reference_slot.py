"""One reference's place in a tab: picture, examples, what the model sees, and the choice of a face."""

from __future__ import annotations

import filecmp
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from concat_id.errors import InputError, NoFaceFound, NoGarmentFound, PlaceHidden, WeightsUnavailable
from concat_id.references.pictures import load_picture
from concat_id.references.reference import Reference, Role
from concat_id.ui.events import QUIET, as_sentences
from concat_id.ui.forms import seen
from concat_id.ui.forms.draw_someone import DrawingPanel, build_drawing_panel, show_person, wire_drawing_panel
from concat_id.ui.forms.kept_picture import keep_picture
from concat_id.ui.forms.photo_choice import PhotoChoice, build_photo_choice
from concat_id.ui.server.gradio_patches import hand_over_file
from concat_id.ui.texts import WHOLE_PICTURE

if TYPE_CHECKING:
    from gradio.events import Dependency

    from concat_id.people.portrait import Traits
    from concat_id.references.prepare import PreparedReference
    from concat_id.ui.tasks import SlotKind

Prepare = Callable[[Reference], "PreparedReference"]
# By the name of the preset that needs the reference.
PrepareFor = Callable[[str], Prepare]
# Takes a reference and the name of the preset by whose tools a person is described.
Describe = Callable[..., "Traits"]

# What was looked for and not found: the picture may be right all the same.
NOT_FOUND = (NoFaceFound, NoGarmentFound, PlaceHidden)
EXAMPLES_OF: dict[Role, str] = {
    "face": "Example people",
    "garment": "Example garments",
    "background": "Example places",
}


@dataclass(frozen=True)
class ReferenceSlot:
    """The components of one reference."""

    kind: SlotKind
    fold: gr.Accordion | None  # around a reference that can be left out
    picture: gr.Image
    seen: gr.HTML
    faces: gr.Gallery
    take_whole: gr.Button
    face_index: gr.Number
    whole_picture: gr.Checkbox
    restored: gr.State  # the reference that was restored last
    kept: gr.State  # the picture to be used even if it is a photograph that the model does not know
    drawing: DrawingPanel | None = None  # of a face
    photo: PhotoChoice | None = None

    @property
    def choices(self) -> dict[str, gr.components.Component]:
        """What is chosen in the picture, by the names that programs have for it."""
        prefix = self.kind.prefix
        return {f"{prefix}face_index": self.face_index, f"{prefix}whole_picture": self.whole_picture}

    @property
    def filled(self) -> list[Any]:
        """What a restored reference changes."""
        fold = [self.fold] if self.fold else []
        return [self.picture, self.restored, self.kept, *self.shown, *fold]

    @property
    def shown(self) -> list[gr.components.Component]:
        """Everything that follows from the picture."""
        photo = self.photo.shown if self.photo else []
        return [self.seen, self.faces, self.take_whole, self.face_index, self.whole_picture, *photo]


def build_reference_slot(
    kind: SlotKind,
    examples: Sequence[Path],
    page: str = "",
    above: gr.components.Component | None = None,
    photo_model: str | None = None,
) -> ReferenceSlot:
    """Lay out one reference.

    Args:
        kind: what it is for.
        examples: pictures to choose from.
        page: goes before the elements' names where they are not the only ones.
        above: what to place above it, not rendered yet.
        photo_model: name of a preset for photographs that takes this reference, too.
    """
    fold = None
    if kind.optional:
        fold = gr.Accordion(f"{kind.optional} (optional)", open=False, elem_id=f"{page}fold")
    with fold or nullcontext(), gr.Column(elem_classes="cid-slot"):
        if above:
            above.render()
        return _build_slot(kind, fold, examples, page, photo_model)


def _build_slot(
    kind: SlotKind, fold: gr.Accordion | None, examples: Sequence[Path], page: str, photo_model: str | None
) -> ReferenceSlot:
    """Lay out what is in the fold, if there is one."""
    picture = _build_picture(kind.label, page)
    if examples:
        with gr.Column(elem_classes="cid-people", elem_id=f"{page}people"):
            gr.Examples(
                [[str(path)] for path in examples],
                [picture],
                label=EXAMPLES_OF[kind.role],
                examples_per_page=12,
            )
    is_face = kind.role == "face"
    drawing = build_drawing_panel(page) if is_face else None
    what_is_seen = gr.HTML(seen.draw_nothing(kind.role), elem_id=f"{page}seen", container=False)
    faces = gr.Gallery(
        label="Faces",
        show_label=False,
        visible=False,
        columns=5,
        height=96,
        allow_preview=False,
        object_fit="cover",
        buttons=[],
        interactive=False,
        elem_id=f"{page}faces",
        elem_classes="cid-faces",
    )
    take_whole = gr.Button(WHOLE_PICTURE, visible=False, size="md", elem_id=f"{page}take-whole")
    photo = build_photo_choice(photo_model, page) if is_face else None
    return ReferenceSlot(
        kind=kind,
        fold=fold,
        picture=picture,
        seen=what_is_seen,
        faces=faces,
        take_whole=take_whole,
        face_index=gr.Number(None, label="Face", precision=0, minimum=0, visible=False),
        whole_picture=gr.Checkbox(False, label="Whole picture", visible=False),
        restored=gr.State(),
        kept=gr.State(),
        drawing=drawing,
        photo=photo,
    )


def _build_picture(label: str, page: str) -> gr.Image:
    """An image input that hands over the file as it came; `concat_id.references.pictures` reads it."""
    picture = gr.Image(
        label=label,
        sources=["upload", "clipboard", "webcam"],
        # As others see the person: a mirrored face has parting and moles on the wrong side. The live picture
        # alone is mirrored, by the style sheet.
        webcam_options=gr.WebcamOptions(mirror=False),
        type="filepath",
        height=190,
        buttons=[],
        elem_id=f"{page}picture",
        elem_classes="cid-picture",
    )
    hand_over_file(picture)
    return picture


def wire_reference_slot(
    slot: ReferenceSlot, prepare_for: PrepareFor, model: gr.Dropdown, switched: Sequence[Dependency] = ()
) -> None:
    """Show what the chosen model sees whenever it, the picture, or the choice in it changes.

    Args:
        switched: events after which another model is chosen.
    """

    def show_picture(
        model: str, picture: str | None, kept: str | None, restored: Reference | None
    ) -> dict[Any, Any]:
        reference = picture and Reference(slot.kind.role, picture)
        if picture and restored and is_same_file(picture, restored.picture):
            reference = restored
        return _show(slot, prepare_for(model), reference, kept)

    def show_face(model: str, picture: str, kept: str | None, event: gr.SelectData) -> dict[Any, Any]:
        reference = Reference(slot.kind.role, picture, face_index=event.index)
        return _show(slot, prepare_for(model), reference, kept)

    def show_whole(model: str, picture: str, kept: str | None) -> dict[Any, Any]:
        return _show(slot, prepare_for(model), Reference(slot.kind.role, picture, whole_picture=True), kept)

    options: dict[str, Any] = {
        "inputs": [model, slot.picture, slot.kept],
        "outputs": slot.shown,
        "show_progress": "minimal",
        "show_progress_on": slot.seen,
        "api_visibility": "private",
    }
    # A draft sees what its model sees: only another model, chosen by hand, is worth another look.
    changed = [slot.picture.change, model.input]
    given = options | {"inputs": [*options["inputs"], slot.restored]}
    gr.on(changed, show_picture, **given)
    for event in switched:
        event.success(show_picture, **given)
    slot.faces.select(show_face, **options)
    slot.take_whole.click(show_whole, **options)
    if slot.drawing:
        wire_drawing_panel(slot.drawing, slot.picture)


def wire_photo_choice(slot: ReferenceSlot, describe: Describe, model: gr.Dropdown) -> None:
    """Draw a person like the photographed one, or keep the photograph; the form chooses another model."""

    def draw_alike(model: str, picture: str, face_index: int | None) -> dict[Any, Any]:
        with as_sentences():
            traits = describe(Reference("face", picture, face_index), preset=model)
        opened = {slot.drawing.fold: gr.Accordion(open=True)}
        return show_person(slot.drawing, slot.picture, traits) | opened

    slot.photo.alike.click(
        draw_alike,
        [model, slot.picture, slot.face_index],
        [slot.picture, slot.drawing.fold, *slot.drawing.inputs],
        show_progress="minimal",
        show_progress_on=slot.seen,
        api_visibility="private",
    )
    slot.photo.keep.click(
        lambda picture: {slot.kept: picture, **slot.photo.ask(False)},
        slot.picture,
        [slot.kept, *slot.photo.shown],
        **QUIET,
    )


def fill_reference_slot(
    slot: ReferenceSlot, prepare: Prepare, reference: Reference | None, *, keep: bool = False
) -> dict[Any, Any]:
    """The updates that restore a reference and the choice in it; without a picture, the slot is emptied.

    Args:
        keep: whether it is to be used even if it is a photograph that the model does not know.
    """
    reference = reference if reference and reference.picture else None
    picture = _lend(reference.picture) if reference else None
    kept = picture if keep else None
    # What the picture's own change shows would be the largest face again, were the choice not kept.
    updates = {slot.picture: picture, slot.restored: reference, slot.kept: kept}
    updates |= _show(slot, prepare, reference, kept)
    return updates | ({slot.fold: gr.Accordion(open=reference is not None)} if slot.fold else {})


def _lend(picture: str) -> str:
    """A copy that the page may hand out, wherever the picture itself is kept."""
    return save_file_to_cache(picture, get_upload_folder()) if Path(picture).is_file() else picture


def is_same_file(path: str | Path, other: str | Path) -> bool:
    """Whether two files hold the same bytes; what was deleted is the same as nothing."""
    try:
        return filecmp.cmp(path, other, shallow=False)
    except OSError:
        return False


def _show(
    slot: ReferenceSlot, prepare: Prepare, reference: Reference | None, kept: str | None
) -> dict[Any, Any]:
    """The slot's components for a reference; what is wrong with it is said in the slot itself.

    Args:
        kept: the picture that is to be used even if it is a photograph.
    """
    shown = {
        slot.seen: seen.draw_nothing(slot.kind.role),
        slot.faces: gr.Gallery(visible=False),
        slot.take_whole: gr.Button(visible=False),
        slot.face_index: reference.face_index if reference else None,
        slot.whole_picture: reference.whole_picture if reference else False,
        **(slot.photo.ask(False) if slot.photo else {}),
    }
    if reference is None:
        return shown
    try:
        prepared = prepare(reference)
    except WeightsUnavailable as error:
        return {**shown, slot.seen: seen.draw_unavailable(error, slot.kind.role)}
    except NOT_FOUND as error:
        return {
            **shown,
            slot.seen: seen.draw_refusal(error, slot.kind.role),
            slot.take_whole: gr.Button(visible=True),
        }
    except InputError as error:
        return {**shown, slot.seen: seen.draw_refusal(error, slot.kind.role)}
    shown[slot.seen] = seen.draw_prepared(prepared, slot.kind.role)
    if prepared.photographed and not (kept and is_same_file(reference.picture, kept)):
        shown |= slot.photo.ask(True)
    if len(prepared.faces) > 1 and not reference.whole_picture:
        cut = seen.cut_faces(prepared.upright or load_picture(reference.picture), prepared.faces)
        thumbnails = [keep_picture(face, slot.faces, "face.webp") for face in cut]
        shown[slot.faces] = gr.Gallery(thumbnails, visible=True, selected_index=reference.face_index or 0)
    return shown
