"""The authors' checkpoints, of Wan and of CogVideoX, as diffusers folders."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers import CogVideoXDPMScheduler, FlowMatchEulerDiscreteScheduler, ModelMixin, SchedulerMixin
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from concat_id.errors import InputError, WeightsUnavailable
from concat_id.files.atomic import replacing
from concat_id.files.folders import check_folder
from concat_id.loading.presets import Backbone
from concat_id.models import checkpoint_cogvideox, checkpoint_wan
from concat_id.models.transformer_cogvideox import ConcatIDCogVideoXTransformer3DModel
from concat_id.models.transformer_wan import ConcatIDWanTransformer3DModel
from concat_id.pipelines.pipeline import ConcatIDPipeline
from concat_id.pipelines.pipeline_cogvideox import ConcatIDCogVideoXPipeline
from concat_id.pipelines.pipeline_wan import ConcatIDWanPipeline

BASES = {
    "wan2.1-t2v-1.3b": "Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
    "cogvideox-5b": "zai-org/CogVideoX-5b",
}
_KEPT = ("tokenizer", "text_encoder", "vae")  # the base's components that serve unchanged
_SAT_FILE = "mp_rank_00_model_states.pt"


@dataclass(frozen=True)
class Release:
    """What the authors published for a backbone, and what it becomes.

    Attributes:
        checkpoints: the files, for messages.
        base: the base they were trained from, for messages.
        find_targets: our names of the parts into which a parameter of theirs is split, evenly along its first
            axis, where parts of one name are joined again; () if it is not needed, None if it is not theirs.
        scheduler: the noise schedule they sample with.
    """

    checkpoints: str
    base: str
    find_targets: Callable[[str], tuple[str, ...] | None]
    transformer: type[ModelMixin]
    pipeline: type[ConcatIDPipeline]
    scheduler: SchedulerMixin


RELEASES: dict[Backbone, Release] = {
    "wan": Release(
        checkpoints="first_stage.pt or second_stage_adaln.pt",
        base="Wan 2.1 T2V",
        find_targets=checkpoint_wan.find_targets,
        transformer=ConcatIDWanTransformer3DModel,
        pipeline=ConcatIDWanPipeline,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=checkpoint_wan.SHIFT),
    ),
    "cogvideox": Release(
        checkpoints=f"{_SAT_FILE}, or the folder it lies in",
        base="CogVideoX",
        find_targets=checkpoint_cogvideox.find_targets,
        transformer=ConcatIDCogVideoXTransformer3DModel,
        pipeline=ConcatIDCogVideoXPipeline,
        scheduler=CogVideoXDPMScheduler(**checkpoint_cogvideox.SCHEDULE),
    ),
}

# The state of numpy's dice, which SAT keeps beside the weights.
_HARMLESS = [
    (np._core.multiarray._reconstruct, "numpy.core.multiarray._reconstruct"),
    np._core.multiarray._reconstruct,
    np.ndarray,
    np.dtype,
    type(np.dtype(np.uint32)),
]


def convert_state_dict(state_dict: Mapping[str, Tensor], backbone: Backbone) -> dict[str, Tensor]:
    """Rename the parameters of an authors' checkpoint, and split them, to those of our transformer.

    Raises:
        InputError: if a name is not one of the original model's.
    """
    release = RELEASES[backbone]
    names = {name: release.find_targets(name) for name in state_dict}
    unexpected = [name for name, targets in names.items() if targets is None]
    if unexpected:
        raise InputError(
            f"{_count(unexpected)} do not belong to an original {release.base} transformer; "
            f"give the authors' {release.checkpoints}."
        )
    converted: dict[str, Tensor] = {}
    for name, targets in names.items():
        converted |= _split(state_dict[name], targets)
    return converted


def convert_checkpoint(
    checkpoint: str | os.PathLike[str],
    base: str | os.PathLike[str],
    output: str | os.PathLike[str],
    backbone: Backbone = "wan",
) -> None:
    """Write a complete diffusers folder for one of the authors' checkpoints, or nothing at all.

    Args:
        checkpoint: `.pt` or `.safetensors` file with the original parameter names, or a folder of SAT's.
        base: a name in `BASES`, fetched from the Hugging Face hub, or a local diffusers folder of it.
        output: the folder to make; its files are links to the base's where the file system allows it.
    """
    output = Path(output)
    if output.exists():
        raise InputError(f"{output} exists already; choose another output folder, or remove it.")
    check_folder(output.parent)
    release = RELEASES[backbone]
    state_dict = convert_state_dict(_load_checkpoint(_find_checkpoint(Path(checkpoint))), backbone)
    base_folder = _locate_base(base, release)
    transformer = _build_transformer(release.transformer, base_folder, state_dict)
    with replacing(output) as unfinished:
        unfinished.mkdir()
        for component in _KEPT:
            shutil.copytree(base_folder / component, unfinished / component, copy_function=link_or_copy)
        transformer.save_pretrained(unfinished / "transformer")
        release.scheduler.save_pretrained(unfinished / "scheduler")
        index = json.dumps(_index(base_folder, release), indent=2)
        (unfinished / "model_index.json").write_text(index + "\n")
        (unfinished / "pipeline.py").write_text(release.pipeline.loader())


def _split(tensor: Tensor, targets: tuple[str, ...]) -> dict[str, Tensor]:
    """The even parts of a parameter by their names, those of one name joined."""
    if len(targets) < 2:
        return dict.fromkeys(targets, tensor)
    parts: dict[str, list[Tensor]] = {}
    # What cannot be split evenly leaves sizes that fit nowhere.
    for target, part in zip(targets, tensor.chunk(len(targets)), strict=False):
        parts.setdefault(target, []).append(part)
    return {target: torch.cat(own) for target, own in parts.items()}


def _find_checkpoint(path: Path) -> Path:
    """The file of weights: the path itself, or the only one of SAT's in a folder."""
    if not path.is_dir():
        return path
    found = sorted(path.rglob(_SAT_FILE))
    if len(found) != 1:
        names = ", ".join(str(file.relative_to(path)) for file in found) or "none"
        raise InputError(f"{path} must hold one {_SAT_FILE}, and holds {names}; give the file itself.")
    return found[0]


