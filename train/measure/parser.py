"""How well the face parser labels aligned crops of people it has never seen.

    python -m train.measure.parser [--folder assets/embedded/face_parser]

Prints intersection over union of every occurring label, and their mean, on 448 px crops of 256 px pictures.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoImageProcessor, SegformerForSemanticSegmentation

from train.alignment import align_faces
from train.face_parser import LABELS, confusion_matrix, label_iou
from train.people import render, sample_scenes

PICTURE_SIZE = 256
CROP_SIZE = 448
BATCH = 8
BATCHES_PER_CAMERA = 8


def test_crops(seed: int, camera: str) -> tuple[Tensor, Tensor]:
    """Aligned crops (B, 3, 448, 448) in [0, 1] and labels (B, 448, 448)."""
    scenes = sample_scenes(seed, BATCH, split="test", num_frames=1, camera=camera)
    rendering = render(scenes, PICTURE_SIZE, PICTURE_SIZE)
    landmarks = rendering.landmarks[:, 0, 0]
    crops = align_faces(rendering.frames[:, 0], landmarks, CROP_SIZE)
    labels = align_faces(rendering.labels[:, :1].float(), landmarks, CROP_SIZE, mode="nearest")
    return crops, labels[:, 0].long()


@torch.inference_mode()
def main(arguments: list[str] | None = None) -> None:
    """Read the command line, print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("assets/embedded/face_parser"))
    options = parser.parse_args(arguments)
    model = SegformerForSemanticSegmentation.from_pretrained(options.folder, dtype=torch.float32).eval()
    processor = AutoImageProcessor.from_pretrained(options.folder)
    confusion = torch.zeros(len(LABELS), len(LABELS), dtype=torch.long)
    for camera in ("video", "portrait"):
        for seed in range(BATCHES_PER_CAMERA):
            crops, labels = test_crops(seed, camera)
            pictures = list((crops * 255).round().byte())
            logits = model(**processor(pictures, return_tensors="pt")).logits
            predicted = F.interpolate(logits, (CROP_SIZE, CROP_SIZE), mode="bilinear").argmax(1)
            confusion += confusion_matrix(predicted, labels)
    overlaps = label_iou(confusion)
    for label, overlap in overlaps.items():
        print(f"{label:>12}: {overlap:.3f}")
    print(f"   mean IoU : {sum(overlaps.values()) / len(overlaps):.3f}")


if __name__ == "__main__":
    main()
