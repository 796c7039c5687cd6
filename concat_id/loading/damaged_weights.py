"""Weights that are damaged or were fetched in part: which file it is, and what to remove."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from concat_id.errors import DamagedWeights, InputError
from concat_id.loading.weights import cache_folder

if TYPE_CHECKING:
    from torch import nn

MAX_REASON = 160
MAX_HEADER_BYTES = 100 * 2**20  # of safetensors, as that library has it
# What lies below these in our cache is fetched or converted as a whole.
_WHOLES = (("presets",), ("insightface", "models"))


@contextmanager
def named_if_damaged(*paths: Path | None) -> Iterator[None]:
    """Load weights from files and folders: what keeps them from being loaded is said with the file's name.

    The libraries that read them have no error in common.
    """
    try:
        yield
    except (InputError, MemoryError, ImportError):
        raise
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError":  # of torch, which need not be imported here
            raise
        damaged = next((found for path in paths if path and (found := find_damaged(path))), None)
        if damaged is None:
            where = " and ".join(f"'{path}'" for path in dict.fromkeys(paths) if path)
            reason = shorten(str(error) or type(error).__name__, MAX_REASON, placeholder=" ...")
            raise DamagedWeights(
                f"the weights in {where} cannot be loaded ({reason}); they are incomplete, or of another "
                "model."
            ) from error
        raise DamagedWeights(
            f"'{damaged}' is damaged or was fetched in part; remove '{name_removable(damaged)}' and fetch it "
            "again, which the next run does by itself where there is a network."
        ) from error


def check_complete(model: nn.Module, folder: Path) -> None:
    """Refuse safetensors that lack some of a model's weights: libraries fill in what is missing by chance.

    What shares its values with a weight that is there, as tied embeddings do, is not missing.
    """
    stored = {
        name for file in folder.glob("[!.]*.safetensors") for name in _read_header(file) if name[:2] != "__"
    }
    if not stored:  # another format, whose reader is strict
        return
    weights = model.state_dict()
    there = {weights[name].data_ptr() for name in stored & weights.keys()}
    missing = [name for name in weights.keys() - stored if weights[name].data_ptr() not in there]
    if missing:
        raise DamagedWeights(
            f"the weights in '{folder}' lack {len(missing)} tensors, such as '{min(missing)}'; "
            "they are incomplete, or of another model."
        )


def find_damaged(path: Path) -> Path | None:
    """The first file of weights, or below a folder of them, that cannot be read; None if all can."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in files:
        check = _CHECKS.get(file.suffix.lower())
        if check is None or file.name.startswith(".") or file.is_dir():
            continue
        try:
            check(file)
        except Exception:  # as above
            return file
    return None


def name_removable(file: Path) -> Path:
    """What to remove so that a file is fetched again: itself, its content in a cache, or its folder."""
    for parts in _WHOLES:
        whole = cache_folder().joinpath(*parts)
        if whole in file.parents:
            return whole / file.relative_to(whole).parts[0]
    # The hub's cache has links: without the content behind it, a link counts as missing.
    return Path(os.path.realpath(file)) if file.is_symlink() else file


def _check_json(file: Path) -> None:
    json.loads(file.read_text(encoding="utf-8"))


def _check_safetensors(file: Path) -> None:
    """The tensors have to end where the file does."""
    header = _read_header(file)
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    with file.open("rb") as data:
        (length,) = struct.unpack("<Q", data.read(8))
    if file.stat().st_size != 8 + length + max(ends, default=0):
        raise ValueError("cut off")


def _read_header(file: Path) -> dict[str, Any]:
    """What a safetensors file says of its tensors, by their names."""
    with file.open("rb") as data:
        (length,) = struct.unpack("<Q", data.read(8))
        if length > MAX_HEADER_BYTES:
            raise ValueError("no header")
        return json.loads(data.read(length))


def _check_onnx(file: Path) -> None:
    import onnxruntime

    onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])


def _check_archive(file: Path) -> None:
    """A PyTorch checkpoint: since 2020 a ZIP archive, whose index is at its end."""
    with file.open("rb") as data:
        start = data.read(2)
    if start == b"PK":
        zipfile.ZipFile(file).close()
        return
    import torch

    torch.load(file, map_location="cpu", weights_only=True)


_CHECKS: dict[str, Callable[[Path], None]] = {
    ".json": _check_json,
    ".safetensors": _check_safetensors,
    ".onnx": _check_onnx,
    ".bin": _check_archive,
    ".pt": _check_archive,
    ".pth": _check_archive,
}
