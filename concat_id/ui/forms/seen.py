"""What the model sees of a picture: the prepared reference, the faces in it, or why there is nothing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from concat_id.ui.data_url import encode_image
from concat_id.ui.texts import CHOOSE_BELOW, SEEN, SEEN_NOTHING, sentence

if TYPE_CHECKING:
    from PIL.Image import Image

    from concat_id.errors import InputError, WeightsUnavailable
    from concat_id.references.faces import Face
    from concat_id.references.prepare import PreparedReference
    from concat_id.references.reference import Role

THUMBNAIL_MARGIN = 0.35

_EMPTY = '<div class="cid-crop" data-empty></div>'


def cut_faces(picture: Image, faces: Sequence[Face]) -> list[Image]:
    """A thumbnail of every face found, in the order given."""
    thumbnails = []
    for face in faces:
        left, top, right, bottom = map(float, face.box)
        margin = THUMBNAIL_MARGIN * max(right - left, bottom - top)
        low = (max(0, int(left - margin)), max(0, int(top - margin)))
        high = (min(picture.width, int(right + margin)), min(picture.height, int(bottom + margin)))
        thumbnail = picture.crop((*low, *high))
        thumbnail.thumbnail((160, 160))
        thumbnails.append(thumbnail)
    return thumbnails


def draw_nothing(role: Role) -> str:
    """The slot before there is a picture."""
    return _card(_EMPTY, [SEEN_NOTHING[role]], "empty", role)


def draw_unavailable(error: WeightsUnavailable, role: Role) -> str:
    """What has to be there before anything can be shown."""
    return _card(_EMPTY, [sentence(error)], "empty", role)


def draw_prepared(prepared: PreparedReference, role: Role) -> str:
    """The prepared reference beside its notes."""
    source = _encode(prepared.picture)
    picture = f'<img class="cid-crop" src="{source}" alt="The reference as the model gets it">'
    lines = [*map(sentence, prepared.notes), *([CHOOSE_BELOW] if len(prepared.faces) > 1 else [])]
    return _card(picture, lines or [SEEN[role]], "ready", role)


def draw_refusal(error: InputError, role: Role) -> str:
    """What is wrong with the picture, where it would have been shown."""
    return _card(_EMPTY, [sentence(error)], "refused", role)


def _card(picture: str, lines: list[str], state: str, role: Role) -> str:
    """The card's frame."""
    text = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return (
        f'<section class="cid-seen" data-state="{state}" data-role="{role}">{picture}'
        f"<div><h3>What the model sees</h3>{text}</div></section>"
    )


def _encode(picture: Image) -> str:
    small = picture.copy()
    small.thumbnail((224, 224))
    return encode_image(small, "PNG")
