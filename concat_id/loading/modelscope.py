"""ModelScope, as far as fetching a model's files asks: list them, fetch them, go on where it was stopped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

ENDPOINT = "https://modelscope.cn"
REVISION = "master"
TIMEOUT_S = 60
CHUNK_BYTES = 2**20

# What goes wrong where the network or ModelScope's answer is at fault.
FetchingFailed = (OSError, HTTPException, ValueError, LookupError, TypeError)


@dataclass(frozen=True)
class RemoteFile:
    """A file of a model."""

    repository: str  # OWNER/NAME
    path: str  # in the repository
    size: int  # bytes
    sha256: str  # "": unknown


def list_files(repository: str) -> list[RemoteFile]:
    """All files of a model."""
    query = urlencode({"Revision": REVISION, "Recursive": "true"})
    with urlopen(f"{_address(repository)}/repo/files?{query}", timeout=TIMEOUT_S) as answer:
        entries = json.load(answer)["Data"]["Files"]
    return [
        RemoteFile(repository, entry["Path"], int(entry["Size"]), entry.get("Sha256") or "")
        for entry in entries
        if entry["Type"] == "blob"
    ]


def fetch_file(file: RemoteFile, folder: Path) -> Path:
    """Fetch a file into a folder, under its path; what was fetched of it before is kept.

    Raises:
        FetchingFailed: what arrived stays beside it as `.part`, unless it is wrong.
    """
    path = folder / file.path
    part = path.with_name(f"{path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    if not part.exists() or part.stat().st_size < file.size:
        _fetch_rest(file, part)
    if part.stat().st_size < file.size:
        raise ConnectionError(f"{file.path} of {file.repository} broke off.")
    if part.stat().st_size > file.size or (file.sha256 and _digest(part) != file.sha256):
        part.unlink()
        raise ValueError(f"{file.path} of {file.repository} arrived damaged.")
    return part.rename(path)


def _fetch_rest(file: RemoteFile, part: Path) -> None:
    """Append to a file what it lacks."""
    done = part.stat().st_size if part.exists() else 0
    query = urlencode({"Revision": REVISION, "FilePath": file.path})
    request = Request(f"{_address(file.repository)}/repo?{query}", headers={"Range": f"bytes={done}-"})
    with urlopen(request, timeout=TIMEOUT_S) as answer:
        # A server that does not know ranges sends everything.
        with part.open("ab" if answer.status == 206 else "wb") as output:
            while chunk := answer.read(CHUNK_BYTES):
                output.write(chunk)


def _address(repository: str) -> str:
    """Where the API answers for a model."""
    return f"{ENDPOINT}/api/v1/models/{quote(repository)}"


def _digest(path: Path) -> str:
    """A file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
