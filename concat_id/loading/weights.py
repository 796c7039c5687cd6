"""Where weights come from: this repository, the Hugging Face hub, ModelScope, insightface's own releases.

A source is a local path, `hub:OWNER/NAME` or `hub:OWNER/NAME/FILE_OR_FOLDER`, `insightface:PACK`, or
`modelscope:OWNER/NAME/FOLDER`. What the hub gives lies in its own cache; everything else that this project
keeps lies in `cache_folder()`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from concat_id.errors import WeightsUnavailable

if TYPE_CHECKING:
    from concat_id.loading.modelscope import RemoteFile

Source = Path | str


@dataclass(frozen=True)
class Fetching:
    """A file is about to be fetched."""

    name: str  # where from
    index: int  # of the file, from 0
    total: int  # number of files
    bytes_done: int
    bytes_total: int  # of all files whose size is known; 0: of none


def cache_folder() -> Path:
    """Where converted checkpoints are kept: $CONCAT_ID_CACHE, or ~/.cache/concat-id."""
    return Path(os.environ.get("CONCAT_ID_CACHE") or Path.home() / ".cache" / "concat-id")


def locate(source: Source, *, patterns: Sequence[str] | None = None) -> Path:
    """The path of weights on this machine, fetched first if need be.

    Args:
        source: see the module's docstring.
        patterns: which files of a hub repository are wanted; None means all.
    """
    kind, name = _split(source)
    if kind == "hub":
        return _from_hub(name, patterns)
    if kind == "modelscope":
        for file in _list_modelscope_files(name, patterns):
            file.fetch()
        return _modelscope_folder(name)
    if kind == "insightface":
        return _from_insightface(name)
    path = Path(source)
    if not path.exists():
        raise WeightsUnavailable(
            f"'{path}' is missing; fetch it with the repository's other files and try again."
        )
    return path


def find(source: Source, *, patterns: Sequence[str] | None = None) -> Path | None:
    """The path of weights that are on this machine already, else None: nothing is fetched."""
    kind, name = _split(source)
    if kind == "hub":
        with contextlib.suppress(OSError):
            path = _from_snapshot(name, patterns, local_files_only=True)
            return path if _has(path, patterns) else None
        return None
    if kind == "modelscope":
        path = _modelscope_folder(name)
        return path if _has(path, patterns) else None
    path = _insightface_folder(name) if kind == "insightface" else Path(source)
    return path if path.exists() else None


def fetch(wanted: Mapping[Source, Sequence[str] | None]) -> Iterator[Fetching]:
    """Fetch sources file by file; what is on this machine already is passed over.

    Closing the generator, which yields before each file, stops it; what was fetched stays.

    Args:
        wanted: the patterns of each source, see `locate`.
    """
    files = [file for source, patterns in wanted.items() for file in _list_files(source, patterns)]
    sizes = [file.size for file in files]
    _check_room(sum(sizes))
    for index, file in enumerate(files):
        yield Fetching(file.name, index, len(files), sum(sizes[:index]), sum(sizes))
        file.fetch()
    # Only after this does `find` find what came from the hub: what is there in part is not there.
    for source, patterns in wanted.items():
        locate(source, patterns=patterns)


def describe_fetching(source: Source) -> str:
    """The command that fetches a file or a repository of the hub."""
    owner, repository, *inside = _split(source)[1].split("/")
    return " ".join(["hf download", f"{owner}/{repository}", *(["/".join(inside)] if inside else [])])


def _split(source: Source) -> tuple[str, str]:
    """A source's kind and name; the kind of a local path is empty."""
    kind, _, name = str(source).partition(":")
    is_remote = isinstance(source, str) and kind in ("hub", "modelscope", "insightface")
    return (kind, name) if is_remote else ("", str(source))


def _has(folder: Path, patterns: Sequence[str] | None) -> bool:
    """Whether a folder, or file, is there with something of every pattern."""
    return folder.exists() and all(any(folder.glob(pattern)) for pattern in patterns or ())


@dataclass(frozen=True)
class _File:
    """A file to fetch."""

    name: str  # where from
    size: int  # bytes; 0: unknown
    fetch: Callable[[], object]


def _list_files(source: Source, patterns: Sequence[str] | None) -> list[_File]:
    """The files of a source that are not on this machine; a face pack is one file of unknown size."""
    kind, name = _split(source)
    if kind == "hub":
        return _list_hub_files(name, patterns)
    if kind == "modelscope":
        return _list_modelscope_files(name, patterns)
    return [_File(name, 0, partial(locate, source))]


def _list_hub_files(name: str, patterns: Sequence[str] | None) -> list[_File]:
    """The files of a repository of the hub, or of a part of it, that its cache does not have."""
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.utils import filter_repo_objects

    repository, _, patterns = _split_hub(name, patterns)
    with _said_by_name(name):
        listed = HfApi().model_info(repository, files_metadata=True)
    wanted = filter_repo_objects(listed.siblings, allow_patterns=patterns, key=lambda file: file.rfilename)
    return [
        _File(name, file.size or 0, partial(_fetch_hub_file, name, file.rfilename, listed.sha))
        for file in wanted
        if not isinstance(try_to_load_from_cache(repository, file.rfilename, revision=listed.sha), str)
    ]


