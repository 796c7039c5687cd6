"""What a reference can be: one row for each role.

A row says how a reference of that role is prepared, and by which tools; what commands call it is in
`concat_id.references.reference`, how a video is compared with it is `COMPARISONS` in
`concat_id.scoring.surroundings`. Which roles a task takes is `TASK_ROLES` in `concat_id.job`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image

from concat_id.references.pictures import load_picture
from concat_id.references.prepare import (
    PreparedReference,
    prepare_background,
    prepare_face,
    prepare_garment,
)
from concat_id.references.reference import Reference, Role


@dataclass(frozen=True)
class RoleKind:
    """One role.

    Attributes:
        tools: who looks at the picture: what finds and parses faces, or the clothes parser.
        prepare: takes the loaded picture, those tools, the reference, and the side of the smallest face, px.
        examples: folder of example pictures, below that of the people.
        keeps_alpha: whether its picture's own transparency is looked at.
    """

    tools: Literal["faces", "clothes"]
    prepare: Callable[[Image.Image, Any, Reference, float], PreparedReference]
    examples: str
    keeps_alpha: bool = False


def _prepare_face(
    picture: Image.Image, tools: Any, reference: Reference, min_face_px: float
) -> PreparedReference:
    return prepare_face(
        picture,
        tools.finder,
        tools.parser,
        face_index=reference.face_index,
        whole_picture=reference.whole_picture,
        min_face_px=min_face_px,
    )


# In the order in which a model gets them.
ROLES: dict[Role, RoleKind] = {
    "face": RoleKind("faces", _prepare_face, "."),
    "garment": RoleKind(
        "clothes",
        lambda picture, parser, reference, _: prepare_garment(
            picture, parser, whole_picture=reference.whole_picture
        ),
        "garments",
        keeps_alpha=True,
    ),
    "background": RoleKind(
        "clothes",
        lambda picture, parser, reference, _: prepare_background(
            picture, parser, whole_picture=reference.whole_picture
        ),
        "places",
    ),
}


def load_reference(reference: Reference) -> Image.Image:
    """The picture of a reference, as it is prepared and kept beside the video."""
    return load_picture(reference.picture, keep_alpha=ROLES[reference.role].keeps_alpha)
