"""Whole files or none: written beside its place, a file is put there in one step."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write a file or a folder to, which then becomes `path`; after a failure nothing is left.

    The parent folders are made. A file or folder that was there before stays until the new one is whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # No pattern for the file finds this one, which a machine that is switched off leaves behind. It does not
    # hold the file's name, which may be as long as names can be.
    unfinished = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        yield unfinished
        if path.is_dir():  # only an empty folder is replaced in one step
            earlier = unfinished.with_suffix(".old")
            path.rename(earlier)
            unfinished.rename(path)
            shutil.rmtree(earlier)
        else:
            os.replace(unfinished, path)
    finally:
        if unfinished.is_dir():
            shutil.rmtree(unfinished)
        unfinished.unlink(missing_ok=True)
