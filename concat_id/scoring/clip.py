"""CLIP embeddings of aligned faces, for CLIPDist."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

# Faces are aligned as for ArcFace, at CLIP's usual size; the image processor fits them to the model's own.
CROP_PX = 224


class ClipEmbedder:
    """Embeds pictures by a CLIP's image tower.

    Args:
        weights: a folder with a CLIP and its image processor, as `save_pretrained` writes them.
    """

    def __init__(self, weights: Path) -> None:
        from transformers import CLIPModel
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

        self._processor = CLIPImageProcessorPil.from_pretrained(weights)
        self._model = CLIPModel.from_pretrained(weights, dtype="float32").eval()

    def embed(self, pictures: Sequence[Image.Image]) -> np.ndarray:
        """Embed pictures (RGB, any size) in one batch: (N, E) float32, unit length."""
        import torch
        from torch.nn import functional as F

        inputs = self._processor(images=list(pictures), return_tensors="pt")
        with torch.inference_mode():
            vision = self._model.vision_model(pixel_values=inputs["pixel_values"])
            embeddings = self._model.visual_projection(vision.pooler_output)
        return F.normalize(embeddings.float(), dim=-1).numpy()
