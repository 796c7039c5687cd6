"""How well the face pack's detector finds people it has never seen.

    python -m train.measure.detector [--pack assets/embedded/face_pack]

Frames are searched at 320 px and pictures at 128, 320 and 640 px together, as the product does. Prints for
each kind of picture of the test split: recall at IoU .5, false faces per 100 pictures, and the key points'
mean error as a share of the distance between the eyes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from concat_id.people import render, sample_scenes
from concat_id.references.faces import Face, FaceFinder
from train.perception.anchors import FACE, box_iou
from train.perception.detection_canvas import compose_canvases
from train.perception.picture_cache import PICTURE_SIZE, Pictures, load_pictures
from train.pictures.degradation import Degradation

PICTURES = 240
EMPTY_PICTURES = 160
LARGE_SIZE = 512
LARGE_PICTURES = 24
# Smaller faces, as a share of the picture's height, are neither asked for nor counted as false.
SMALLEST_SHARE = 0.08
CANVAS_SIZE = 256
Search = Callable[[np.ndarray], list[Face]]


@dataclass
class Tally:
    """Counts over pictures."""

    pictures: int = 0
    faces: int = 0
    found: int = 0
    false: int = 0
    landmark_error: float = 0.0

    def add(self, detections: np.ndarray, points: np.ndarray, truth: dict[str, Tensor]) -> None:
        """Match the detections (K, 4) and key points (K, 5, 2) of one picture to its true faces."""
        boxes, wanted = truth["boxes"], truth["wanted"]
        self.pictures += 1
        self.faces += int(wanted.sum())
        if len(detections) == 0:
            return
        found = torch.from_numpy(detections)
        overlap = box_iou(found[:, None], boxes[None]) * wanted  # (K, G)
        free = share_inside(found, boxes[~wanted]) < 0.5  # on no face that may be missed
        for face in wanted.nonzero().flatten().tolist():
            best = int(overlap[:, face].argmax())
            if overlap[best, face] >= 0.5:
                self.found += 1
                self.landmark_error += landmark_error(points[best], truth["landmarks"][face])
                free[best], overlap[best] = False, 0.0
        self.false += int(free.sum())

    def describe(self) -> str:
        """One line of figures."""
        recall = 100 * self.found / max(1, self.faces)
        false = 100 * self.false / max(1, self.pictures)
        error = 100 * self.landmark_error / max(1, self.found)
        return (
            f"recall {recall:6.2f} % of {self.faces:4d} faces   false faces per 100 pictures {false:5.2f}"
            f"   key point error {error:4.1f} %"
        )


def share_inside(detections: Tensor, boxes: Tensor) -> Tensor:
    """Largest share of each detection's area (K, 4) that lies inside one of the boxes (G, 4): (K,)."""
    corners = torch.minimum(detections[:, None, 2:], boxes[None, :, 2:])
    overlap = (corners - torch.maximum(detections[:, None, :2], boxes[None, :, :2])).clamp(min=0).prod(-1)
    share = overlap / (detections[:, 2:] - detections[:, :2]).prod(-1, keepdim=True).clamp(min=1)
    return share.amax(1) if len(boxes) else torch.zeros(len(detections))


def landmark_error(points: np.ndarray, truth: Tensor) -> float:
    """Mean distance of five points (5, 2), as a share of the distance between the true eyes."""
    eyes = (truth[1] - truth[0]).norm().clamp(min=4)
    return float((torch.from_numpy(points) - truth).norm(dim=-1).mean() / eyes)


