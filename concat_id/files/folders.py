"""Folders to write to, and how a sentence names a path."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from concat_id.errors import OutputUnusable


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made or written to; it is not made."""
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise OutputUnusable(
            f"{quote(existing)} is a file where a folder is needed; move it, or give another."
        )
    try:
        with tempfile.TemporaryDirectory(dir=existing, prefix="."):
            pass
    except OSError as error:
        raise OutputUnusable(
            f"{quote(existing)} cannot be written to ({error.strerror}); give another."
        ) from error


def quote(path: Path) -> str:
    """A path in a sentence, of any length."""
    text = str(path).replace("\0", "\\0")
    return f"'{text}'" if len(text) <= 120 else f"'{text[:60]}...{text[-40:]}'"