def _fetch_hub_file(name: str, file: str, commit: str) -> None:
    """Fetch one file into the hub's own cache."""
    from huggingface_hub import hf_hub_download

    with _said_by_name(name):
        hf_hub_download(_split_hub(name, None)[0], file, revision=commit)


def _check_room(size: int) -> None:
    """Refuse to fetch more bytes than the hub's cache has room for."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE)
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if size > free:
        raise WeightsUnavailable(
            f"{size / 1e9:.1f} GB are to be fetched, and '{folder}' has room for {free / 1e9:.1f} GB; "
            "make room, or let HF_HOME name a folder on a larger disk."
        )


def _from_hub(name: str, patterns: Sequence[str] | None) -> Path:
    """A repository of the hub, or one file or folder of it."""
    with _said_by_name(name):
        path = _from_snapshot(name, patterns)
        if not path.exists():
            raise FileNotFoundError(path)
        return path


@contextlib.contextmanager
def _said_by_name(name: str) -> Iterator[None]:
    """Say what to do where something of the hub could not be had."""
    from huggingface_hub import constants
    from huggingface_hub.errors import HTTPError

    owner, repository, *_ = name.split("/")
    try:
        yield
    # The last is from Xet, by which the hub sends large files.
    except (OSError, HTTPError, RuntimeError) as error:
        raise WeightsUnavailable(
            f"'{name}' is not on this machine and could not be fetched from the Hugging Face hub; run "
            f"`hf download {owner}/{repository}` where there is a network and copy what it fetched "
            f"into '{constants.HF_HUB_CACHE}'."
        ) from error


def _from_snapshot(name: str, patterns: Sequence[str] | None, *, local_files_only: bool = False) -> Path:
    """Where the hub's own cache has, or would have, a repository or one file or folder of it."""
    from huggingface_hub import snapshot_download

    repository, inside, patterns = _split_hub(name, patterns)
    folder = snapshot_download(repository, allow_patterns=patterns, local_files_only=local_files_only)
    return Path(folder) / inside


def _split_hub(name: str, patterns: Sequence[str] | None) -> tuple[str, str, Sequence[str] | None]:
    """A repository of the hub, the file or folder in it that is meant, if any, and the files' patterns."""
    owner, repository, *parts = name.split("/")
    inside = "/".join(parts)
    return f"{owner}/{repository}", inside, [inside, f"{inside}/*"] if inside else patterns


def _list_modelscope_files(name: str, patterns: Sequence[str] | None) -> list[_File]:
    """The files of a folder of ModelScope that are wanted; none where something of every pattern is here."""
    from concat_id.loading.modelscope import list_files

    folder = _modelscope_folder(name)
    if patterns and _has(folder, patterns):
        return []
    owner, repository, *inside = name.split("/")
    root = "/".join(inside)
    with _said_of_modelscope(name):
        files = [file for file in list_files(f"{owner}/{repository}") if file.path.startswith(f"{root}/")]
        wanted = [
            file
            for file in files
            if not patterns or any(PurePosixPath(file.path).match(pattern) for pattern in patterns)
        ]
        if not wanted:
            raise LookupError(root)
    return [
        _File(name, file.size, partial(_fetch_modelscope_file, name, file))
        for file in wanted
        if not (_modelscope_folder(f"{owner}/{repository}") / file.path).exists()
    ]


def _fetch_modelscope_file(name: str, file: RemoteFile) -> None:
    """Fetch one file into this project's cache."""
    from concat_id.loading.modelscope import fetch_file

    with _said_of_modelscope(name):
        fetch_file(file, _modelscope_folder(file.repository))


@contextlib.contextmanager
def _said_of_modelscope(name: str) -> Iterator[None]:
    """Say what to do where something of ModelScope could not be had."""
    from concat_id.loading.modelscope import FetchingFailed

    owner, repository, *_ = name.split("/")
    model = f"{owner}/{repository}"
    try:
        yield
    except FetchingFailed as error:
        raise WeightsUnavailable(
            f"'{name}' is not on this machine and could not be fetched from ModelScope; run "
            f"`git clone https://www.modelscope.cn/{model}.git` where there is a network and copy what it "
            f"fetched into '{_modelscope_folder(model)}'."
        ) from error


def _modelscope_folder(name: str) -> Path:
    """Where a model of ModelScope, or a folder of it, is kept."""
    return cache_folder() / "modelscope" / name


def _from_insightface(name: str) -> Path:
    """A face pack of insightface's releases (for non-commercial research only)."""
    from insightface.utils import ensure_available

    folder = _insightface_folder(name)
    try:
        # It talks on standard output, which belongs to the command line's result.
        with contextlib.redirect_stdout(sys.stderr):
            ensure_available("models", name, root=str(folder.parents[1]))
    except (OSError, RuntimeError, zipfile.BadZipFile) as error:
        shutil.rmtree(folder, ignore_errors=True)  # half unpacked, it would pass for the pack
        raise WeightsUnavailable(
            f"the face pack '{name}' is not on this machine and could not be fetched; unpack {name}.zip of "
            f"https://github.com/deepinsight/insightface/releases/tag/model-zoo in '{folder}'."
        ) from error
    # Some packs are zipped with a folder around them.
    nested = folder / name
    return nested if nested.is_dir() else folder


def _insightface_folder(name: str) -> Path:
    """Where a face pack is kept."""
    return cache_folder() / "insightface" / "models" / name
