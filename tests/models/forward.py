"""Random inputs of a transformer's forward pass, and the pass."""

from __future__ import annotations

import torch
from torch import Tensor
from toys import LATENT_CHANNELS, TEXT_DIM

VIDEO = (2, LATENT_CHANNELS, 3, 4, 6)  # (B, C, F, H, W)


def make_inputs(num_references: int = 2, seed: int = 0, video: tuple[int, ...] = VIDEO) -> dict[str, Tensor]:
    """Inputs of a toy transformer."""
    generator = torch.Generator().manual_seed(seed)
    batch, channels, _, height, width = video
    return {
        "hidden_states": torch.randn(video, generator=generator),
        "timestep": torch.tensor([999.0, 250.0]),
        "encoder_hidden_states": torch.randn(batch, 5, TEXT_DIM, generator=generator),
        "reference_latents": torch.randn(
            (batch, channels, num_references, height, width), generator=generator
        ),
    }


@torch.no_grad()
def predict(transformer: torch.nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """Its velocity, (B, C, F, H, W)."""
    return transformer(**inputs).sample