def picture_truth(boxes: Tensor, landmarks: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    """True faces of one picture; `wanted` says which have to be found."""
    exists = (boxes[:, 2:] > boxes[:, :2]).all(-1)
    return {"boxes": boxes[exists], "landmarks": landmarks[exists], "wanted": wanted[exists]}


def cached_pictures(pictures: Pictures, *, soft: bool) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """Pictures (3, H, W) in [0, 1] with their faces, as they are or softened."""
    generator = torch.Generator().manual_seed(1)
    chosen = torch.randperm(len(pictures), generator=generator)[:PICTURES]
    pictures = pictures.rows(chosen)
    frames = pictures.frames.float() / 255
    if soft:
        frames = torch.cat([Degradation()(part, generator) for part in frames.split(8)])
    side = frames.shape[-1]
    for frame, boxes, points in zip(frames, pictures.boxes, pictures.landmarks, strict=True):
        yield frame, picture_truth(boxes, points, boxes[:, 3] - boxes[:, 1] >= SMALLEST_SHARE * side)


def placed_pictures(pictures: Pictures, size: int) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """Pictures at any scale on another picture and a plain ground."""
    generator = torch.Generator().manual_seed(2)
    for _ in range(PICTURES // 8):
        front, back = (
            pictures.rows(torch.randint(len(pictures), (8,), generator=generator)) for _ in range(2)
        )
        batch = compose_canvases(front, back, size, generator)
        for i in range(8):
            wanted = batch["states"][i] == FACE
            yield batch["pictures"][i], picture_truth(batch["boxes"][i], batch["landmarks"][i], wanted)


def large_pictures() -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """Sharp portraits and scenes of two."""
    for seed, camera, people in ((11, "portrait", 1), (12, "video", 2)):
        scenes = sample_scenes(
            seed, LARGE_PICTURES // 2, split="test", num_people=people, num_frames=1, camera=camera
        )
        rendering = render(scenes, LARGE_SIZE, LARGE_SIZE)
        for i in range(LARGE_PICTURES // 2):
            boxes = rendering.face_boxes[i, 0]
            wanted = boxes[:, 3] - boxes[:, 1] >= SMALLEST_SHARE * LARGE_SIZE
            yield rendering.frames[i, 0], picture_truth(boxes, rendering.landmarks[i, 0], wanted)


def empty_pictures() -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """Places without people, and garments alone, softened."""
    scenes = sample_scenes(13, EMPTY_PICTURES // 2, split="test", num_frames=1)
    generator = torch.Generator().manual_seed(3)
    for empty in (scenes.without_people(), scenes.garments_only()):
        frames = render(empty, PICTURE_SIZE, PICTURE_SIZE).frames[:, 0]
        for part in frames.split(8):
            for frame in Degradation()(part, generator):
                yield frame, picture_truth(torch.zeros(0, 4), torch.zeros(0, 5, 2), torch.zeros(0).bool())


def measure(find: Search, pictures: Iterator[tuple[Tensor, dict[str, Tensor]]]) -> Tally:
    """Search pictures and count."""
    tally = Tally()
    for picture, truth in pictures:
        faces = find((picture.permute(1, 2, 0) * 255).round().byte().numpy())
        boxes = np.stack([face.box for face in faces]) if faces else np.zeros((0, 4), np.float32)
        points = np.stack([face.landmarks for face in faces]) if faces else np.zeros((0, 5, 2), np.float32)
        tally.add(boxes, points, truth)
    return tally


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pack", type=Path, default=Path("assets/embedded/face_pack"))
    parser.add_argument("--cache", type=Path, default=Path(".train/perception"))
    options = parser.parse_args(arguments)
    finder = FaceFinder(options.pack)

    def find_in_frame(frame: np.ndarray) -> list[Face]:
        face = finder.find_largest(frame)
        return [] if face is None else [face]

    pictures = load_pictures(options.cache, "test", 1)
    people = pictures.of_one_person()
    kinds: dict[str, tuple[Search, Iterator[tuple[Tensor, dict[str, Tensor]]]]] = {
        "frames": (find_in_frame, cached_pictures(people, soft=False)),
        "soft frames": (find_in_frame, cached_pictures(people, soft=True)),
        "pictures": (finder.find, cached_pictures(pictures, soft=False)),
        "soft": (finder.find, cached_pictures(pictures, soft=True)),
        "any scale": (finder.find, placed_pictures(pictures, CANVAS_SIZE)),
        "large, sharp": (finder.find, large_pictures()),
        "nobody": (finder.find, empty_pictures()),
    }
    for kind, (find, examples) in kinds.items():
        print(f"{kind:>12}: {measure(find, examples).describe()}", flush=True)


if __name__ == "__main__":
    main()
