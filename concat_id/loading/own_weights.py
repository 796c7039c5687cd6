"""Weights of one's own in the place of a preset's: a preset that is known as long as the program runs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

from concat_id.errors import InvalidWeights
from concat_id.loading.damaged_weights import find_damaged
from concat_id.loading.load import pipeline_folder
from concat_id.loading.presets import PIPELINES, PRESETS
from concat_id.loading.weights import Source

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class OwnWeights:
    """Weights that were registered."""

    path: Path
    preset: str  # key of `PRESETS`, whose settings, tasks and judges are theirs
    name: str  # their own key


def register_weights(path: Path, preset: str, name: str | None = None) -> OwnWeights:
    """Add a preset that differs from another one in its weights and title alone.

    Args:
        path: a diffusers folder, which is the whole pipeline; or a LoRA's safetensors file, which is merged
            into the preset's pipeline in place of its own, if it has one.
        preset: key of `PRESETS`.
        name: a name for files; None: that of the path, without what no name of a file should have.

    What cannot be weights, or a name for them, is refused as `InvalidWeights`.
    """
    replaced = _read_weights(path, preset)
    name = _suggest_name(path) if name is None else name
    if not _SAFE_NAME.fullmatch(name):
        raise InvalidWeights(
            f"'{name}' is no name for weights; give one of letters, digits, '.', '_' and '-', at most 64."
        )
    title = f"{name} with the settings of {preset}"
    own = replace(PRESETS[preset], title=title, checkpoint=None, draft=None, **replaced)
    if PRESETS.setdefault(name, own) != own:
        raise InvalidWeights(f"'{name}' is the name of a preset; give the weights another one by --name.")
    return OwnWeights(path, preset, name)


def _read_weights(path: Path, preset: str) -> dict[str, Source | None]:
    """Which sources of a preset the weights replace."""
    if not path.exists():
        raise InvalidWeights(f"'{path}' is missing; give the folder or file that `train.export` wrote.")
    pipeline = PIPELINES[PRESETS[preset].backbone]
    if _is_pipeline(path, pipeline):
        return {"base": path, "adapter": None}
    if lora := _find_lora(path):
        return {"base": pipeline_folder(preset), "adapter": lora}
    named = path / "model_index.json" if path.is_dir() else path
    if named.is_file() and (damaged := find_damaged(named)):
        raise InvalidWeights(f"'{damaged}' is damaged or was copied in part; copy it again.")
    raise InvalidWeights(
        f"'{path}' is neither a diffusers folder of {pipeline} nor a LoRA's .safetensors file; "
        "give what `train.export pipeline` or `train.export adapter` wrote."
    )


def _is_pipeline(path: Path, pipeline: str) -> bool:
    """Whether a folder holds a whole pipeline of this class."""
    try:
        index = json.loads((path / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(index, dict) and index.get("_class_name") == pipeline


def _find_lora(path: Path) -> Path | None:
    """A LoRA's file: the path itself, or the only one in a folder, as PEFT and diffusers write it."""
    files = sorted(path.glob("[!.]*.safetensors")) if path.is_dir() else [path]
    return files[0] if len(files) == 1 and _is_lora(files[0]) else None


def _is_lora(path: Path) -> bool:
    """Whether a file holds matrices of a LoRA, whatever they are called."""
    from safetensors import SafetensorError, safe_open

    from concat_id.models.lora import find_part

    if path.suffix.lower() != ".safetensors":
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return any(find_part(key) for key in file.keys())
    except (OSError, SafetensorError):
        return False


def _suggest_name(path: Path) -> str:
    """What weights are called where nobody says it."""
    path = path.resolve()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem if path.is_file() else path.name).strip("-._")[:64]
