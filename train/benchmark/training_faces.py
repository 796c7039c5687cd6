"""Everybody the shipped models have learned from: faces by which a benchmark is decontaminated.

The perception models' pictures are stored (`train.perception.picture_cache`); of the transformer's footage
only latents are, with the identity seeds of the people in it (`train.footage.latents`), of whom a portrait is
drawn again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from concat_id.people import Scenes, render, sample_scenes
from train.curation.recognition import FaceEmbedder
from train.perception.picture_cache import PICTURE_SIZE, load_pictures

DRAWN_AT_ONCE = 60
# Looking at the camera
PORTRAIT = {"num_frames": 1, "camera": "portrait", "motions": "still", "headwear": "none"}
EMBEDDED_AT_ONCE = 256


@dataclass(frozen=True)
class Faces:
    """Pictures of one face each.

    Attributes:
        frames: (N, 3, H, W) uint8.
        embeddings: unit vectors (N, D).
    """

    frames: Tensor
    embeddings: Tensor

    def __len__(self) -> int:
        return len(self.frames)


def embed_faces(frames: Tensor, landmarks: Tensor, embedder: FaceEmbedder) -> Faces:
    """Args: frames (N, 3, H, W) uint8, landmarks (N, 5, 2) px, a pixel's centre on whole numbers."""
    parts = zip(frames.split(EMBEDDED_AT_ONCE), landmarks.split(EMBEDDED_AT_ONCE), strict=True)
    return Faces(frames, torch.cat([embedder(part.float() / 255, points) for part, points in parts]))


def read_people(folder: Path) -> set[int]:
    """The identity seeds of all who were filmed for a folder of `python -m train.footage.latents`."""
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise FileNotFoundError(
            f"No latents in {folder}; name the folders that the transformer was trained on."
        )
    people = set()
    for path in paths:
        with safe_open(path, "pt") as shard:
            metadata = shard.metadata()
        if "people" not in metadata:
            raise ValueError(f"{path} does not say who is in it; make it again by `train.footage.latents`.")
        people.update(json.loads(metadata["people"]))
    return people


def take_portraits(parts: Iterable[Scenes], size: int, embedder: FaceEmbedder) -> Faces:
    """Pictures, `size` px high and wide, of scenes that are sampled as `PORTRAIT`."""
    frames, landmarks = [], []
    for scenes in parts:
        rendering = render(scenes, size, size)
        frames.append((rendering.frames[:, 0] * 255).round().byte())
        landmarks.append(rendering.landmarks[:, 0, 0])
    return embed_faces(torch.cat(frames), torch.cat(landmarks), embedder)


def draw_portraits(people: Sequence[int], embedder: FaceEmbedder) -> Faces:
    """People by their identity seeds, as the perception models' pictures are wide."""
    parts = torch.tensor(people).split(DRAWN_AT_ONCE)
    scenes = (sample_scenes(0, len(part), identity_seeds=part[:, None], **PORTRAIT) for part in parts)
    return take_portraits(scenes, PICTURE_SIZE, embedder)


def load_training_faces(
    latents: Sequence[Path], cache: Path, num_chunks: int, embedder: FaceEmbedder
) -> Faces:
    """The faces of the transformer's footage and of the perception models' first chunks of pictures."""
    people = set().union(*(read_people(folder) for folder in latents))
    portraits = draw_portraits(sorted(people), embedder)
    pictures = load_pictures(cache, "train", num_chunks).of_one_person()
    shown = embed_faces(pictures.frames, pictures.landmarks[:, 0], embedder)
    return Faces(
        torch.cat([portraits.frames, shown.frames]), torch.cat([portraits.embeddings, shown.embeddings])
    )
