"""Why something is not kept: every row carries its status, a reason to count by and a sentence to read."""

from __future__ import annotations

from typing import Literal, get_args

Status = Literal["kept", "dropped"]
Reason = Literal[
    # files
    "missing", "empty file", "other file", "unreadable", "damaged", "no pictures", "still picture",
    "too large", "kills its worker", "duplicate", "caption without people", "no caption",
    # clips
    "too short", "nobody", "crowd", "people come and go", "face changes", "too few references",
    # people and references
    "contradicts the order", "turned away",
]  # fmt: skip
REASONS: tuple[Reason, ...] = get_args(Reason)


class Dropped(Exception):
    """A file or a clip is not kept.

    Args:
        reason: by which the report counts.
        detail: what is the matter with this one, with the value and the rule.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail
