"""What a Wan block and Wan's rotary positions become with reference tokens in the sequence.

Axes: B batch, R references, C latent channels, F latent frames, H, W latent size, L tokens, D width.
The sequence is the video's tokens followed by the references' tokens, frame by frame.
"""

from __future__ import annotations

import torch
from diffusers.hooks._helpers import TransformerBlockMetadata, TransformerBlockRegistry
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed, WanTransformerBlock
from einops import rearrange, repeat
from torch import Tensor, nn

from concat_id.models.reference_cache import CarriedReferences

Modulation = tuple[
    Tensor, ...
]  # shift, scale, gate of the attention, then of the feed-forward: (B, 1, D) each


class ConcatIDWanRotaryPosEmbed(WanRotaryPosEmbed):
    """Wan's rotary positions for the video, and positions no video token has for the references."""

    def forward(self, hidden_states: Tensor, num_references: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Reference k lies at frame F + k, rows 0..h-1 and columns w..2w-1 of the token grid.

        Args:
            hidden_states: video latents, (B, C, F, H, W); only their shape is used.
            num_references: R.

        Returns:
            cosines and sines, (1, L, 1, head width), and which tokens are video, (L,) bool, on the CPU.
        """
        cosines, sines = super().forward(hidden_states)
        num_video_tokens = cosines.shape[1]
        if num_references:
            sizes = zip(hidden_states.shape[2:], self.patch_size, strict=True)
            frames, rows, columns = (size // patch for size, patch in sizes)
            box = (slice(frames, frames + num_references), slice(rows), slice(columns, 2 * columns))
            cosines = torch.cat([cosines, self._positions(self.freqs_cos, *box)], dim=1)
            sines = torch.cat([sines, self._positions(self.freqs_sin, *box)], dim=1)
        is_video = torch.arange(cosines.shape[1], device="cpu") < num_video_tokens
        return cosines, sines, is_video

    def _positions(self, table: Tensor, frames: slice, rows: slice, columns: slice) -> Tensor:
        """The table's entries over a box of the token grid, (1, L, 1, head width)."""
        time, height, width = table.split([self.t_dim, self.h_dim, self.w_dim], dim=1)
        time, height, width = time[frames], height[rows], width[columns]
        f, h, w = len(time), len(height), len(width)
        axes = [
            repeat(time, "f d -> f h w d", h=h, w=w),
            repeat(height, "h d -> f h w d", f=f, w=w),
            repeat(width, "w d -> f h w d", f=f, h=h),
        ]
        return rearrange(torch.cat(axes, dim=-1), "f h w d -> 1 (f h w) 1 d")


class ConcatIDWanTransformerBlock(WanTransformerBlock):
    """Wan's block, whose reference tokens skip the text and may have a modulation of their own."""

    def __init__(
        self,
        dim: int,
        ffn_dim: int,
        num_heads: int,
        qk_norm: str | None = "rms_norm_across_heads",
        cross_attn_norm: bool = False,
        eps: float = 1e-6,
        reference_adaln: bool = False,
    ) -> None:
        super().__init__(dim, ffn_dim, num_heads, qk_norm, cross_attn_norm, eps)
        if reference_adaln:
            self.reference_scale_shift_table = nn.Parameter(torch.randn(1, 6, dim) / dim**0.5)

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        temb: Tensor,
        rotary_emb: tuple[Tensor, Tensor],
        reference_temb: Tensor | None = None,
        num_video_tokens: int | None = None,
        carried: CarriedReferences | None = None,
    ) -> Tensor:
        """Run the block.

        Args:
            hidden_states: video tokens, then reference tokens, (B, L, D).
            encoder_hidden_states: text tokens, (B, text length, D).
            temb: projected time embedding, (B, 6, D).
            rotary_emb: cosines and sines, (1, L, 1, head width).
            reference_temb: the same for the reference tokens, (B, 6, D); None: `temb` serves them too.
            num_video_tokens: how many of the tokens are video; None: all, which is Wan's own block.
            carried: the reference tokens, where `hidden_states` are the video's alone; they are replaced.
        """
        if num_video_tokens is None:
            return super().forward(hidden_states, encoder_hidden_states, temb, rotary_emb)
        if carried:
            hidden_states = carried.join(hidden_states)
        parts = [num_video_tokens, hidden_states.shape[1] - num_video_tokens]
        video = (self.scale_shift_table + temb.float()).chunk(6, dim=1)
        reference = video if reference_temb is None else self._reference_modulation(reference_temb)

        # 1. Self-attention over video and references together
        normed = _shift_scale(self.norm1(hidden_states.float()), parts, video[:2], reference[:2])
        attended = self.attn1(normed.type_as(hidden_states), None, None, rotary_emb)
        gated = _gate(attended, parts, video[2], reference[2])
        hidden_states = (hidden_states.float() + gated).type_as(hidden_states)

        # 2. Cross-attention to the text: video only
        if num_video_tokens:  # a rank of context parallelism may hold references alone
            video_tokens, reference_tokens = hidden_states.split(parts, dim=1)
            normed = self.norm2(video_tokens.float()).type_as(hidden_states)
            video_tokens = video_tokens + self.attn2(normed, encoder_hidden_states, None, None)
            hidden_states = torch.cat([video_tokens, reference_tokens], dim=1)

        # 3. Feed-forward
        normed = _shift_scale(self.norm3(hidden_states.float()), parts, video[3:5], reference[3:5])
        gated = _gate(self.ffn(normed.type_as(hidden_states)).float(), parts, video[5], reference[5])
        hidden_states = (hidden_states.float() + gated).type_as(hidden_states)
        return carried.part(hidden_states) if carried else hidden_states

    def _reference_modulation(self, reference_temb: Tensor) -> Modulation:
        """The references' modulation as the released weights expect it.

        They were trained with the attention's shift and scale in the feed-forward half too, so entries
        3 and 4 of the table are never used.
        """
        table = self.reference_scale_shift_table + reference_temb.float()
        shift, scale, gate, _, _, feed_forward_gate = table.chunk(6, dim=1)
        return shift, scale, gate, shift, scale, feed_forward_gate


TransformerBlockRegistry.register(  # what diffusers' step caches need to know
    ConcatIDWanTransformerBlock,
    TransformerBlockMetadata(return_hidden_states_index=0, return_encoder_hidden_states_index=None),
)


def _shift_scale(x: Tensor, parts: list[int], video: Modulation, reference: Modulation) -> Tensor:
    """x * (1 + scale) + shift, with one (shift, scale) for the video tokens and one for the references'."""
    pairs = zip(x.split(parts, dim=1), (video, reference), strict=True)
    return torch.cat([part * (1 + scale) + shift for part, (shift, scale) in pairs], dim=1)


def _gate(x: Tensor, parts: list[int], video: Tensor, reference: Tensor) -> Tensor:
    """x * gate, with one gate for the video tokens and one for the references'."""
    pairs = zip(x.split(parts, dim=1), (video, reference), strict=True)
    return torch.cat([part * gate for part, gate in pairs], dim=1)
