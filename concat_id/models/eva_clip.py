"""EVA-02-CLIP's picture encoder (Sun et al. 2023, arXiv:2303.15389), which ConsisID looks at faces with.

The parameters have the names of the published checkpoint. Axes: B batch, L tokens, D width, H, W in px.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional as F

from concat_id.errors import WeightsUnavailable

# Positions are those of the pictures of 224 px on which the model began its training.
TRAINED_SIDE = 16
THETA = 10_000.0
EPS = 1e-6
# Blocks whose inputs ConsisID's face extractor sees: five scales.
HIDDEN_EVERY, HIDDEN_COUNT = 4, 5


class EvaAttention(nn.Module):
    """Self-attention with rotary positions for all tokens but the first, and a norm before the projection."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.q_bias, self.v_bias = nn.Parameter(torch.zeros(dim)), nn.Parameter(torch.zeros(dim))
        self.inner_attn_ln = nn.LayerNorm(dim, eps=EPS)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, positions: tuple[Tensor, Tensor]) -> Tensor:
        """(B, L, D) to the same."""
        q, k, v = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in (self.q_proj(x) + self.q_bias, self.k_proj(x), self.v_proj(x) + self.v_bias)
        )
        x = F.scaled_dot_product_attention(_rotate(q, positions), _rotate(k, positions), v)
        return self.proj(self.inner_attn_ln(x.transpose(1, 2).flatten(2)))


class EvaFeedForward(nn.Module):
    """SwiGLU with a norm before the last layer."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.w1, self.w2 = nn.Linear(dim, hidden), nn.Linear(dim, hidden)
        self.ffn_ln = nn.LayerNorm(hidden, eps=EPS)
        self.w3 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.w3(self.ffn_ln(F.silu(self.w1(x)) * self.w2(x)))


class EvaBlock(nn.Module):
    """Attention and feed-forward layers, each behind a norm."""

    def __init__(self, dim: int, num_heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=EPS), nn.LayerNorm(dim, eps=EPS)
        self.attn = EvaAttention(dim, num_heads)
        self.mlp = EvaFeedForward(dim, hidden)

    def forward(self, x: Tensor, positions: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self.attn(self.norm1(x), positions)
        return x + self.mlp(self.norm2(x))


class EvaPatchEmbed(nn.Module):
    """Patches of a picture (B, 3, H, W) as tokens (B, L, D)."""

    def __init__(self, dim: int, patch_px: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch_px, patch_px)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class EvaClipVisionModel(ModelMixin, ConfigMixin):
    """Embeds pictures; the defaults are EVA02-CLIP-L-14-336."""

    @register_to_config
    def __init__(
        self,
        image_size: int = 336,
        patch_size: int = 14,
        width: int = 1024,
        num_layers: int = 24,
        num_heads: int = 16,
        hidden_width: int = 2730,
        embed_dim: int = 768,
    ) -> None:
        super().__init__()
        side = image_size // patch_size
        self.patch_embed = EvaPatchEmbed(width, patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, side * side + 1, width))
        self.blocks = nn.ModuleList(EvaBlock(width, num_heads, hidden_width) for _ in range(num_layers))
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.head = nn.Linear(width, embed_dim)

    def forward(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Embeddings (B, embed_dim) and five hidden states (B, L, D) of normalised pictures (B, 3, H, W)."""
        patches = self.patch_embed(pixels)
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1) + self.pos_embed
        positions = self._positions(x)
        hidden = []
        for index, block in enumerate(self.blocks):
            if index and index % HIDDEN_EVERY == 0 and len(hidden) < HIDDEN_COUNT:
                hidden.append(x)
            x = block(x, positions)
        return self.head(self.norm(x)[:, 0]), hidden

    def _positions(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines (L - 1, head width): half of it turns with the row, half with the column."""
        config = self.config
        side, half = config.image_size // config.patch_size, config.width // config.num_heads // 2
        rates = THETA ** (-torch.arange(0, half, 2).float() / half)
        angles = torch.outer(torch.arange(side) / side * TRAINED_SIDE, rates).repeat_interleave(2, dim=1)
        rows, columns = angles[:, None].expand(-1, side, -1), angles[None].expand(side, -1, -1)
        angles = torch.cat([rows, columns], dim=-1).flatten(0, 1)
        return angles.cos().to(like), angles.sin().to(like)


def _rotate(x: Tensor, positions: tuple[Tensor, Tensor]) -> Tensor:
    """Turn pairs of neighbouring values (B, heads, L, head width) but the first token's (RoFormer)."""
    first, rest = x[:, :, :1], x[:, :, 1:]
    even, odd = rest.unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack([-odd, even], dim=-1).flatten(-2)
    cosines, sines = positions
    return torch.cat([first, rest * cosines + turned * sines], dim=2)


def load_eva_clip(checkpoint: Path, **config: int) -> EvaClipVisionModel:
    """The picture encoder of a published checkpoint, `EVA02_CLIP_L_336_psz14_s6B.pt`.

    Args:
        config: of another size than that.
    """
    weights = torch.load(checkpoint, map_location="cpu", weights_only=True)
    prefix = "visual."
    # What turns with positions is stored, too; it is computed here.
    own = {
        name.removeprefix(prefix): value
        for name, value in weights.items()
        if name.startswith(prefix) and "rope" not in name
    }
    model = EvaClipVisionModel(**config)
    try:
        model.load_state_dict(own)
    except RuntimeError as error:
        raise WeightsUnavailable(
            f"'{checkpoint}' does not hold EVA-02-CLIP's weights; fetch it again "
            "(BestWishYsh/ConsisID-preview)."
        ) from error
    return model.eval()
