"""Text files as other programs write them: with any byte order mark, and any ends of lines."""

from __future__ import annotations

import json
from pathlib import Path

MAX_BYTES = 64 * 2**20


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is no such text, or has more than 64 MB.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES // 2**20} MB")
    # What spreadsheets and Windows' editors write begins with a mark; without one, the zeros tell.
    return data.decode(json.detect_encoding(data)).removeprefix("\ufeff")
