"""A reference: whose picture it is, and how to read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# In the order in which a model gets the references; faces as the people stand, from left to right.
Role = Literal["face", "garment", "background"]
# For `--help`.
ABOUT_ROLES: dict[Role, str] = {
    "face": "picture of a person; once for each, from left to right",
    "garment": "picture of what the person wears",
    "background": "picture of the place",
}
OTHER_ROLES = tuple(role for role in ABOUT_ROLES if role != "face")


@dataclass(frozen=True)
class Reference:
    """One reference picture and how to read it."""

    role: Role
    picture: str  # path of the picture file
    face_index: int | None = None  # faces only: which one, counted from the largest; None: the largest
    whole_picture: bool = False  # take the picture as it is, without looking for what the role is about

    def __post_init__(self) -> None:
        object.__setattr__(self, "picture", str(self.picture))
