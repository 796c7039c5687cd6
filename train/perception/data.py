"""Training batches of the perception models, drawn from the picture cache.

Every module renders its chunks once into `.train/perception/` (the first run takes as long as the rendering
does) and makes its examples batch by batch with torch operations, in the training process.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lightning as L
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset

from train.perception.clothes_parser import relabel
from train.perception.detection_canvas import compose_canvases
from train.perception.parser import INPUT_SIZE as PARSER_SIZE
from train.perception.picture_cache import (
    WARDROBE_SEED,
    Pictures,
    join_pictures,
    load_album,
    load_pictures,
    load_wardrobe,
)
from train.pictures.alignment import align_faces
from train.pictures.degradation import Degradation

CANVAS_SIZES: tuple[int, ...] = (128, 128, 128, 160, 192, 256, 320, 320, 320, 448, 640)
REFERENCE_CANVAS = 160
ALBUM_SHARE = 0.4
# Of a batch for the clothes parser.
CONTENT_SHARES = {"place": 0.12, "one person": 0.43, "two people": 0.17, "three people": 0.08, "garment": 0.2}
CUT_OUT_SHARE = 0.5


class Batches(IterableDataset):
    """An endless, or a fixed number of, batches made by a data module."""

    def __init__(self, data: PerceptionData, pictures: Pictures, seed: int, length: int | None) -> None:
        self.data, self.pictures, self.seed, self.length = data, pictures, seed, length

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        generator = torch.Generator().manual_seed(self.seed)
        made = 0
        while self.length is None or made < self.length:
            yield self.data.make_batch(self.pictures, generator)
            made += 1


class PerceptionData(L.LightningDataModule):
    """Base: loads the cache and hands out batches; subclasses say what a batch is."""

    degradation = Degradation()

    def __init__(
        self,
        folder: str = ".train/perception",
        num_chunks: int = 40,
        num_validation_chunks: int = 1,
        batch_size: int = 32,
        validation_batches: int = 8,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.folder, self.batch_size, self.seed = Path(folder), batch_size, seed
        self.num_chunks, self.num_validation_chunks = num_chunks, num_validation_chunks
        self.validation_batches = validation_batches

    def setup(self, stage: str) -> None:
        self.train_pictures = self.select(load_pictures(self.folder, "train", self.num_chunks))
        self.validation_pictures = self.select(
            load_pictures(self.folder, "validation", self.num_validation_chunks)
        )

    def select(self, pictures: Pictures) -> Pictures:
        """The pictures this model learns from."""
        return pictures

    def make_batch(self, pictures: Pictures, generator: torch.Generator) -> dict[str, Tensor]:
        """One batch drawn from the pictures."""
        raise NotImplementedError

    def draw(self, pictures: Pictures, count: int, generator: torch.Generator) -> Pictures:
        """Some of the pictures, with repetition."""
        return pictures.rows(torch.randint(len(pictures), (count,), generator=generator))

    def train_dataloader(self) -> DataLoader:
        """Other batches after every resumption: the seed moves on with the steps already taken."""
        seed = self.seed + self.trainer.global_step
        return DataLoader(Batches(self, self.train_pictures, seed, None), batch_size=None)

    def val_dataloader(self) -> DataLoader:
        batches = Batches(self, self.validation_pictures, self.seed, self.validation_batches)
        return DataLoader(batches, batch_size=None)


class DetectionData(PerceptionData):
    """Canvases with faces of all sizes; `batch_size` counts canvases of 160 px, larger ones are fewer.

    Two batches of five show the large pictures of the album, half of them at their own size: there the
    patterns of cloth are as sharp as in a visitor's picture.
    """

    def setup(self, stage: str) -> None:
        super().setup(stage)
        self.train_album, self.validation_album = (
            load_album(self.folder, split) for split in ("train", "validation")
        )

    def make_batch(self, pictures: Pictures, generator: torch.Generator) -> dict[str, Tensor]:
        size = CANVAS_SIZES[torch.randint(len(CANVAS_SIZES), (), generator=generator)]
        count = max(2, round(self.batch_size * (REFERENCE_CANVAS / size) ** 2))
        from_album = torch.rand((), generator=generator) < ALBUM_SHARE
        album = self.train_album if pictures is self.train_pictures else self.validation_album
        back = self.draw(album if from_album else pictures, count, generator)
        front = self.draw(pictures, count, generator)
        batch = compose_canvases(front, back, size, generator, details=0.5 if from_album else 0.0)
        return {**batch, "pictures": self.degradation(batch["pictures"], generator)}


class OnePerson(PerceptionData):
    """Base of the models that look at one aligned face."""

    def select(self, pictures: Pictures) -> Pictures:
        return pictures.of_one_person()

    def jitter(self, landmarks: Tensor, generator: torch.Generator, amount: float) -> Tensor:
        """Landmarks (B, 5, 2) as a detector might report them: off by a share of the eyes' distance."""
        unit = (landmarks[:, 1] - landmarks[:, 0]).norm(dim=-1)[:, None, None].clamp(min=4)
        together = torch.randn(len(landmarks), 1, 2, generator=generator)
        apart = torch.randn(landmarks.shape, generator=generator)
        return landmarks + amount * unit * (together + apart)


