"""The authors' Wan checkpoints (`first_stage.pt`, `second_stage_adaln.pt`) as diffusers folders."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import diffusers
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from concat_id.errors import InputError, WeightsUnavailable
from concat_id.models.transformer_wan import ConcatIDWanTransformer3DModel
from concat_id.outputs import check_folder
from concat_id.pipelines.pipeline_wan import LOADER

BASES = {"wan2.1-t2v-1.3b": "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"}
SHIFT = 5.0  # of the noise schedule Concat-ID samples with
_KEPT = ("tokenizer", "text_encoder", "vae")  # the base's components that serve unchanged

# The authors' module names -> diffusers'.
_TOP_LEVEL = {
    "patch_embedding": "patch_embedding",
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    "time_projection_ref.1": "reference_time_proj",
    "head.head": "proj_out",
}
_IN_ATTENTION = {
    "q": "to_q",
    "k": "to_k",
    "v": "to_v",
    "o": "to_out.0",
    "norm_q": "norm_q",
    "norm_k": "norm_k",
}
_IN_BLOCK = {
    "norm3": "norm2",  # the norm before the text; diffusers numbers the norms in the order of their use
    "ffn.0": "ffn.net.0.proj",
    "ffn.2": "ffn.net.2",
    **{f"self_attn.{theirs}": f"attn1.{ours}" for theirs, ours in _IN_ATTENTION.items()},
    **{f"cross_attn.{theirs}": f"attn2.{ours}" for theirs, ours in _IN_ATTENTION.items()},
}
_TABLES = {"modulation": "scale_shift_table", "modulation_ref": "reference_scale_shift_table"}


def convert_wan_state_dict(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename an original Wan transformer's parameters, plain or AdaLN, to `ConcatIDWanTransformer3DModel`'s.

    Raises:
        InputError: if a name is not one of the original model's.
    """
    names = {name: _rename(name) for name in state_dict}
    unexpected = [name for name, ours in names.items() if ours is None]
    if unexpected:
        raise InputError(
            f"{_count(unexpected)} do not belong to an original Wan transformer; "
            "give the authors' first_stage.pt or second_stage_adaln.pt."
        )
    return {names[name]: tensor for name, tensor in state_dict.items()}


def original_name(module: str) -> str | None:
    """The authors' name of one of our modules; None if theirs has no such module."""
    block = re.fullmatch(r"blocks\.(\d+)\.(.+)", module)
    number, rest = block.groups() if block else (None, module)
    theirs = next((name for name, ours in (_IN_BLOCK if block else _TOP_LEVEL).items() if ours == rest), None)
    return f"blocks.{number}.{theirs}" if block and theirs else theirs


def convert_checkpoint(
    checkpoint: str | os.PathLike[str], base: str | os.PathLike[str], output: str | os.PathLike[str]
) -> None:
    """Write a complete diffusers folder for one of the authors' checkpoints, or nothing at all.

    Args:
        checkpoint: `.pt` or `.safetensors` file with the original parameter names.
        base: a name in `BASES`, fetched from the Hugging Face hub, or a local diffusers folder of Wan 2.1.
        output: the folder to make; its files are links to the base's where the file system allows it.
    """
    output = Path(output)
    if output.exists():
        raise InputError(f"{output} exists already; choose another output folder, or remove it.")
    check_folder(output.parent)
    state_dict = convert_wan_state_dict(_load_checkpoint(Path(checkpoint)))
    base_folder = _locate_base(base)
    transformer = _build_transformer(base_folder, state_dict)
    unfinished = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        unfinished.mkdir(parents=True)
        for component in _KEPT:
            shutil.copytree(base_folder / component, unfinished / component, copy_function=_link_or_copy)
        transformer.save_pretrained(unfinished / "transformer")
        FlowMatchEulerDiscreteScheduler(shift=SHIFT).save_pretrained(unfinished / "scheduler")
        (unfinished / "model_index.json").write_text(json.dumps(_index(base_folder), indent=2) + "\n")
        (unfinished / "pipeline.py").write_text(LOADER)
        unfinished.rename(output)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _rename(name: str) -> str | None:
    """Our name of one of the authors' parameters; None if it is not theirs."""
    if name == "head.modulation":
        return "scale_shift_table"
    block = re.fullmatch(r"blocks\.(\d+)\.(.+)", name)
    if block is None:
        return _rename_parameter(name, _TOP_LEVEL)
    number, rest = block.groups()
    renamed = _TABLES.get(rest) or _rename_parameter(rest, _IN_BLOCK)
    return renamed and f"blocks.{number}.{renamed}"


def _rename_parameter(name: str, modules: dict[str, str]) -> str | None:
    """`module.weight` or `module.bias` with its module renamed."""
    module, _, parameter = name.rpartition(".")
    return f"{modules[module]}.{parameter}" if module in modules and parameter in ("weight", "bias") else None


def _load_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint file, left on the disk until they are needed."""
    if not path.is_file():
        raise WeightsUnavailable(f"There is no checkpoint {path}; download it first.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise InputError(
            f"{path} is no checkpoint of tensors, or it is damaged; download it again."
        ) from error
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise InputError(f"{path} holds other things than named tensors; give the authors' checkpoint.")
    return loaded


def _locate_base(base: str | os.PathLike[str]) -> Path:
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
            f"give a diffusers folder of Wan 2.1 T2V, or one of {', '.join(BASES)}."
        )
    return folder


def _build_transformer(base_folder: Path, state_dict: dict[str, Tensor]) -> ConcatIDWanTransformer3DModel:
    """The base's transformer with these parameters, each of which must be there and fit."""
    config = ConcatIDWanTransformer3DModel.load_config(base_folder / "transformer")
    with torch.device("meta"):
        transformer = ConcatIDWanTransformer3DModel.from_config(
            config, reference_adaln="reference_time_proj.weight" in state_dict
        )
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


def _index(base_folder: Path) -> dict[str, object]:
    """The contents of `model_index.json`."""
    base = json.loads((base_folder / "model_index.json").read_text())
    return {
        "_class_name": "ConcatIDWanPipeline",
        "_diffusers_version": diffusers.__version__,
        **{component: base[component] for component in _KEPT},
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "transformer": [ConcatIDWanTransformer3DModel.__module__, "ConcatIDWanTransformer3DModel"],
    }


def _link_or_copy(source: str, target: str) -> None:
    """A hard link to the file itself, or a copy where the file system has no such links."""
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copyfile(source, target)


def _count(names: list[str]) -> str:
    """How many names there are, and the first of them."""
    return f"{len(names)} parameters ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})"
