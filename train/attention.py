"""Attention for training on a CPU, as two matrix products.

torch's fused kernel spares memory that short sequences do not need, and takes longer, above all backwards
(`tests/benchmarks/benchmark_attention.py`).
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(D)) V. Args: query (..., L, D), key and value (..., S, D)."""
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    return scores.softmax(-1).to(value.dtype) @ value


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
