"""Labelling the pixels of a picture with a SegFormer: the parts of a face, or people and what they wear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

# The label map of `jonathandinu/face-parsing`, which the embedded face parser shares.
EARS = (8, 9)
BACKGROUND, HAT, EARRING, NECKLACE, NECK, CLOTH = 0, 14, 15, 16, 17, 18
EYES = (3, 4, 5, 6, 7)  # and glasses and brows
MOUTH = (10, 11, 12)  # and lips

# Of the label map of `mattmdjaga/segformer_b2_clothes`, which the embedded clothes parser shares: upper
# clothes, skirt, pants, dress, belt, scarf. Whatever is not the background, 0 here too, belongs to a person.
GARMENT_LABELS = (4, 5, 6, 7, 8, 17)
BODY_LABELS = (2, 11, 12, 13, 14, 15)  # hair, face, legs and arms


class Parser:
    """Labels every pixel of a picture.

    Args:
        weights: a folder with a SegFormer and its image processor, as `save_pretrained` writes them.
    """

    def __init__(self, weights: Path) -> None:
        from transformers import SegformerForSemanticSegmentation
        from transformers.models.segformer.image_processing_pil_segformer import SegformerImageProcessorPil

        self._processor = SegformerImageProcessorPil.from_pretrained(weights, do_reduce_labels=False)
        self._model = SegformerForSemanticSegmentation.from_pretrained(weights, dtype="float32").eval()

    def parse(self, picture: Image.Image) -> np.ndarray:
        """Label a picture (RGB, any size): (H, W) uint8 at the picture's size."""
        import torch
        from torch.nn import functional as F

        inputs = self._processor(images=picture, return_tensors="pt")
        with torch.inference_mode():
            logits = self._model(**inputs).logits  # (1, labels, H / 4, W / 4)
            logits = F.interpolate(logits, size=picture.size[::-1], mode="bilinear", align_corners=False)
        return logits[0].argmax(0).to(torch.uint8).numpy()
