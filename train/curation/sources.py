"""What is to be curated: the videos of a folder, or those that a CSV or Parquet file names, with captions."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from concat_id.errors import InputError

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi")
SIDECAR_SUFFIXES = (".txt", ".csv", ".json", ".parquet")
COLUMNS = ("video", "caption")
# Of the beginning and of the end of a file: with its length they tell it from every other.
FINGERPRINT_BYTES = 65_536


class UnreadableSources(InputError):
    """The input of curation is missing, empty, or not a list of videos."""


@dataclass(frozen=True)
class Source:
    """One video to curate.

    Attributes:
        name: below the input folder, or as the list writes it; no two sources share one.
        path: where the file lies.
        caption: empty where there is none.
    """

    name: str
    path: str
    caption: str

    @property
    def key(self) -> str:
        """Sixteen hex digits of this name; those of clips and pictures begin with it."""
        return hashlib.sha256(self.name.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def read_sources(path: Path) -> list[Source]:
    """All sources by name.

    Args:
        path: a folder, whose files each may have a caption beside them (`NAME.txt`); or a CSV or Parquet
            file with the columns `video`, relative to the list's folder, and `caption`.

    Raises:
        UnreadableSources: there is no such thing, it is empty, or a video is listed twice.
    """
    if path.is_dir():
        sources = _read_folder(path)
    elif path.suffix.lower() in (".csv", ".parquet") and path.is_file():
        sources = [_read_row(row, path) for row in _read_list(path)]
    else:
        raise UnreadableSources(
            f"'{path}' is neither a folder nor a CSV or Parquet file; name one that holds or lists videos."
        )
    if not sources:
        raise UnreadableSources(f"'{path}' holds no files; name a folder or a list with videos.")
    name, times = Counter(source.name for source in sources).most_common(1)[0]
    if times > 1:
        raise UnreadableSources(f"'{path}' lists '{name}' {times} times; keep one of the rows.")
    return sorted(sources, key=lambda source: source.name)


def fingerprint(path: str) -> str:
    """What tells a file's contents from other files', sixteen hex digits, however it is called.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read(FINGERPRINT_BYTES))
        size = file.seek(0, 2)
        file.seek(max(0, size - FINGERPRINT_BYTES))
        digest.update(file.read() + str(size).encode())
    return digest.hexdigest()[:16]


def _read_folder(folder: Path) -> list[Source]:
    """Every file that is no sidecar and not hidden; what it is shows when it is opened."""
    sources = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if hidden or not path.is_file() or path.suffix.lower() in SIDECAR_SUFFIXES:
            continue
        beside = path.with_suffix(".txt")
        caption = beside.read_text("utf-8", "replace").strip() if beside.is_file() else ""
        sources.append(Source(name.as_posix(), str(path), caption))
    return sources


def _read_list(path: Path) -> list[dict[str, str]]:
    try:
        if path.suffix.lower() == ".csv":
            with path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.DictReader(file)
                _check_columns(path, reader.fieldnames or ())
                return list(reader)
        _check_columns(path, pq.read_schema(path).names)
        return pq.read_table(path, columns=list(COLUMNS)).to_pylist()
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowInvalid) as error:
        raise UnreadableSources(f"'{path}' cannot be read as a list of videos: {error}.") from error


def _check_columns(path: Path, names: list[str] | tuple[()]) -> None:
    missing = [column for column in COLUMNS if column not in names]
    if missing:
        raise UnreadableSources(
            f"'{path}' has the columns {list(names)}, not {' and '.join(missing)}; add what is missing."
        )


def _read_row(row: dict[str, str | None], path: Path) -> Source:
    name = (row["video"] or "").strip()
    if not name:
        raise UnreadableSources(f"'{path}' has a row without a video; fill it in or delete it.")
    return Source(name, str(path.parent / name), (row["caption"] or "").strip())
