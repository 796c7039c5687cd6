"""The authors' Wan checkpoints: their parameters' names, and the schedule they were trained for."""

from __future__ import annotations

import re

SHIFT = 5.0  # of the noise schedule Concat-ID samples with

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


def find_targets(name: str) -> tuple[str, ...] | None:
    """Our name of one of the authors' parameters, plain or AdaLN, see `convert.Release`."""
    renamed = _rename(name)
    return None if renamed is None else (renamed,)


def original_name(module: str) -> str | None:
    """The authors' name of one of our modules; None if theirs has no such module."""
    block = re.fullmatch(r"blocks\.(\d+)\.(.+)", module)
    number, rest = block.groups() if block else (None, module)
    theirs = next((name for name, ours in (_IN_BLOCK if block else _TOP_LEVEL).items() if ours == rest), None)
    return f"blocks.{number}.{theirs}" if block and theirs else theirs


def _rename(name: str) -> str | None:
    """Our name of it; None if it is not theirs."""
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
