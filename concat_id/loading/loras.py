"""LoRAs to choose from: the safetensors files of the folder that $CONCAT_ID_LORAS names.

A job names one by its file's name without the ending, and by what is in it, so that a run is never made again
with another file of that name.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from concat_id.errors import InvalidJob

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Lora:
    """A LoRA of that folder."""

    name: str  # of its file, without the ending
    strength: float = 1.0
    sha256: str | None = None  # of its file; None: whatever lies there under the name


def list_loras() -> dict[str, Path]:
    """Names and files, in alphabetical order; none where no folder is named, or it is not there."""
    folder = os.environ.get("CONCAT_ID_LORAS")
    if not folder or not Path(folder).is_dir():
        return {}
    files = [path for path in Path(folder).iterdir() if path.suffix.lower() == SUFFIX and path.is_file()]
    return {path.stem: path for path in sorted(files) if not path.name.startswith(".")}


def identify(lora: Lora) -> Lora:
    """The LoRA with the digest of its file; one that is not there, or not the same, is refused."""
    files = list_loras()
    if lora.name not in files:
        choices = ", ".join(f"'{name}'" for name in list(files)[:5]) or "none"
        raise InvalidJob(f"there is no LoRA '{lora.name[:80]}' in the folder of LoRAs; there is {choices}.")
    found = _digest_file(files[lora.name])
    if lora.sha256 not in (None, found):
        raise InvalidJob(
            f"the LoRA '{lora.name}' is another file than the one this was made with; put that one into the "
            "folder, or leave out the sha256."
        )
    return replace(lora, sha256=found)


def locate(loras: Sequence[Lora]) -> tuple[tuple[Path, float, str], ...]:
    """File, strength and digest of LoRAs that were identified."""
    files = list_loras()
    return tuple((files[lora.name], lora.strength, lora.sha256) for lora in loras)


def _digest_file(path: Path) -> str:
    """SHA-256 of a file."""
    facts = path.stat()
    return _digest(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=64)
def _digest(path: Path, modified_ns: int, size: int) -> str:
    """SHA-256 of a file that was last changed then."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
