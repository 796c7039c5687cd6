"""CurSim's face embeddings: a second recogniser, trained with the CurricularFace loss (Huang et al. 2020).

The embedded one is an ONNX file; the published one, IR-101 on Glint360K, is a PyTorch checkpoint with the
parameter names of TFace, which `IrNet` shares. Axes: N faces, D embedding width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from concat_id.errors import WeightsUnavailable
from concat_id.references.faces import Face, align_face
from concat_id.references.onnx_sessions import open_onnx

INPUT_PX = 112
EMBEDDING_WIDTH = 512
# Width and number of blocks by stage; each stage's first block halves the sides.
IR_101 = ((64, 3), (128, 13), (256, 30), (512, 3))
# ConsisID's evaluation aligns at twice the input's size and shrinks by bilinear interpolation.
PUBLISHED_CROP_PX = 224


class CurricularEmbedder:
    """Embeds the faces of pictures.

    Args:
        network: (N, 3, 112, 112) float32, RGB in [-1, 1], to (N, D) of any length.
        crop_px: at which size faces are aligned before they are shrunk to the input's; 112 or 224.
    """

    def __init__(self, network: Callable[[np.ndarray], np.ndarray], *, crop_px: int = INPUT_PX) -> None:
        self._network = network
        self._crop_px = crop_px

    @classmethod
    def load(cls, path: Path) -> CurricularEmbedder:
        """The embedded recogniser (.onnx) or the published one (any other file)."""
        if path.suffix == ".onnx":
            return cls(_load_onnx(path))
        network = load_ir_101(path)
        return cls(lambda pixels: _run(network, pixels), crop_px=PUBLISHED_CROP_PX)

    def embed(self, picture: Image.Image | np.ndarray, landmarks: Sequence[np.ndarray]) -> np.ndarray:
        """Embed the faces with these landmarks, (5, 2) px each, of one picture (RGB): (N, D), unit length."""
        crops = [align_face(picture, points, self._crop_px) for points in landmarks]
        pixels = np.stack([np.asarray(crop.reduce(self._crop_px // INPUT_PX)) for crop in crops])
        embeddings = self._network(np.float32(pixels.transpose(0, 3, 1, 2)) / 127.5 - 1)
        return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)

    def compare(
        self, reference: np.ndarray, faces: Sequence[Face | None], frames: Sequence[np.ndarray]
    ) -> list[float | None]:
        """CurSim frame by frame, clamped at 0 as in ConsisID's evaluation, None without a face.

        Args:
            reference: the person's embedding, (D,), unit length.
            faces: the person's face in each frame.
            frames: (H, W, 3) uint8 RGB each.
        """
        return [
            max(0.0, float(self.embed(frame, [face.landmarks])[0] @ reference)) if face else None
            for face, frame in zip(faces, frames, strict=True)
        ]


class IrBlock(nn.Module):
    """Two convolutions beside a straight way, as in TFace's IR networks."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module = nn.MaxPool2d(1, stride)
        if inputs != outputs:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.res_layer(x) + self.shortcut_layer(x)


class IrNet(nn.Module):
    """Embeddings (N, 512), of any length, of faces (N, 3, 112, 112) in [-1, 1]."""

    def __init__(self, stages: Sequence[tuple[int, int]] = IR_101) -> None:
        super().__init__()
        width = stages[0][0]
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width)
        )
        blocks: list[IrBlock] = []
        for outputs, count in stages:
            blocks.append(IrBlock(width, outputs, stride=2))
            blocks += [IrBlock(outputs, outputs, stride=1) for _ in range(count - 1)]
            width = outputs
        self.body = nn.Sequential(*blocks)
        side = INPUT_PX // 2 ** len(stages)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.Dropout(0.4),
            nn.Flatten(),
            nn.Linear(width * side * side, EMBEDDING_WIDTH),
            nn.BatchNorm1d(EMBEDDING_WIDTH, affine=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.output_layer(self.body(self.input_layer(x)))


def load_ir_101(checkpoint: Path) -> IrNet:
    """The published recogniser from `glint360k_curricular_face_r101_backbone.bin`."""
    weights = torch.load(checkpoint, map_location="cpu", weights_only=True)
    with torch.device("meta"):
        network = IrNet()
    try:
        network.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise WeightsUnavailable(
            f"'{checkpoint}' does not hold IR-101's weights; fetch it again (BestWishYsh/ConsisID-preview)."
        ) from error
    return network.eval()


@torch.inference_mode()
def _run(network: IrNet, pixels: np.ndarray) -> np.ndarray:
    return network(torch.from_numpy(pixels)).numpy()


def _load_onnx(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """A recogniser in the layout of `train.export`."""
    session = open_onnx(path)
    name = session.get_inputs()[0].name
    return lambda pixels: session.run(None, {name: pixels})[0]
