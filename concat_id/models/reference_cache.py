"""References whose keys and values are kept from one denoising step to the next.

    transformer.enable_reference_cache(interval=3)

From step to step the video changes, and its references hardly do. So only every few steps their tokens go
through the blocks; in between the video attends to the keys and values that they had last. That is nearly
exact, unlike references that attend to themselves alone and are computed once: a model has to be trained so.

Axes: B batch, L tokens, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.attention_processor import Attention, CogVideoXAttnProcessor2_0
from diffusers.models.embeddings import apply_rotary_emb
from diffusers.models.transformers.transformer_wan import WanAttention, WanAttnProcessor
from torch import Tensor, nn

# Keys and values of the references in one block.
KeysAndValues = tuple[Tensor, Tensor]


@dataclass
class CarriedReferences:
    """Reference tokens (B, L, D) beside a sequence of which step caches then see the video alone."""

    tokens: Tensor

    def join(self, sequence: Tensor) -> Tensor:
        """The sequence (B, L, D) with the references at its end."""
        return torch.cat([sequence, self.tokens], dim=1)

    def part(self, sequence: Tensor) -> Tensor:
        """The sequence (B, L, D) without the references at its end, which are carried on."""
        sequence, self.tokens = sequence.tensor_split([-self.tokens.shape[1]], dim=1)
        return sequence


class ReferenceCache:
    """What a transformer's blocks share: whether references are due, and what was kept of them.

    A run's passes (with the prompt, without it, ...) are kept apart.

    Args:
        interval: steps from one computation of the references to the next; 1: each step, the exact result.
    """

    def __init__(self, interval: int) -> None:
        if interval < 1:
            raise ValueError(f"interval must be at least 1, got {interval}.")
        self.interval = interval
        self._pass, self._step = "", None
        self._num_others: int | None = None  # tokens before the references; None: there are no references
        self._kept: dict[str, dict[nn.Module, KeysAndValues]] = {}
        self._kept_at: dict[str, int] = {}  # the step

    def enter(self, pass_name: str, step: int | None) -> None:
        """A pass of a step begins; where no step is named, nothing is kept or replayed."""
        self._pass, self._step, self._num_others = pass_name, step, None
        if step == 0:
            self._kept_at.pop(pass_name, None)

    def forget(self) -> None:
        """A run has ended."""
        self._kept.clear()
        self._kept_at.clear()

    def take(
        self, tokens: Tensor, num_video_tokens: int, num_text_tokens: int = 0
    ) -> tuple[Tensor, CarriedReferences | None]:
        """What a pass computes: the video's tokens, and if they are due the references beside them.

        Args:
            tokens: video tokens, then reference tokens, (B, L, D).
            num_video_tokens: how many of them are video.
            num_text_tokens: of a text that the attention has before them.
        """
        if self._step is not None:
            self._num_others = num_text_tokens + num_video_tokens
        video, references = tokens.tensor_split([num_video_tokens], dim=1)
        # A step cache may leave out the blocks of a step: the references are due until they were computed.
        kept_at = self._kept_at.get(self._pass)
        is_due = None in (self._step, kept_at) or self._step - kept_at >= self.interval
        return video, CarriedReferences(references) if is_due else None

    def extend(self, attention: nn.Module, key: Tensor, value: Tensor, axis: int) -> KeysAndValues:
        """Keep the references' part of keys and values, or add it where the sequence lacks references.

        Args:
            attention: of a block.
            axis: of the tokens.
        """
        if self._num_others is None:
            return key, value
        if num_references := key.shape[axis] - self._num_others:
            own = [x.narrow(axis, self._num_others, num_references).clone() for x in (key, value)]
            self._kept.setdefault(self._pass, {})[attention] = tuple(own)
            self._kept_at[self._pass] = self._step
            return key, value
        kept = self._kept[self._pass][attention]
        return tuple(torch.cat(pair, axis) for pair in zip((key, value), kept, strict=True))


class CachedWanAttnProcessor(WanAttnProcessor):
    """`WanAttnProcessor` for self-attention, with a cache's keys and values of the references."""

    def __init__(self, cache: ReferenceCache) -> None:
        super().__init__()
        self.cache = cache

    def __call__(
        self,
        attn: WanAttention,
        hidden_states: Tensor,
        encoder_hidden_states: None = None,
        attention_mask: None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Args: hidden_states (B, L, D); rotary_emb: cosines and sines, (1, L, 1, head width)."""
        positions = tuple(table[0, :, 0] for table in rotary_emb)
        query, key = attn.norm_q(attn.to_q(hidden_states)), attn.norm_k(attn.to_k(hidden_states))
        value = attn.to_v(hidden_states)
        query, key, value = (x.unflatten(2, (attn.heads, -1)) for x in (query, key, value))
        query, key = (apply_rotary_emb(x, positions, sequence_dim=1) for x in (query, key))
        key, value = self.cache.extend(attn, key, value, axis=1)
        attended = dispatch_attention_fn(query, key, value, backend=self._attention_backend)
        attended = attended.flatten(2, 3).type_as(query)
        return attn.to_out[1](attn.to_out[0](attended))


class CachedCogVideoXAttnProcessor(CogVideoXAttnProcessor2_0):
    """`CogVideoXAttnProcessor2_0` with a cache's keys and values of the references."""

    def __init__(self, cache: ReferenceCache) -> None:
        super().__init__()
        self.cache = cache

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Args: hidden_states, encoder_hidden_states: (B, L, D); image_rotary_emb: (L, head width) each."""
        text_length = encoder_hidden_states.shape[1]
        tokens = torch.cat([encoder_hidden_states, hidden_states], dim=1)
        query, key, value = (
            project(tokens).unflatten(2, (attn.heads, -1)).transpose(1, 2)
            for project in (attn.to_q, attn.to_k, attn.to_v)
        )
        query, key = (norm(x) if norm else x for norm, x in ((attn.norm_q, query), (attn.norm_k, key)))
        if image_rotary_emb is not None:
            for x in (query, key):
                x[:, :, text_length:] = apply_rotary_emb(x[:, :, text_length:], image_rotary_emb)
        key, value = self.cache.extend(attn, key, value, axis=2)
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        attended = attn.to_out[1](attn.to_out[0](attended))
        return attended[:, text_length:], attended[:, :text_length]
