"""How often work on something was begun and its worker killed: whoever kills it every time is given up.

An error is caught where it arises. But a decoder or a model can also end its whole process, by a fault of
memory or by taking too much of it, and Ray begins such work anew without end.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from train.curation.verdicts import Dropped

MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class Attempts:
    """Of one run.

    Args:
        folder: for a file of each that is under way, as long as the number of attempts.
    """

    folder: Path

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """One more attempt; it is forgotten when the block is left, in whatever way but death.

        Raises:
            Dropped: there have been enough of them.
        """
        path = self.folder / name
        made = path.stat().st_size if path.exists() else 0
        if made >= MAX_ATTEMPTS:
            raise Dropped(
                "kills its worker",
                f"the process that worked on it was ended {made} times, by a fault or for want of memory; "
                "convert the file, or leave it out.",
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(b".")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Begin to count, or have done so."""
        shutil.rmtree(self.folder, ignore_errors=True)
