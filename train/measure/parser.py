"""How well a parser labels people it has never seen.

    python -m train.measure.parser face_parser      # 448 px aligned crops of 256 px pictures
    python -m train.measure.parser clothes_parser   # whole 256 px pictures of people, places, garments alone

Prints intersection over union of every occurring label, and their mean; of the clothes parser also that of
whole people against everything else.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoImageProcessor, SegformerForSemanticSegmentation

from concat_id.people import Scenes, render, sample_scenes
from train.perception import clothes_parser, face_parser
from train.perception.parser import LabelMap
from train.pictures.alignment import align_faces

PICTURE_SIZE = 256
CROP_SIZE = 448
BATCH = 8
SEEDS = range(8)


def face_crops() -> Iterator[tuple[Tensor, Tensor]]:
    """Aligned crops (B, 3, 448, 448) in [0, 1] with labels (B, 448, 448)."""
    for camera in ("video", "portrait"):
        for seed in SEEDS:
            scenes = sample_scenes(seed, BATCH, split="test", num_frames=1, camera=camera)
            rendering = render(scenes, PICTURE_SIZE, PICTURE_SIZE)
            landmarks = rendering.landmarks[:, 0, 0]
            labels = align_faces(rendering.labels[:, :1].float(), landmarks, CROP_SIZE, mode="nearest")
            yield align_faces(rendering.frames[:, 0], landmarks, CROP_SIZE), labels[:, 0].long()


def whole_pictures() -> Iterator[tuple[Tensor, Tensor]]:
    """Pictures (B, 3, 256, 256) in [0, 1] of 1 to 3 people, nobody, garments; labels (B, 256, 256)."""
    for seed in SEEDS:
        for scenes in _sample_contents(seed):
            rendering = render(scenes, PICTURE_SIZE, PICTURE_SIZE)
            yield rendering.frames[:, 0], clothes_parser.relabel(rendering.labels[:, 0])


def _sample_contents(seed: int) -> list[Scenes]:
    people = [sample_scenes(seed, BATCH, split="test", num_people=count, num_frames=1) for count in (1, 2, 3)]
    return [*people, people[0].without_people(), people[0].garments_only()]


SUBJECTS = {
    "face_parser": (face_parser.LABEL_MAP, face_crops),
    "clothes_parser": (clothes_parser.LABEL_MAP, whole_pictures),
}


@torch.inference_mode()
def measure(folder: Path, label_map: LabelMap, batches: Iterator[tuple[Tensor, Tensor]]) -> Tensor:
    """The confusion of a transformers folder's parser on pictures and labels, (K, K) long."""
    model = SegformerForSemanticSegmentation.from_pretrained(folder, dtype=torch.float32).eval()
    processor = AutoImageProcessor.from_pretrained(folder)
    confusion = torch.zeros(len(label_map.names), len(label_map.names), dtype=torch.long)
    for frames, labels in batches:
        pictures = list((frames * 255).round().byte())
        logits = model(**processor(pictures, return_tensors="pt")).logits
        predicted = F.interpolate(logits, labels.shape[-2:], mode="bilinear").argmax(1)
        confusion += label_map.confusion(predicted, labels)
    return confusion


def subject_iou(confusion: Tensor) -> float:
    """Intersection over union of everything but the background, label 0."""
    hits = confusion[1:, 1:].sum()
    return (hits / (confusion.sum() - confusion[0, 0])).item()


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, print the figures."""
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("parser", choices=SUBJECTS)
    command.add_argument("--folder", type=Path, help="default: assets/embedded/PARSER")
    options = command.parse_args(arguments)
    label_map, pictures = SUBJECTS[options.parser]
    folder = options.folder or Path("assets/embedded") / options.parser
    confusion = measure(folder, label_map, pictures())
    overlaps = label_map.iou(confusion)
    for label, overlap in overlaps.items():
        print(f"{label:>13}: {overlap:.3f}")
    print(f"    mean IoU : {sum(overlaps.values()) / len(overlaps):.3f}")
    if options.parser == "clothes_parser":
        print(f"whole people : {subject_iou(confusion):.3f}")


if __name__ == "__main__":
    main()
