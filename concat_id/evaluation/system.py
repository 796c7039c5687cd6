"""A system whose videos are made elsewhere: what its `system.json` says of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

from concat_id.errors import InputError
from concat_id.evaluation.figures import TRUTHS
from concat_id.files.folders import quote
from concat_id.files.text import read_text
from concat_id.loading.presets import PRESETS
from concat_id.validation import show

FILE_NAME = "system.json"
MAX_CHARACTERS = 300
_SAFE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,62}[A-Za-z0-9_-])?")


class InvalidSystem(InputError):
    """A folder of videos does not say which system made them, or holds none of the benchmark's."""


@dataclass(frozen=True)
class System:
    """Whose videos they are, each value a line of text."""

    name: str  # also of its folder below the evaluation's output
    licence: str  # of the system's weights
    date: str  # on which the videos were made, as in 2026-03-31
    url: str  # of its home page or repository
    command: str  # that made the videos

    def describe(self) -> str:
        """The system in a line, where its videos are shown: name, licence and date."""
        return f"{self.name} ({self.licence}, {self.date})"


def write_template(folder: Path) -> Path:
    """A `system.json` to fill in; one that is there stays."""
    path = folder / FILE_NAME
    if not path.exists():
        template = System(name="", licence="", date="", url="", command="")
        path.write_text(json.dumps(asdict(template), indent=2) + "\n", encoding="utf-8")
    return path


def read_system(folder: Path) -> System:
    """Read the `system.json` beside videos; what is missing or of the wrong kind raises `InvalidSystem`."""
    path = folder / FILE_NAME
    if not path.is_file():
        raise InvalidSystem(
            f"there is no {FILE_NAME} in {quote(folder)}, which says whose videos they are; "
            "`python -m concat_id benchmark export` writes one to fill in."
        )
    try:
        data = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidSystem(f"{quote(path)} is not readable JSON ({error}); correct it.") from error
    return _check_values(_check_keys(data))


def _check_keys(data: Any) -> dict[str, Any]:
    """Refuse what is no object of the five keys."""
    _require(isinstance(data, dict), f"must be an object, got {show(data)}")
    known = [entry.name for entry in fields(System)]
    _require(data.keys() >= set(known), f"lacks {_list(key for key in known if key not in data)}")
    _require(data.keys() <= set(known), f"has unknown keys: {_list(key for key in data if key not in known)}")
    return data


def _check_values(data: dict[str, Any]) -> System:
    """Refuse values that cannot be shown, or name a folder."""
    for key, value in data.items():
        _require(isinstance(value, str), f"must have texts; {key} is {show(value)}")
        # Tables and code spans of the report hold them.
        ok = value.strip() and value.isprintable() and len(value) <= MAX_CHARACTERS and "`" not in value
        _require(
            bool(ok),
            f"must have lines of 1 to {MAX_CHARACTERS} characters without backticks; {key} is {show(value)}",
        )
    system = System(**data)
    _require(
        _SAFE_NAME.fullmatch(system.name) is not None,
        f"must have a name of letters, digits, spaces, '.', '_' and '-', at most 64, got {show(system.name)}",
    )
    taken = {name.lower() for name in (*PRESETS, *TRUTHS)}
    _require(system.name.lower() not in taken, f"has the name of a preset, '{system.name}'; give another")
    _require(_is_date(system.date), f"must have a date such as 2026-03-31, got {show(system.date)}")
    _require(
        system.url.startswith(("https://", "http://")),
        f"must have a url that begins with https://, got {show(system.url)}",
    )
    return system


def _is_date(text: str) -> bool:
    """Whether a text is a day of the calendar."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _list(names: Iterable[Any]) -> str:
    """Names in a sentence, of any number and length."""
    return show(", ".join(map(str, names)))


def _require(ok: bool, message: str) -> None:
    """The one place where a `system.json` is refused."""
    if not ok:
        raise InvalidSystem(f"{FILE_NAME} {message}.")
