"""Batches of stored latents with their references, as the transformer's training takes them.

A source names a folder that `train.footage.latents` wrote, which pictures are given as references, and by
which kind of pairs the faces are chosen. References come in one order: faces from left to right, garment,
background. Every batch comes from one source, so that all its samples have the same number R of references.
Its keys: `latents` (B, C, F, H, W); `reference_latents` (B, C, R, H, W); `reference_mask` (B, R), 1 where
there is that reference; `faces` (B, F, H, W) in [0, 1]; `captions`, B strings; `task`, the roles as one
string; `takes`, how many in a row are retakes of one scene; in training `seed`, of what its step draws.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import lightning as L
import torch
from safetensors import safe_open
from torch import Generator, Tensor
from torch.utils.data import DataLoader, IterableDataset

from concat_id.references.reference import Role
from train.curation.mining import PairKind
from train.transformer.draws import batch_generators, draw_seed

ROLE_ORDER: tuple[Role, ...] = get_args(Role)
Batch = dict[str, Tensor | list[str] | str]


@dataclass(frozen=True)
class Source:
    """A folder of shards and how batches are drawn from it.

    Attributes:
        folder: as `python -m train.footage.latents` wrote it.
        batch_size: clips a batch, retakes among them.
        roles: of the references, in their order; as many faces as the folder's clips have people.
        pairs: where the faces come from.
        share: how often, relative to the other sources.
    """

    folder: str
    batch_size: int
    roles: tuple[Role, ...] = ("face",)
    pairs: PairKind = "pre_training"
    share: float = 1.0

    def __post_init__(self) -> None:
        in_order = tuple(sorted(self.roles, key=ROLE_ORDER.index))
        if in_order != tuple(self.roles) or "face" not in self.roles:
            raise ValueError(
                f"roles must be faces, then a garment, then a background, as far as there are any; "
                f"got {self.roles}."
            )

    @property
    def task(self) -> str:
        """The roles as one string, such as "face+background"."""
        return "+".join(self.roles)


class LatentFolder:
    """All shards of a folder, in memory.

    Attributes:
        columns: the shards' tensors by name, their numbers of pictures counted through.
        captions: by what pictures give, see `train.footage.latents`.
        takes: clips in a row that show the same but for what their captions tell, see
        `train.footage.retakes`.
    """

    def __init__(self, folder: Path) -> None:
        paths = sorted(Path(folder).glob("*.safetensors"))
        if not paths:
            raise FileNotFoundError(
                f"No latents in {folder}: make them with `python -m train.footage.latents --output {folder}`."
            )
        columns: dict[str, list[Tensor]] = {}
        self.captions: dict[str, list[str]] = {}
        self.takes = 1
        num_pictures = 0
        for path in paths:
            with safe_open(path, "pt") as shard:
                for name in shard.keys():  # noqa: SIM118, it is no dict
                    column = shard.get_tensor(name)
                    if column.dtype == torch.int32:
                        column = torch.where(column >= 0, column + num_pictures, -1)
                    columns.setdefault(name, []).append(column)
                metadata = shard.metadata()
                self.takes = int(metadata.get("takes", 1))
                for given, texts in json.loads(metadata["captions"]).items():
                    self.captions.setdefault(given, []).extend(texts)
            num_pictures += len(columns["pictures"][-1])
        self.columns = {name: torch.cat(column) for name, column in columns.items()}


class LatentPairs:
    """The clips of a folder that have the references a source asks for.

    They are counted by scenes: retakes of one are drawn together and get the same references.
    """

    def __init__(self, source: Source, folder: LatentFolder) -> None:
        columns = folder.columns
        num_people = columns["pairs.pre_training"].shape[1]
        if source.roles.count("face") != num_people:
            raise ValueError(
                f"roles of {source.folder} must name {num_people} faces, one for each person of its clips, "
                f"got {source.roles}."
            )
        if "garment" in source.roles and num_people > 1:
            raise ValueError(f"garments are stored of one person only; {source.folder} shows {num_people}.")
        tables = [columns[f"pairs.{source.pairs}"]]
        tables += [columns[f"{role}s"][:, None] for role in source.roles if role != "face"]
        widest = max(table.shape[2] for table in tables)
        padded = [torch.nn.functional.pad(t, (0, widest - t.shape[2]), value=-1) for t in tables]
        # Numbers of pictures for every reference, (V, R, K), those that are none last.
        candidates = torch.cat(padded, 1).sort(2, descending=True).values.long()
        has_faces = (candidates[:, :num_people, 0] >= 0).any(1)
        has_all_else = (candidates[:, num_people:, 0] >= 0).all(1)
        fits = (has_faces & has_all_else).view(-1, folder.takes).all(1)
        # Numbers of clips by scene and take, (S, takes).
        self.rows = fits.nonzero() * folder.takes + torch.arange(folder.takes)
        if not len(self.rows):
            raise ValueError(f"no clip of {source.folder} has {source.pairs} references for {source.roles}.")
        self.task, self.columns, self.candidates = source.task, columns, candidates
        self.captions = folder.captions["+".join(role for role in source.roles if role != "face")]

    def __len__(self) -> int:
        return len(self.rows)

    def scenes_in(self, num_clips: int) -> int:
        """How many scenes, with all their retakes, so many clips are; at least one."""
        return max(1, num_clips // self.rows.shape[1])

    def draw(self, numbers: Tensor, generator: Generator) -> Batch:
        """The batch of these scenes, for each reference one of its candidates at random (paper, stage I)."""
        rows, takes = self.rows[numbers].flatten(), self.rows.shape[1]
        candidates = self.candidates[self.rows[numbers, 0]]  # (B, R, K)
        count = (candidates >= 0).sum(2)
        chosen = (torch.rand(count.shape, generator=generator) * count).long()
        pictures = candidates.gather(2, chosen[:, :, None]).squeeze(2).clamp(min=0)
        pictures, count = pictures.repeat_interleave(takes, 0), count.repeat_interleave(takes, 0)
        return {
            "latents": self.columns["latents"][rows].float(),
            "reference_latents": self.columns["pictures"][pictures].float().transpose(1, 2),
            "reference_mask": (count > 0).float(),
            "faces": self.columns["faces"][rows].float() / 255,
            "captions": [self.captions[row] for row in rows.tolist()],
            "task": self.task,
            "takes": takes,
        }


def load_pairs(sources: list[Source]) -> list[LatentPairs]:
    """The clips of each source; a folder that serves several is read once."""
    folders = {source.folder: LatentFolder(Path(source.folder)) for source in sources}
    return [LatentPairs(source, folders[source.folder]) for source in sources]


class LatentBatches(IterableDataset):
    """Endless batches, each from one source, drawn by the sources' shares.

    Args:
        trainer: that takes them, if one does.
    """

    def __init__(self, sources: list[Source], trainer: L.Trainer | None) -> None:
        self.sources, self.pairs, self.trainer = sources, load_pairs(sources), trainer

    def __iter__(self) -> Iterator[Batch]:
        shares = torch.tensor([source.share for source in self.sources])
        for generator in batch_generators(self.trainer):
            index = int(torch.multinomial(shares, 1, generator=generator))
            pairs = self.pairs[index]
            count = pairs.scenes_in(self.sources[index].batch_size)
            numbers = torch.randint(len(pairs), (count,), generator=generator)
            yield pairs.draw(numbers, generator) | {"seed": draw_seed(generator)}


class LatentData(L.LightningDataModule):
    """Stored latents as training batches, and a fixed set of validation batches.

    Args:
        sources: where to draw from.
        validation: sources of the validation split.
        validation_batches: of each of them.
    """

    def __init__(self, sources: list[Source], validation: list[Source], validation_batches: int = 4) -> None:
        super().__init__()
        self.sources, self.validation, self.validation_batches = sources, validation, validation_batches

    def train_dataloader(self) -> DataLoader:
        return DataLoader(LatentBatches(self.sources, self.trainer), batch_size=None)

    def val_dataloader(self) -> DataLoader:
        batches = []
        for source, pairs in zip(self.validation, load_pairs(self.validation), strict=True):
            parts = torch.arange(len(pairs)).split(pairs.scenes_in(source.batch_size))[
                : self.validation_batches
            ]
            batches += [pairs.draw(part, torch.Generator().manual_seed(0)) for part in parts]
        return DataLoader(batches, batch_size=None)