def _load_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint file, left on the disk until they are needed."""
    if not path.is_file():
        raise WeightsUnavailable(f"There is no checkpoint {path}; download it first.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(_HARMLESS):
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise InputError(
            f"{path} is no checkpoint of tensors, or it is damaged; download it again."
        ) from error
    if isinstance(loaded, dict) and isinstance(loaded.get("module"), dict):
        loaded = loaded["module"]  # DeepSpeed's name for the weights, beside counters and the dice's state
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise InputError(f"{path} holds other things than named tensors; give the authors' checkpoint.")
    return loaded


def _locate_base(base: str | os.PathLike[str], release: Release) -> Path:
    """The base's folder; a base that has a name is fetched unless it is in the hub's cache."""
    if str(base) in BASES:
        wanted = ["model_index.json", "transformer/config.json", *(f"{component}/*" for component in _KEPT)]
        try:
            return Path(snapshot_download(BASES[str(base)], allow_patterns=wanted))
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            raise WeightsUnavailable(
                f"{BASES[str(base)]} is neither in the Hugging Face cache nor to be fetched; "
                "connect to the network, or give a local copy as the base."
            ) from error
    folder = Path(base)
    missing = [
        name
        for name in ("model_index.json", "transformer/config.json", *_KEPT)
        if not (folder / name).exists()
    ]
    if missing:
        raise WeightsUnavailable(
            f"The base {folder} has no {', '.join(missing)}; "
            f"give a diffusers folder of {release.base}, or one of {', '.join(BASES)}."
        )
    return folder


def _build_transformer(
    transformer_class: type[ModelMixin], base_folder: Path, state_dict: dict[str, Tensor]
) -> ModelMixin:
    """The base's transformer with these parameters, each of which must be there and fit."""
    config = transformer_class.load_config(base_folder / "transformer")
    adaln = {"reference_adaln": True} if "reference_time_proj.weight" in state_dict else {}
    with torch.device("meta"):
        transformer = transformer_class.from_config(config, **adaln)
    wanted = {name: tensor.shape for name, tensor in transformer.state_dict().items()}
    unfit = [
        name for name in wanted.keys() | state_dict.keys() if _shape(state_dict, name) != wanted.get(name)
    ]
    if unfit:
        raise InputError(
            f"{_count(sorted(unfit))} of the checkpoint are missing, superfluous or of another size "
            "than the base's; give the base it was trained from."
        )
    transformer.load_state_dict(state_dict, strict=True, assign=True)
    return transformer


def _shape(state_dict: dict[str, Tensor], name: str) -> torch.Size | None:
    return state_dict[name].shape if name in state_dict else None


def _index(base_folder: Path, release: Release) -> dict[str, object]:
    """The contents of `model_index.json`."""
    base = json.loads((base_folder / "model_index.json").read_text())
    return {
        "_class_name": release.pipeline.__name__,
        "_diffusers_version": diffusers.__version__,
        **{component: base[component] for component in _KEPT},
        "scheduler": ["diffusers", type(release.scheduler).__name__],
        "transformer": [release.transformer.__module__, release.transformer.__name__],
    }


def link_or_copy(source: str, target: str) -> None:
    """A hard link to the file itself, or a copy where the file system has no such links."""
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copyfile(source, target)


def _count(names: list[str]) -> str:
    """How many names there are, and the first of them."""
    return f"{len(names)} parameters ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})"
