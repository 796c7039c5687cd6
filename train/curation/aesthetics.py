"""How well a picture is made: LAION's predictor on CLIP's image embedding, 1 to 10 as people vote.

Its weights are used where they are on the machine, and done without otherwise.
"""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil


class AestheticsPredictor(CLIPVisionModelWithProjection):
    """CLIP's image tower with a linear vote on top, named as in the published file."""

    def __init__(self, config: CLIPVisionConfig) -> None:
        super().__init__(config)
        self.predictor = nn.Linear(config.projection_dim, 1)
        self.post_init()

    def score(self, pixel_values: Tensor) -> Tensor:
        """Votes (B,).

        Args:
            pixel_values: as the processor makes them, (B, 3, H, W).
        """
        return self.predictor(F.normalize(self(pixel_values).image_embeds, dim=1))[:, 0]


class AestheticScorer:
    """Scores pictures.

    Args:
        weights: a folder with the predictor and its image processor.
    """

    def __init__(self, weights: Path) -> None:
        self._processor = CLIPImageProcessorPil.from_pretrained(weights)
        self._model = AestheticsPredictor.from_pretrained(weights).eval()

    @torch.inference_mode()
    def score(self, picture: Image.Image) -> float:
        """The vote on a picture, RGB."""
        inputs = self._processor(images=picture, return_tensors="pt")
        return float(self._model.score(inputs["pixel_values"])[0])
