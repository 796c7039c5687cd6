"""Where Gradio keeps what visitors give."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

VARIABLE = "GRADIO_TEMP_DIR"


@contextmanager
def own_uploads() -> Iterator[None]:
    """Keep uploads in a folder of this program's own, which goes with it; a set `GRADIO_TEMP_DIR` is kept.

    Gradio's folder is one for all programs of a machine, names files after what is in them, and loses those
    of a program that ends: whoever gave the same picture to another one would be left without it.
    Gradio is imported, and pages are built, within.
    """
    if os.environ.get(VARIABLE):
        yield
        return
    with TemporaryDirectory(prefix="concat-id-uploads-", ignore_cleanup_errors=True) as folder:
        os.environ[VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[VARIABLE]
