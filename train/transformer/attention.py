"""Attention for training: on a CPU as two matrix products, and in a form that can be compiled whole.

torch's fused kernel spares memory that short sequences do not need, and takes longer, above all backwards
(`tests/benchmarks/benchmark_attention.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffusers.models.transformers.transformer_wan import WanAttention
from torch import Tensor, stack
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(D)) V.

    Args:
        query: (..., L, D).
        key, value: (..., S, D).
    """
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    return scores.softmax(-1).to(value.dtype) @ value


class CompilableProcessor:
    """Wan's attention without what Dynamo cannot follow: no choice of backend, rotations without writing."""

    def __call__(
        self,
        attn: WanAttention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key = attn.norm_q(attn.to_q(hidden_states)), attn.norm_k(attn.to_k(source))
        heads = [x.unflatten(2, (attn.heads, -1)) for x in (query, key, attn.to_v(source))]
        if rotary_emb is not None:
            heads[:2] = [rotate(x, *rotary_emb) for x in heads[:2]]
        heads = [x.transpose(1, 2).type_as(heads[2]) for x in heads]
        fused = hidden_states.device.type != "cpu"
        attended = F.scaled_dot_product_attention(*heads) if fused else attend(*heads)
        return attn.to_out[0](attended.transpose(1, 2).flatten(2).type_as(hidden_states))


def rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Every pair of channels, turned by its position's angle.

    Args:
        x: (B, L, heads, D).
        cosines, sines: (1, L, 1, D), each angle's twice in a row.
    """
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    cosines, sines = cosines[..., 0::2], sines[..., 1::2]
    return stack([even * cosines - odd * sines, even * sines + odd * cosines], -1).flatten(-2).type_as(x)


class PlainAttention(TorchFunctionMode):
    """Within it, unmasked `scaled_dot_product_attention` on a CPU is `attend`; all else stays as it is."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention and len(args) <= 3 and _is_plain(kwargs):
            inputs = {**dict(zip(("query", "key", "value"), args, strict=False)), **kwargs}
            if inputs["query"].device.type == "cpu":
                return attend(inputs["query"], inputs["key"], inputs["value"])
        return func(*args, **kwargs)


def _is_plain(options: dict[str, Any]) -> bool:
    """Whether nothing is asked for that `attend` does not do."""
    asked = {name for name, value in options.items() if not isinstance(value, Tensor) and value}
    return not asked and options.get("attn_mask") is None