class RecognitionData(OnePerson):
    """Aligned crops and the number of the person; colours hardly change, for they tell people apart."""

    degradation = Degradation(
        brightness=0.06, contrast=0.12, saturation=0.12, tint=0.04, softness=2.5, noise=0.02, compression=0.08
    )

    def make_batch(self, pictures: Pictures, generator: torch.Generator) -> dict[str, Tensor]:
        drawn = self.draw(pictures, self.batch_size, generator)
        landmarks = self.jitter(drawn.landmarks[:, 0], generator, 0.04)
        crops = align_faces(drawn.frames.float() / 255, landmarks)
        return {"crops": self.degradation(crops, generator), "identities": drawn.identities[:, 0]}


class ParsingData(OnePerson):
    """Aligned crops with their labels, framed a little closer or wider than `norm_crop` does."""

    degradation = Degradation(softness=2.0, compression=0.06)

    def make_batch(self, pictures: Pictures, generator: torch.Generator) -> dict[str, Tensor]:
        drawn = self.draw(pictures, self.batch_size, generator)
        landmarks = self.jitter(drawn.landmarks[:, 0], generator, 0.04)
        landmarks = widen(landmarks, torch.empty(len(drawn), 1, 1).uniform_(0.9, 1.5, generator=generator))
        crops = align_faces(drawn.frames.float() / 255, landmarks, PARSER_SIZE)
        labels = align_faces(drawn.labels[:, None].float(), landmarks, PARSER_SIZE, mode="nearest")
        return {"pixel_values": self.degradation(crops, generator), "labels": labels[:, 0].long()}


class ClothesData(PerceptionData):
    """Whole pictures of people, places and garments alone, with the clothes parser's labels.

    Half of the garments lie on a plain ground of any colour, as pictures that were cut out before do.
    """

    degradation = Degradation(softness=2.0, compression=0.06)

    def setup(self, stage: str) -> None:
        super().setup(stage)
        self.train_pictures, self.validation_pictures = (
            join_pictures([pictures, load_wardrobe(self.folder, split)])
            for pictures, split in ((self.train_pictures, "train"), (self.validation_pictures, "validation"))
        )

    def draw(self, pictures: Pictures, count: int, generator: torch.Generator) -> Pictures:
        """Some of the pictures, with repetition, every content in its share."""
        is_garment = pictures.scenes >= WARDROBE_SEED
        content = torch.where(is_garment, len(CONTENT_SHARES) - 1, pictures.present.sum(1))
        weights = torch.tensor(list(CONTENT_SHARES.values())) / content.bincount(
            minlength=len(CONTENT_SHARES)
        )
        return pictures.rows(torch.multinomial(weights[content], count, True, generator=generator))

    def make_batch(self, pictures: Pictures, generator: torch.Generator) -> dict[str, Tensor]:
        drawn = self.draw(pictures, self.batch_size, generator)
        frames, labels = drawn.frames.float() / 255, relabel(drawn.labels)
        cut_out = torch.rand(len(drawn), generator=generator) < CUT_OUT_SHARE
        plain = torch.rand(len(drawn), 3, 1, 1, generator=generator).expand_as(frames)
        ground = (labels == 0) & (cut_out & (drawn.scenes >= WARDROBE_SEED)).view(-1, 1, 1)
        frames = torch.where(ground[:, None], plain, frames)
        frames, labels = frame_anew(frames, labels, generator)
        return {"pixel_values": self.degradation(frames, generator), "labels": labels}


def widen(landmarks: Tensor, factor: float | Tensor) -> Tensor:
    """Landmarks (B, 5, 2) pushed away from their middle: a crop aligned by them shows that much more."""
    middle = landmarks.mean(1, keepdim=True)
    return middle + (landmarks - middle) * factor


def frame_anew(frames: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures (B, 3, H, W) with their labels (B, H, W) closer or wider, squeezed, moved, some mirrored."""

    def draw(low: float, high: float) -> Tensor:
        return torch.empty(len(frames)).uniform_(low, high, generator=generator)

    zoom, squeeze = draw(-0.6, 0.25).exp(), draw(-0.3, 0.3).exp()
    # Shown is the share of the picture from -1 to 1 in which x and y are at most so large.
    share_x, share_y = (zoom * squeeze).clamp(max=1.4), (zoom / squeeze).clamp(max=1.4)
    mirrored = torch.where(draw(0, 1) < 0.5, -1.0, 1.0)
    matrix = torch.zeros(len(frames), 2, 3)
    matrix[:, 0, 0], matrix[:, 1, 1] = share_x * mirrored, share_y
    matrix[:, 0, 2] = (1 - share_x).abs() * draw(-1, 1)
    matrix[:, 1, 2] = (1 - share_y).abs() * draw(-1, 1)
    grid = F.affine_grid(matrix, list(frames.shape), align_corners=False)
    # Beyond the border the outermost pixels go on, and their labels with them.
    framed = F.grid_sample(frames, grid, padding_mode="border", align_corners=False)
    relabelled = F.grid_sample(
        labels[:, None].float(), grid, mode="nearest", padding_mode="border", align_corners=False
    )
    return framed, relabelled[:, 0].round().long()
