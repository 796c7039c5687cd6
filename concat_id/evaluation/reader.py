"""Reading back what happens in a video: expression, motion, garment and place of drawn people.

The reader knows the drawn world's categories only; it was trained on the renderer's truth
(`train/scoring/reader.py`) and says how often it is right there, for its mistakes count against every model
that it judges.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from concat_id.references.onnx_sessions import open_onnx
from concat_id.scoring.video_clip import fit, middle_frames


class ClipReader:
    """Names the category of every topic in a video.

    Args:
        path: an ONNX file as `train.export` writes it: clips (1, T, 3, H, W) in [0, 1] to logits
            by topic; its metadata names the categories, and how often it is right on rendered clips.
    """

    def __init__(self, path: Path) -> None:
        self._session = open_onnx(path)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.categories: dict[str, list[str]] = json.loads(metadata["categories"])
        self.accuracy: dict[str, float] = json.loads(metadata["accuracy"])
        self._size_px = self._session.get_inputs()[0].shape[-1]

    def read(self, frames: np.ndarray) -> dict[str, str]:
        """The category of every topic in a video, (T, H, W, 3) uint8 RGB."""
        chosen = torch.from_numpy(frames[middle_frames(len(frames))]).permute(0, 3, 1, 2).float() / 255
        clip = fit(chosen, self._size_px)[None].numpy()
        logits = self._session.run(list(self.categories), {self._session.get_inputs()[0].name: clip})
        return {
            topic: names[int(values[0].argmax())]
            for (topic, names), values in zip(self.categories.items(), logits, strict=True)
        }
