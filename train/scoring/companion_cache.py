"""What people wear and the places they are in, alone, kept on disk for the CLIP.

They belong to those scenes of the picture cache in which the camera films one person.

Axes: N scenes, H = W.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from concat_id.files.atomic import replacing
from concat_id.people import Scenes, Split, render
from concat_id.people.labels import CLOTH
from train.perception.picture_cache import BATCH, PICTURE_SIZE, SHOTS, chunk_scenes

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Companions:
    """A batch of garments and places.

    Attributes:
        garments: clothing alone, from the front, (N, 3, H, W) uint8.
        cloth: which pixels of it show the clothing, (N, H, W) bool.
        places: the places without people, (N, 3, H, W) uint8.
        garment_kinds, place_kinds: category numbers, (N,) int64.
        scenes: number of the scene in the picture cache, (N,) int64.
    """

    garments: Tensor
    cloth: Tensor
    places: Tensor
    garment_kinds: Tensor
    place_kinds: Tensor
    scenes: Tensor

    def __len__(self) -> int:
        return len(self.scenes)

    def rows(self, index: Tensor) -> Companions:
        """Those with these numbers."""
        return Companions(**{name: value[index] for name, value in vars(self).items()})


def take_companions(first: int, scenes: Scenes) -> Companions:
    """Render what goes with scenes of one person, numbered from `first`, at the clips' start."""
    start = scenes.at(torch.zeros(len(scenes), dtype=torch.long))
    garments = render(start.garments_only(), PICTURE_SIZE, PICTURE_SIZE)
    places = render(start.without_people(), PICTURE_SIZE, PICTURE_SIZE)
    return Companions(
        garments=(garments.frames[:, 0] * 255).round().byte(),
        cloth=garments.labels[:, 0] == CLOTH,
        places=(places.frames[:, 0] * 255).round().byte(),
        garment_kinds=scenes.outfit.garment[:, 0],
        place_kinds=scenes.place,
        scenes=torch.arange(len(scenes)) + first,
    )


def load_companions(folder: Path, split: Split, num_chunks: int) -> Companions:
    """Those of the first chunks of a split, rendered now where they are missing."""
    return _join([_load_or_take(folder, split, chunk) for chunk in range(num_chunks)])


def _load_or_take(folder: Path, split: Split, chunk: int) -> Companions:
    path = folder / split / f"companions_{chunk:04d}.pt"
    if not path.is_file():
        LOGGER.info("rendering %s", path)
        filmed = islice(chunk_scenes(split, chunk), SHOTS[0].scenes // BATCH)
        companions = _join([take_companions(first, scenes) for first, scenes, _ in filmed])
        with replacing(path) as unfinished:
            torch.save(vars(companions), unfinished)
    return Companions(**torch.load(path, weights_only=True))


def _join(parts: list[Companions]) -> Companions:
    return Companions(**{name: torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])})
