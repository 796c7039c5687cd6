"""Rendered pictures of the synthetic people, kept on disk for the perception models.

A chunk holds 64 identities in several videos and portraits, some pictures with two and three people, and
places without people, all 128 px wide. The wardrobe holds garments alone, as wide. The album holds fewer
pictures of 512 px, with their detail. All are rendered on demand and never again; all about them follows from
the split and the chunk number.

Axes: N pictures, P = 3 slots for people, H = W.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from concat_id.files.atomic import replacing
from concat_id.people import SEED_RANGES, Scenes, Split, render, sample_scenes, write_captions

LOGGER = logging.getLogger(__name__)
PICTURE_SIZE = 128
CHUNK_IDENTITIES = 64
MAX_PEOPLE = 3
BATCH = 16
# Room for the numbers of a chunk's scenes, which are also their seeds.
SCENES_PER_CHUNK = 10_000
FRAMES_PER_SCENE = 2
NOBODY = -1


@dataclass(frozen=True)
class Shot:
    """One kind of picture in a chunk; of each scene two frames are taken, the clip's first and last."""

    scenes: int
    num_people: int = 1
    camera: str = "video"
    keeps_identity: bool = True
    content: Literal["people", "place", "garments"] = "people"


SHOTS: tuple[Shot, ...] = (
    Shot(scenes=CHUNK_IDENTITIES * 3),
    Shot(scenes=CHUNK_IDENTITIES, camera="portrait"),
    Shot(scenes=24, num_people=2, keeps_identity=False),
    Shot(scenes=8, num_people=3, keeps_identity=False),
    Shot(scenes=16, keeps_identity=False, content="place"),
)
ALBUM_SHOTS: tuple[Shot, ...] = (
    Shot(scenes=24, keeps_identity=False),
    Shot(scenes=16, camera="portrait", keeps_identity=False),
    Shot(scenes=24, num_people=2, keeps_identity=False),
    Shot(scenes=16, num_people=3, keeps_identity=False),
    Shot(scenes=16, keeps_identity=False, content="place"),
    Shot(scenes=32, keeps_identity=False, content="garments"),
)
ALBUM_SIZE = 512
ALBUM_SEED = 900_000_000
WARDROBE_SHOTS: tuple[Shot, ...] = (Shot(scenes=512, keeps_identity=False, content="garments"),)
WARDROBE_SEED = 950_000_000


@dataclass(frozen=True)
class Pictures:
    """A batch of pictures; a pixel's centre lies on whole numbers.

    Attributes:
        frames: (N, 3, H, W) uint8.
        labels: face-parsing labels, (N, H, W) uint8.
        boxes: face boxes x1, y1, x2, y2 in px, zero where there is nobody, (N, P, 4).
        landmarks: (N, P, 5, 2) in px.
        identities: number of the identity, NOBODY for empty slots and uncounted people, (N, P) int64.
        present: whether the slot holds a person, (N, P) bool.
        scenes: pictures of one scene share this number, (N,) int64.
    """

    frames: Tensor
    labels: Tensor
    boxes: Tensor
    landmarks: Tensor
    identities: Tensor
    present: Tensor
    scenes: Tensor

    def __len__(self) -> int:
        return len(self.frames)

    def rows(self, index: Tensor) -> Pictures:
        """The pictures with these numbers."""
        return Pictures(**{name: value[index] for name, value in vars(self).items()})

    def of_one_person(self) -> Pictures:
        """The pictures that show one counted person alone."""
        counted = (self.identities[:, 0] != NOBODY) & self.present[:, 0]
        return self.rows(counted.nonzero().squeeze(1))


def join_pictures(parts: list[Pictures]) -> Pictures:
    """All pictures of the parts, in order."""
    return Pictures(**{name: torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])})


def chunk_scenes(split: Split, chunk: int) -> Iterator[tuple[int, Scenes, Tensor]]:
    """Batches of a chunk's scenes: number of the first, the scenes, and who counts in them, (B, P) int64."""
    first = chunk * SCENES_PER_CHUNK
    for shot in SHOTS:
        for start in range(0, shot.scenes, BATCH):
            count = min(BATCH, shot.scenes - start)
            numbers = torch.arange(start, start + count) % CHUNK_IDENTITIES + chunk * CHUNK_IDENTITIES
            seeds = SEED_RANGES[split][0] + numbers[:, None] if shot.keeps_identity else None
            nobody = torch.full((count, shot.num_people), NOBODY)
            scenes = _sample_shot(shot, first, count, split, FRAMES_PER_SCENE, seeds)
            yield first, scenes, numbers[:, None] if shot.keeps_identity else nobody
            first += count


