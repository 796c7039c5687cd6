"""Preparing reference pictures: from what a user uploads to what the model sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from concat_id.errors import FaceTooSmall, InvalidJob, NoFaceFound, NoGarmentFound, PlaceHidden
from concat_id.references.backgrounds import fill_people, find_people
from concat_id.references.faces import Face, FaceFinder, align_face
from concat_id.references.garments import cut_garment, put_on_black, shrink
from concat_id.references.parsing import BACKGROUND, CLOTH, EARRING, HAT, NECKLACE, Parser
from concat_id.references.photographs import is_photographed
from concat_id.references.upright import find_upright

CROP_PX = 448
MIN_FACE_PX = 40
# What is not the person; the neck stays, the released weights were trained so.
MASKED_LABELS = (BACKGROUND, HAT, EARRING, NECKLACE, CLOTH)
# With less of the crop left, the parser is taken to have failed.
MIN_KEPT_SHARE = 0.4
# Of a place: less is nobody, and behind more nobody could guess.
MIN_PEOPLE_SHARE = 0.005
MAX_PEOPLE_SHARE = 0.3
WHOLE_PICTURE = "The whole picture serves as the reference."
TURNED = {
    1: "The picture lay on its side; it was turned upright.",
    2: "The picture stood on its head; it was turned upright.",
    3: "The picture lay on its side; it was turned upright.",
}


@dataclass(frozen=True, eq=False)
class PreparedReference:
    """A reference as the model sees it, and how it came about."""

    picture: Image.Image  # what the model sees, before it is fitted to the video's size
    face: Face | None  # the chosen face, in `upright`; None where there is none
    faces: tuple[Face, ...]  # all faces that are large enough, the largest first
    notes: tuple[str, ...]  # what the user should know, in sentences
    photographed: bool = False  # whether the face looks photographed, rather than drawn
    upright: Image.Image | None = None  # the original picture as its faces were found; None without a search


def prepare_face(
    picture: Image.Image,
    finder: FaceFinder,
    parser: Parser,
    *,
    face_index: int | None = None,
    whole_picture: bool = False,
    min_face_px: float = MIN_FACE_PX,
) -> PreparedReference:
    """Find, align and mask the face of a picture.

    Args:
        picture: RGB, as `load_picture` returns it.
        face_index: which of the faces that are large enough, counted from the largest; None takes that.
        min_face_px: side from which on a face is large enough.
        whole_picture: use the picture as it is, for example when no face is found in a drawing.
    """
    if whole_picture:
        faces = _choices(finder.find(picture), min_face_px)
        face = choose_face(faces, face_index) if faces else None
        photographed = face is not None and is_photographed(picture, face)
        return PreparedReference(picture, face, faces, (WHOLE_PICTURE,), photographed, picture)
    upright = find_upright(picture, finder, parser)
    found, faces = upright.faces, _choices(upright.faces, min_face_px)
    if not found:
        raise NoFaceFound(
            "no face was found in the picture; choose one that shows a face clearly or use the whole picture."
        )
    if not faces:
        raise FaceTooSmall(
            f"the face is {found[0].side_px:.0f} px wide, less than {min_face_px:g}; "
            "choose a larger picture of it."
        )
    face = choose_face(faces, face_index)
    notes = [TURNED[upright.quarter_turns]] if upright.quarter_turns else []
    if len(faces) > 1 and face_index is None:
        notes.append(f"The picture shows {len(faces)} faces; the largest one is used.")
    crop = align_face(upright.picture, face.landmarks, CROP_PX)
    masked, mask_notes = mask_face(crop, parser)
    photographed = is_photographed(upright.picture, face)
    return PreparedReference(masked, face, faces, (*notes, *mask_notes), photographed, upright.picture)


def prepare_garment(
    picture: Image.Image, parser: Parser, *, whole_picture: bool = False
) -> PreparedReference:
    """Cut the clothing out of a picture, onto black.

    Args:
        picture: RGB or RGBA, as `load_reference` returns it; what is transparent is no garment.
        whole_picture: use the picture as it is, for example one that was cut out before.
    """
    if whole_picture:
        return _without_face(put_on_black(shrink(picture)), WHOLE_PICTURE)
    garment = cut_garment(picture, parser)
    if garment is None:
        raise NoGarmentFound(
            "no clothing was found in the picture; choose one that shows a garment clearly "
            "or use the whole picture."
        )
    return _without_face(garment)


def prepare_background(
    picture: Image.Image, parser: Parser, *, whole_picture: bool = False
) -> PreparedReference:
    """Remove the people from the picture of a place.

    Args:
        picture: RGB, as `load_picture` returns it.
        whole_picture: use the picture as it is, with whoever is in it.
    """
    picture = shrink(picture)
    if whole_picture:
        return _without_face(picture, WHOLE_PICTURE)
    people = find_people(picture, parser)
    share = people.mean()
    if share < MIN_PEOPLE_SHARE:
        return _without_face(picture)
    if share > MAX_PEOPLE_SHARE:
        raise PlaceHidden(
            f"people hide {100 * share:.0f} % of the place, more than the {100 * MAX_PEOPLE_SHARE:.0f} % "
            "that can be filled in; choose a picture that shows more of it or use the whole picture."
        )
    note = "The people in the picture were removed; what lies behind them is guessed from around them."
    return _without_face(fill_people(picture, people), note)


def _without_face(picture: Image.Image, *notes: str) -> PreparedReference:
    """A reference that is about no face."""
    return PreparedReference(picture, None, (), notes)


def _choices(faces: Sequence[Face], min_face_px: float) -> tuple[Face, ...]:
    """Faces that can be chosen: passers-by in the distance are no choice."""
    return tuple(face for face in faces if face.side_px >= min_face_px)


def choose_face(faces: tuple[Face, ...], face_index: int | None) -> Face:
    """The face with an index, counted from the largest; the largest for None."""
    index = 0 if face_index is None else face_index
    if not 0 <= index < len(faces):
        raise InvalidJob(
            f"face_index is {index}, but faces 0 to {len(faces) - 1} were found; choose one of these."
        )
    return faces[index]


def mask_face(crop: Image.Image, parser: Parser) -> tuple[Image.Image, tuple[str, ...]]:
    """Black out what is not the person in an aligned crop. Returns the crop and notes for the user."""
    kept = ~np.isin(parser.parse(crop), MASKED_LABELS)
    if kept.mean() < MIN_KEPT_SHARE:
        return crop, ("Face and background could not be told apart; the background stays in the reference.",)
    return Image.fromarray(np.asarray(crop) * kept[..., None]), ()
