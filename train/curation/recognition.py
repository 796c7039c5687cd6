"""Embeddings of faces whose landmarks are known: a face pack's recogniser without its detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from concat_id.references.onnx_sessions import open_onnx
from train.pictures.alignment import align_faces

BATCH_SIZE = 32


class FaceEmbedder:
    """The recogniser of a face pack.

    Args:
        pack: folder that holds `rec.onnx`.
    """

    def __init__(self, pack: Path) -> None:
        self._session = open_onnx(Path(pack) / "rec.onnx", torch.get_num_threads())
        self._input = self._session.get_inputs()[0].name

    def __call__(self, frames: Tensor, landmarks: Tensor) -> Tensor:
        """Unit embeddings (N, D) on the CPU.

        Args:
            frames: (N, 3, H, W) in [0, 1].
            landmarks: five points a face, (N, 5, 2) px, a pixel's centre on whole numbers.
        """
        crops = align_faces(frames, landmarks).cpu() * 2 - 1
        outputs = [
            self._session.run(None, {self._input: part.numpy()})[0] for part in crops.split(BATCH_SIZE)
        ]
        return F.normalize(torch.from_numpy(np.concatenate(outputs)))
