"""Checks of what a job says: one place refuses it, in a sentence that holds values of any kind and size."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable
from typing import Any

from concat_id.errors import InvalidJob

MAX_CHARACTERS = 4000


def require(ok: bool, message: str) -> None:
    """The one place where a job is refused."""
    if not ok:
        raise InvalidJob(message)


def require_integer(name: str, value: Any, low: int, high: int) -> None:
    """A whole number of the range."""
    ok = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    require(ok, f"{name} must be a whole number from {low} to {high}, got {show(value)}.")


def require_number(name: str, value: Any, low: float, high: float) -> None:
    """A finite number of the range."""
    ok = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    require(ok and low <= value <= high, f"{name} must be from {low:g} to {high:g}, got {show(value)}.")


def require_text(name: str, value: Any) -> None:
    """A string of at most `MAX_CHARACTERS` that a file can hold."""
    require(isinstance(value, str), f"{name} must be a text, got {show(value)}.")
    unpaired = any("\ud800" <= character <= "\udfff" for character in value)
    require(not unpaired, f"{name} has halves of characters, which no file can hold; write it again.")
    require(
        len(value) <= MAX_CHARACTERS,
        f"{name} has {len(value)} characters; shorten it to {MAX_CHARACTERS}.",
    )


def show(value: Any) -> str:
    """A value of any kind and size, in a sentence."""
    return reprlib.repr(value)


def either(values: Iterable[Any]) -> str:
    """Values as a choice in a sentence."""
    return " or ".join(f"'{value}'" for value in values)
