"""Attention for training: the same result as torch's own, and only where it is meant."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from train.transformer.attention import PlainAttention, attend


def inputs(length: int = 7, others: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 3, length, 8), (2, 3, others, 8), (2, 3, others, 8))
    return tuple(torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes)


def test_values_and_gradients_are_torchs() -> None:
    query, key, value = inputs()
    plain, fused = attend(query, key, value), F.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(plain, fused)
    gradients = [torch.autograd.grad(out.square().sum(), (query, key, value)) for out in (plain, fused)]
    torch.testing.assert_close(*gradients)


def test_it_takes_the_place_of_the_fused_kernel_within_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(
        "train.transformer.attention.attend", lambda *tensors: calls.append(tensors) or tensors[2]
    )
    query, key, value = inputs(5)
    with PlainAttention():
        F.scaled_dot_product_attention(query, key, value)
        F.scaled_dot_product_attention(query, key=key, value=value, attn_mask=None, dropout_p=0.0)
        assert len(calls) == 2
        F.scaled_dot_product_attention(query, key, value, is_causal=True)
        F.scaled_dot_product_attention(query, key, value, torch.ones(5, 5, dtype=torch.bool))
        F.scaled_dot_product_attention(query, key, value, attn_mask=torch.zeros(5, 5))
        F.scaled_dot_product_attention(query, key, value, scale=2.0)
    F.scaled_dot_product_attention(query, key, value)
    assert len(calls) == 2
