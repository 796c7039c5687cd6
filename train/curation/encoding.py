"""Encodes a dataset for training: clips, references and captions, each once, by workers as in the engine.

What is encoded already is not encoded again: a run that was broken off goes on, other sizes redo the
pictures alone, and more versions or new footage add to what is there.
"""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import transformers.utils.logging
from tqdm import tqdm

from concat_id.errors import InputError
from train.curation.encoder import Caption, ClipVersion, Encoder, Item, Kind, ReferenceVersion, tag_encodings
from train.curation.encodings import find_missing, sweep_encodings, write_index, write_shard
from train.curation.engine import locked, read_preset, started_ray
from train.curation.job import Rows
from train.curation.mining import PAIR_KINDS
from train.curation.training_clips import Example, Format, NothingToTrainOn, read_examples

if TYPE_CHECKING:
    import ray.data

# For Wan 1.3B's 81 frames of 480 x 832 px, some 60 MB each.
ITEMS_PER_SHARD: dict[Kind, int] = {"captions": 128, "references": 256, "clips": 16}
KINDS: tuple[Kind, ...] = tuple(ITEMS_PER_SHARD)


def encode_dataset(
    dataset: Path,
    model: Path,
    *,
    shape: Format,
    versions: int = 2,
    workers: int = 1,
    address: str | None = None,
    gpus_per_worker: float = 0.0,
) -> dict[Kind, int]:
    """Encode what training may ask for, or bring it up to date.

    Args:
        dataset: as `python -m train.curation run` made it.
        model: a diffusers folder on Wan or CogVideoX.
        shape: what the model takes.
        versions: of each clip, parts that begin elsewhere, and of each reference, under other noise.
        workers, address, gpus_per_worker: see `engine.curate`.

    Returns:
        How many items of each kind there are.

    Raises:
        InputError: something about the dataset, the model or the settings; nothing was encoded then.
    """
    read_preset(dataset)
    for name, value, least in (("workers", workers, 0), ("versions", versions, 1)):
        if value < least:
            raise InputError(f"{name} is {value}, but must be {least} or more.")
    tags = tag_encodings(model, shape)
    items = list_items(read_all_examples(dataset, shape), versions)
    with locked(dataset):
        sweep_encodings(dataset, tags, items)
        missing = find_missing(dataset, tags, items)
        encode = EncodeShards(dataset, model, shape, "cuda" if gpus_per_worker else "cpu")
        with tqdm(total=len(items), initial=len(items) - len(missing), desc="Encoded", unit="item") as bar:
            for done in _run(encode, split(missing), workers, address, gpus_per_worker):
                bar.update(done)
        write_index(dataset, tags)
    return {kind: sum(item.kind == kind for item in items) for kind in KINDS}


def read_all_examples(dataset: Path, shape: Format) -> list[Example]:
    """The examples of all kinds of pairs that there are. Raises: NothingToTrainOn: of none."""
    examples: list[Example] = []
    for kind in PAIR_KINDS:
        try:
            examples += read_examples(dataset, kind, shape)
        except NothingToTrainOn:
            if kind == PAIR_KINDS[-1] and not examples:
                raise
    return examples


def list_items(examples: Sequence[Example], versions: int) -> list[Item]:
    """All that is drawn from when these examples are trained on, each once, by kind."""
    pictures = sorted(
        {own for example in examples for person in example.references for own in person}, key=str
    )
    spans = sorted({example.span for example in examples}, key=lambda span: span.clip)
    captions = sorted({"", *(example.caption for example in examples)})
    return [
        *(Caption(text) for text in captions),
        *(ReferenceVersion(*own, version) for own in pictures for version in range(versions)),
        *(ClipVersion(span, version) for span in spans for version in range(versions)),
    ]


def split(items: Sequence[Item]) -> list[list[Item]]:
    """The items of each shard to write.

    Whole shards of them may be missing, and the others stay the same: a run that goes on writes the shards
    that an undisturbed one does.
    """
    by_kind: dict[Kind, list[Item]] = defaultdict(list)
    for item in items:
        by_kind[item.kind].append(item)
    return [
        own[start : start + ITEMS_PER_SHARD[kind]]
        for kind, own in by_kind.items()
        for start in range(0, len(own), ITEMS_PER_SHARD[kind])
    ]


class EncodeShards:
    """Encodes a batch of shards and writes them; loads the model at the first one.

    Args:
        see `Encoder`.
    """

    def __init__(self, dataset: Path, model: Path, shape: Format, device: str) -> None:
        self.dataset, self.model, self.shape, self.device = dataset, model, shape, device
        self.tags = tag_encodings(model, shape)
        self.encoder: Encoder | None = None

    def __call__(self, batch: Rows) -> Rows:
        """Rows `done`, how many items a shard has.

        Args:
            batch: `items`, a pickled list for each shard.
        """
        return {"done": np.array([self.write(pickle.loads(items)) for items in batch["items"]])}

    def write(self, items: list[Item]) -> int:
        """Encode the items of one shard; how many they are."""
        if self.encoder is None:
            transformers.utils.logging.disable_progress_bar()
            self.encoder = Encoder(self.model, self.dataset, self.shape, device=self.device)
        encoded = {item: self.encoder.encode(item) for item in items}
        write_shard(self.dataset, self.tags[items[0].kind], encoded)
        return len(items)


def _run(
    encode: EncodeShards,
    shards: list[list[Item]],
    workers: int,
    address: str | None,
    gpus_per_worker: float,
) -> Iterator[int]:
    """Write the shards; how many items each has, as soon as it is written."""
    if not shards:
        return
    if workers == 0:
        yield from map(encode.write, shards)
        return
    with started_ray(workers, address):
        for batch in _compose(encode, shards, workers, gpus_per_worker).iter_batches(batch_size=None):
            yield int(batch["done"].sum())


def _compose(
    encode: EncodeShards, shards: list[list[Item]], workers: int, gpus_per_worker: float
) -> ray.data.Dataset:
    """The work as an operator of Ray Data: a block for each shard, so that no worker waits long."""
    import ray.data

    rows = [{"items": pickle.dumps(items)} for items in shards]
    return ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        EncodeShards,
        fn_constructor_args=(encode.dataset, encode.model, encode.shape, encode.device),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
        num_gpus=gpus_per_worker or None,
    )
