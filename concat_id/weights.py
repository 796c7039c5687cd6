"""Where weights come from: folders of this repository, the Hugging Face hub, insightface's own releases.

A source is a local path, `hub:OWNER/NAME` or `hub:OWNER/NAME/FILE_OR_FOLDER`, or `insightface:PACK`. What the
hub gives lies in its own cache; everything else that this project keeps lies in `cache_folder()`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from concat_id.errors import WeightsUnavailable

Source = Path | str


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
            return path if path.exists() and all(any(path.glob(one)) for one in patterns or ()) else None
        return None
    path = _insightface_folder(name) if kind == "insightface" else Path(source)
    return path if path.exists() else None


def describe_fetching(source: Source) -> str:
    """The command that fetches a file or a repository of the hub."""
    owner, repository, *inside = _split(source)[1].split("/")
    return " ".join(["hf download", f"{owner}/{repository}", *(["/".join(inside)] if inside else [])])


def _split(source: Source) -> tuple[str, str]:
    """A source's kind and name; the kind of a local path is empty."""
    kind, _, name = str(source).partition(":")
    return (kind, name) if isinstance(source, str) and kind in ("hub", "insightface") else ("", str(source))


def _from_hub(name: str, patterns: Sequence[str] | None) -> Path:
    """A repository of the hub, or one file or folder of it."""
    from huggingface_hub import constants
    from huggingface_hub.errors import HTTPError

    owner, repository, *_ = name.split("/")
    try:
        path = _from_snapshot(name, patterns)
        if path.exists():
            return path
        cause = None
    except (OSError, HTTPError) as error:
        cause = error
    raise WeightsUnavailable(
        f"'{name}' is not on this machine and could not be fetched from the Hugging Face hub; run "
        f"`hf download {owner}/{repository}` where there is a network and copy what it fetched "
        f"into '{constants.HF_HUB_CACHE}'."
    ) from cause


def _from_snapshot(name: str, patterns: Sequence[str] | None, *, local_files_only: bool = False) -> Path:
    """Where the hub's own cache has, or would have, a repository or one file or folder of it."""
    from huggingface_hub import snapshot_download

    owner, repository, *inside = name.split("/")
    wanted = "/".join(inside)
    if wanted:
        patterns = [wanted, f"{wanted}/*"]
    folder = snapshot_download(
        f"{owner}/{repository}", allow_patterns=patterns, local_files_only=local_files_only
    )
    return Path(folder) / wanted


def _from_insightface(name: str) -> Path:
    """A face pack of insightface's releases (for non-commercial research only)."""
    from insightface.utils import ensure_available

    folder = _insightface_folder(name)
    try:
        # It talks on standard output, which belongs to the command line's result.
        with contextlib.redirect_stdout(sys.stderr):
            ensure_available("models", name, root=str(folder.parents[1]))
    except (OSError, RuntimeError, zipfile.BadZipFile) as error:
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
