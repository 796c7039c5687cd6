"""How much a studio gives to whoever comes by: read from CONCAT_ID_... variables, checked at the start.

A variable that is not set, or empty, leaves the default; None stands for no limit.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields

from concat_id.errors import InvalidLimit

PREFIX = "CONCAT_ID_"


@dataclass(frozen=True)
class Limits:
    """Whole numbers of 1 or more; the variable of `queue_length` is CONCAT_ID_QUEUE_LENGTH."""

    picture_bytes: int = 64 * 2**20
    picture_pixels: int = 50_000_000
    video_bytes: int = 128 * 2**20
    video_pixels: int = 4096 * 2304  # of a frame; phones film so large
    queue_length: int = 32  # runs that may wait
    waiting_per_visitor: int | None = None
    runs_per_hour: int | None = None  # of a visitor, in any 60 minutes
    run_seconds: int | None = None
    expire_hours: int | None = None  # age at which a run is deleted
    output_bytes: int | None = None  # of all runs together


DEFAULTS = Limits()


def read_limits(environment: Mapping[str, str] = os.environ) -> Limits:
    """The limits that a machine's owner has set."""
    names = {entry.name: f"{PREFIX}{entry.name.upper()}" for entry in fields(Limits)}
    given = {field: environment.get(name, "").strip() for field, name in names.items()}
    return Limits(**{field: _read_number(names[field], text) for field, text in given.items() if text})


def _read_number(name: str, text: str) -> int:
    """A whole number of 1 or more."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text)):
        raise InvalidLimit(
            f"{name} is '{text}'; it must be a whole number of 1 or more, such as 32: correct it or unset it."
        )
    return int(text)
