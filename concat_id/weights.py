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
    kind, _, name = str(source).partition(":")
    if isinstance(source, str) and kind == "hub":
        return _from_hub(name, patterns)
    if isinstance(source, str) and kind == "insightface":
        return _from_insightface(name)
    path = Path(source)
    if not path.exists():
        raise WeightsUnavailable(
            f"'{path}' is missing; fetch it with the repository's other files and try again."
        )
    return path


def _from_hub(name: str, patterns: Sequence[str] | None) -> Path:
    """A repository of the hub, or one file or folder of it."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HTTPError

    owner, repository, *inside = name.split("/")
    wanted = "/".join(inside)
    if wanted:
        patterns = [wanted, f"{wanted}/*"]
    try:
        path = Path(snapshot_download(f"{owner}/{repository}", allow_patterns=patterns)) / wanted
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


def _from_insightface(name: str) -> Path:
    """A face pack of insightface's releases (for non-commercial research only)."""
    from insightface.utils import ensure_available

    root = cache_folder() / "insightface"
    folder = root / "models" / name
    try:
        # It talks on standard output, which belongs to the command line's result.
        with contextlib.redirect_stdout(sys.stderr):
            ensure_available("models", name, root=str(root))
    except (OSError, RuntimeError, zipfile.BadZipFile) as error:
        raise WeightsUnavailable(
            f"the face pack '{name}' is not on this machine and could not be fetched; unpack {name}.zip of "
            f"https://github.com/deepinsight/insightface/releases/tag/model-zoo in '{folder}'."
        ) from error
    # Some packs are zipped with a folder around them.
    nested = folder / name
    return nested if nested.is_dir() else folder
