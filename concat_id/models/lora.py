"""LoRAs of Wan's transformer, in every naming that programs write, merged into ours.

ComfyUI, diffusion-pipe   `diffusion_model.blocks.0.self_attn.q.lora_A.weight`
kohya, musubi             `lora_unet_blocks_0_self_attn_q.lora_down.weight`, with `.alpha`
DiffSynth                 `blocks.0.self_attn.q.lora_A.default.weight`
PEFT                      `base_model.model.blocks.0.attn1.to_q.lora_A.weight`
diffusers, and we         `transformer.blocks.0.attn1.to_q.lora_A.weight`

Some also change biases and norms by whole differences, `.diff` and `.diff_b`. Axes: r rank.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from concat_id.errors import InvalidWeights
from concat_id.models.checkpoint_wan import original_name

_PREFIXES = (
    *("base_model.model.", "model.diffusion_model.", "diffusion_model.", "transformer.", "pipe.", "dit."),
    *("module.", "model.", "lora_unet_", "lora_transformer_", "lycoris_"),
)
_PARTS = {
    "down": re.compile(r"\.lora(?:_A|_down|\.down)(?:\.\w+)?\.weight$|\.lora_A$|\.lora_down$"),
    "up": re.compile(r"\.lora(?:_B|_up|\.up)(?:\.\w+)?\.weight$|\.lora_B$|\.lora_up$"),
    "up_bias": re.compile(r"\.lora_B(?:\.\w+)?\.bias$"),
    "alpha": re.compile(r"\.alpha$"),
    "diff": re.compile(r"\.diff$"),
    "diff_b": re.compile(r"\.diff_b$"),
}
# Of diffusers' header and of PEFT's configuration.
_METADATA, _CONFIG = "lora_adapter_metadata", "adapter_config.json"


@dataclass(frozen=True)
class LoRA:
    """What a file changes: for each module as the file calls it, the tensors by their parts."""

    path: Path
    modules: Mapping[str, Mapping[str, Tensor]]
    alpha: float | None = None  # for modules that have none of their own; None: the rank
    alphas: Mapping[str, float] = field(default_factory=dict)  # by the end of a module's name


def find_part(key: str) -> tuple[str, str] | None:
    """The module and the part of it that a tensor's name says; None if it is none of a LoRA's."""
    for part, pattern in _PARTS.items():
        if found := pattern.search(key):
            return key[: found.start()], part
    return None


def read_lora(path: Path) -> LoRA:
    """Read a safetensors file; what no LoRA holds is refused."""
    from safetensors import safe_open

    modules: dict[str, dict[str, Tensor]] = defaultdict(dict)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        for key in file.keys():
            found = find_part(key)
            if found is None:
                raise InvalidWeights(
                    f"'{path}' holds '{key[:80]}', which is no part of a LoRA that can be merged; LoRAs as "
                    "ComfyUI, kohya, DiffSynth, PEFT and diffusers write them can."
                )
            module, part = found
            tensor = file.get_tensor(key)
            if not tensor.is_floating_point() or not torch.isfinite(tensor.float()).all():
                raise InvalidWeights(f"'{path}' holds '{key[:80]}', which is not finite; fetch it again.")
            modules[module][part] = tensor
    alpha, alphas = _read_alphas(path, metadata)
    return LoRA(path, dict(modules), alpha, alphas)


@torch.no_grad()
def merge_lora(transformer: nn.Module, lora: LoRA, strength: float = 1.0) -> None:
    """Add what a LoRA changes to a transformer's weights, all of it or nothing.

    W + strength * (alpha / r) * up @ down, in float32; Hu et al. 2022, equation 3.
    """
    named = {alias: name for name, _ in transformer.named_modules() if name for alias in _aliases(name)}
    changes: list[tuple[nn.Parameter, Tensor]] = []
    unknown = []
    for raw, parts in lora.modules.items():
        module = transformer.get_submodule(named[_strip(raw)]) if _strip(raw) in named else None
        found = _list_changes(lora, raw, parts, module) if module else None
        if found is None:
            unknown.append(raw)
        else:
            changes += found
    if unknown or not changes:
        raise InvalidWeights(
            f"'{lora.path}' is a LoRA for another model: {len(unknown)} of the {len(lora.modules)} layers it "
            f"changes, such as '{(unknown or ['none'])[0][:80]}', are not in this one or have another size."
        )
    for parameter, change in changes:
        parameter.data = (parameter.data.float() + strength * change.to(parameter.device)).to(parameter.dtype)


def _list_changes(
    lora: LoRA, raw: str, parts: Mapping[str, Tensor], module: nn.Module
) -> list[tuple[nn.Parameter, Tensor]] | None:
    """The parameters of a module that are changed, and by what, float32; None if something does not fit."""
    wanted: list[tuple[nn.Parameter | None, Tensor | None]] = []
    weight, bias = (getattr(module, name, None) for name in ("weight", "bias"))
    if ("down" in parts) != ("up" in parts):
        return None
    if "down" in parts:
        wanted.append((weight, _multiply(weight, parts, _scale(lora, raw, parts))))
    if "up_bias" in parts:
        wanted.append((bias, parts["up_bias"].float() * _scale(lora, raw, parts)))
    wanted += [(weight, parts["diff"].float())] if "diff" in parts else []
    wanted += [(bias, parts["diff_b"].float())] if "diff_b" in parts else []
    if not wanted or any(
        parameter is None or change is None or parameter.shape != change.shape for parameter, change in wanted
    ):
        return None
    return wanted


def _multiply(weight: Tensor | None, parts: Mapping[str, Tensor], scale: float) -> Tensor | None:
    """The change of a weight, of a layer or a convolution; None if the matrices do not fit it."""
    if weight is None or parts["down"].ndim < 2 or parts["up"].ndim < 2:
        return None
    down, up = (parts[name].float().flatten(1) for name in ("down", "up"))  # (r, in), (out, r)
    if len(down) != up.shape[1] or (len(up), down.shape[1]) != weight.flatten(1).shape:
        return None
    return (scale * (up @ down)).reshape(weight.shape)


def _scale(lora: LoRA, raw: str, parts: Mapping[str, Tensor]) -> float:
    """alpha / r of a module."""
    rank = len(parts["down"]) if "down" in parts else 1
    if "alpha" in parts:
        return float(parts["alpha"].float().flatten()[0]) / rank
    own = next((alpha for end, alpha in lora.alphas.items() if raw.endswith(end)), lora.alpha)
    return 1.0 if own is None else own / rank


def _aliases(name: str) -> set[str]:
    """What programs call a module of ours: by our name or the authors', with dots or underscores."""
    names = {name, original_name(name) or name}
    return names | {alias.replace(".", "_") for alias in names}


def _strip(raw: str) -> str:
    """A module's name without what programs put before it."""
    while prefix := next((prefix for prefix in _PREFIXES if raw.startswith(prefix)), None):
        raw = raw.removeprefix(prefix)
    return raw


def _read_alphas(path: Path, metadata: Mapping[str, str]) -> tuple[float | None, dict[str, float]]:
    """What the header, or PEFT's file beside it, says of alpha: for all modules, and for some."""
    try:
        if _METADATA in metadata:
            flat = json.loads(metadata[_METADATA])
            values = {key.removeprefix("transformer."): value for key, value in flat.items()}
        else:
            values = json.loads((path.parent / _CONFIG).read_text(encoding="utf-8"))
        alpha, pattern = values.get("lora_alpha"), values.get("alpha_pattern") or {}
        return _number(alpha), {str(name): float(value) for name, value in pattern.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None, {}


def _number(value: Any) -> float | None:
    """A number, None for anything else."""
    return float(value) if isinstance(value, int | float) else None
