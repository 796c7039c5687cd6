"""Step 6, garments: what somebody wears, cut out onto black, by a parser or by words.

The paper's way is Grounded SAM 2: Grounding DINO finds boxes for words, SAM 2 cuts along them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from concat_id.references.backgrounds import find_people
from concat_id.references.garments import MARGIN, MIN_GARMENT_SHARE, cut_garment, shrink
from concat_id.references.parsing import Parser

GARMENT_WORDS = "shirt. t-shirt. sweater. jacket. coat. dress. skirt. pants."
PEOPLE_WORDS = "person."
BOX_THRESHOLD = 0.3
TEXT_THRESHOLD = 0.25
# How SAM 2 was shown its pictures.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Segmenter(Protocol):
    """Finds what to cut out of frames."""

    def cut_garment(self, picture: Image.Image) -> Image.Image | None:
        """The clothing of a picture, RGB, on black; None without any."""

    def find_people(self, picture: Image.Image) -> np.ndarray:
        """Which pixels show people, (H, W) bool."""


class ParserSegmenter:
    """By a SegFormer that labels people and what they wear.

    Args:
        weights: its folder.
    """

    def __init__(self, weights: Path) -> None:
        self._parser = Parser(weights)

    def cut_garment(self, picture: Image.Image) -> Image.Image | None:
        """As `Segmenter`."""
        return cut_garment(picture, self._parser)

    def find_people(self, picture: Image.Image) -> np.ndarray:
        """As `Segmenter`."""
        return find_people(picture, self._parser)


class GroundedSegmenter:
    """By words: Grounding DINO's boxes, cut along by SAM 2, both from transformers.

    Args:
        detector, segmenter: folders as `save_pretrained` writes them, with their processors.
        device: where they run.
    """

    def __init__(self, detector: Path, segmenter: Path, *, device: str = "cpu") -> None:
        from transformers import (
            AutoTokenizer,
            GroundingDinoForObjectDetection,
            GroundingDinoProcessor,
            Sam2Model,
        )
        from transformers.models.grounding_dino.image_processing_pil_grounding_dino import (
            GroundingDinoImageProcessorPil,
        )

        # By name: the general one would want torchvision.
        pictures = GroundingDinoImageProcessorPil.from_pretrained(detector)
        self._words = GroundingDinoProcessor(pictures, AutoTokenizer.from_pretrained(detector))
        self._detector = GroundingDinoForObjectDetection.from_pretrained(detector).to(device).eval()
        self._segmenter = Sam2Model.from_pretrained(segmenter).to(device).eval()
        self._device = device

    def cut_garment(self, picture: Image.Image) -> Image.Image | None:
        """As `Segmenter`."""
        picture = shrink(picture)
        mask = self.segment(picture, GARMENT_WORDS)
        return lay_on_black(picture, mask) if mask.mean() >= MIN_GARMENT_SHARE else None

    def find_people(self, picture: Image.Image) -> np.ndarray:
        """As `Segmenter`."""
        return self.segment(picture, PEOPLE_WORDS)

    def segment(self, picture: Image.Image, words: str) -> np.ndarray:
        """Which pixels show one of the things named, (H, W) bool.

        Args:
            words: in lower case, each followed by a full stop, as Grounding DINO was trained.
        """
        boxes = self.find_boxes(picture, words)
        if not len(boxes):
            return np.zeros(picture.size[::-1], bool)
        import torch

        side = self._segmenter.config.prompt_encoder_config.image_size
        pixels = torch.from_numpy(np.array(picture.resize((side, side), Image.Resampling.BILINEAR)))
        pixels = (pixels.float() / 255 - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
        scaled = torch.from_numpy(boxes).float() * side / torch.tensor(picture.size * 2)
        with torch.inference_mode():
            masks = self._segmenter(
                pixel_values=pixels.permute(2, 0, 1)[None].to(self._device),
                input_boxes=scaled[None].to(self._device),
                multimask_output=False,
            ).pred_masks[0]  # (boxes, 1, H / 4, W / 4), logits
        size = picture.size[::-1]
        masks = torch.nn.functional.interpolate(masks.float(), size, mode="bilinear", align_corners=False)
        return (masks[:, 0] > 0).any(0).cpu().numpy()

    def find_boxes(self, picture: Image.Image, words: str) -> np.ndarray:
        """Left, top, right, bottom in px of what the words name, (N, 4)."""
        import torch

        inputs = self._words(images=picture, text=words, return_tensors="pt").to(self._device)
        with torch.inference_mode():
            outputs = self._detector(**inputs)
        found = self._words.post_process_grounded_object_detection(
            outputs,
            inputs["input_ids"],
            threshold=BOX_THRESHOLD,
            text_threshold=TEXT_THRESHOLD,
            target_sizes=[picture.size[::-1]],
        )[0]
        return found["boxes"].cpu().numpy()


def lay_on_black(picture: Image.Image, mask: np.ndarray) -> Image.Image:
    """What a mask, (H, W) bool and not empty, shows of a picture, cropped to it with a margin."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    margin = round(MARGIN * (1 + max(np.ptp(rows), np.ptp(columns))))
    box = (columns[0] - margin, rows[0] - margin, columns[-1] + 1 + margin, rows[-1] + 1 + margin)
    return Image.fromarray(np.asarray(picture) * mask[..., None]).crop(tuple(map(int, box)))