def still_scenes(shots: tuple[Shot, ...], first: int, split: Split) -> Iterator[tuple[int, Scenes, Tensor]]:
    """As `chunk_scenes`, for album and wardrobe: one frame of each scene, nobody counts."""
    for shot in shots:
        yield first, _sample_shot(shot, first, shot.scenes, split, 1), torch.full((shot.scenes, 1), NOBODY)
        first += shot.scenes


def _sample_shot(
    shot: Shot, seed: int, count: int, split: Split, num_frames: int, identity_seeds: Tensor | None = None
) -> Scenes:
    scenes = sample_scenes(
        seed,
        count,
        split=split,
        num_people=shot.num_people,
        num_frames=num_frames,
        camera=shot.camera,
        identity_seeds=identity_seeds,
    )
    alone = {"people": scenes, "place": scenes.without_people()}
    return scenes.garments_only() if shot.content == "garments" else alone[shot.content]


def take_pictures(first: int, scenes: Scenes, counted: Tensor, *, size: int = PICTURE_SIZE) -> Pictures:
    """Render scenes as single pictures; see `chunk_scenes`."""
    rendering = render(scenes, size, size)
    clips, frames, people = rendering.face_boxes.shape[:3]
    boxes = F.pad(rendering.face_boxes.flatten(0, 1), (0, 0, 0, MAX_PEOPLE - people))
    landmarks = F.pad(rendering.landmarks.flatten(0, 1), (0, 0, 0, 0, 0, MAX_PEOPLE - people))
    identities = F.pad(counted, (0, MAX_PEOPLE - counted.shape[1]), value=NOBODY)
    present = (boxes[..., 2:] > boxes[..., :2]).all(-1) & (scenes.content == "full")
    return Pictures(
        frames=(rendering.frames.flatten(0, 1) * 255).round().byte(),
        labels=rendering.labels.flatten(0, 1),
        boxes=torch.where(present[..., None], boxes, 0.0),
        landmarks=landmarks,
        identities=identities.repeat_interleave(frames, 0),
        present=present,
        scenes=(torch.arange(clips) + first).repeat_interleave(frames),
    )


def write_chunk_captions(split: Split, num_chunks: int) -> dict[int, str]:
    """Captions of the first chunks' scenes, by the scene's number."""
    captions: dict[int, str] = {}
    for chunk in range(num_chunks):
        for first, scenes, _ in chunk_scenes(split, chunk):
            captions.update(enumerate(write_captions(scenes, first), start=first))
    return captions


def load_pictures(folder: Path, split: Split, num_chunks: int) -> Pictures:
    """The first chunks of a split, rendered now where they are missing."""
    return join_pictures(
        [
            _load_or_take(folder / split / f"chunk_{chunk:04d}.pt", chunk_scenes(split, chunk), PICTURE_SIZE)
            for chunk in range(num_chunks)
        ]
    )


def load_album(folder: Path, split: Split) -> Pictures:
    """The large pictures of a split, rendered now if they are missing."""
    scenes = still_scenes(ALBUM_SHOTS, ALBUM_SEED, split)
    return _load_or_take(folder / split / "album.pt", scenes, ALBUM_SIZE)


def load_wardrobe(folder: Path, split: Split) -> Pictures:
    """The garments alone of a split, rendered now if they are missing; scenes count from WARDROBE_SEED."""
    scenes = still_scenes(WARDROBE_SHOTS, WARDROBE_SEED, split)
    return _load_or_take(folder / split / "wardrobe.pt", scenes, PICTURE_SIZE)


def _load_or_take(path: Path, batches: Iterator[tuple[int, Scenes, Tensor]], size: int) -> Pictures:
    if not path.is_file():
        LOGGER.info("rendering %s", path)
        pictures = join_pictures([take_pictures(*batch, size=size) for batch in batches])
        with replacing(path) as unfinished:
            torch.save(vars(pictures), unfinished)
    return Pictures(**torch.load(path, weights_only=True))
