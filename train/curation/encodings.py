"""What was encoded of a dataset: shards of tensors, and an index that says in which shard each one lies.

    encoded/KIND/TAG/HASH.safetensors   tensors by their items' keys, see `encoder`
    encoded/index.parquet               kind, key and shard of each

A shard is whole or not there, and its name says by what it was encoded (the tag) and what it holds (the
hash). The index is made of the shards. Of captions the zeros at the end are left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from concat_id.files.atomic import replacing
from train.curation.encoder import Item, Kind
from train.curation.tables import TEXT, TableWriter

FOLDER, INDEX = "encoded", "index.parquet"
SCHEMA = pa.schema([("kind", TEXT), ("key", TEXT), ("shard", TEXT)])
OPEN_SHARDS = 256


class Encodings:
    """What was encoded of a dataset by one model; has the `encode` of an `Encoder`, and reads instead.

    Args:
        dataset: as `python -m train.curation encode` left it.
        tags: see `encoder.tag_encodings`; what was encoded by others is not there.
    """

    def __init__(self, dataset: Path, tags: Mapping[Kind, str]) -> None:
        self.folder, self.shard_of = dataset / FOLDER, {}
        if (self.folder / INDEX).is_file():
            rows = pq.read_table(self.folder / INDEX).to_pydict()
            for kind, key, shard in zip(rows["kind"], rows["key"], rows["shard"], strict=True):
                if shard.startswith(f"{kind}/{tags[kind]}/"):
                    self.shard_of[kind, key] = shard
        self._open = lru_cache(OPEN_SHARDS)(self._open)

    def has(self, items: Iterable[Item]) -> bool:
        """Whether all of these were encoded."""
        return all((item.kind, item.key) in self.shard_of for item in items)

    def encode(self, item: Item) -> Tensor:
        """What `Encoder.encode` made of an item."""
        shard = self._open(self.shard_of[item.kind, item.key])
        encoded = shard.get_tensor(item.key)
        if item.kind == "captions":
            num_tokens = int(shard.metadata()["num_tokens"])
            encoded = F.pad(encoded, (0, 0, 0, num_tokens - len(encoded)))
        return encoded

    def _open(self, shard: str) -> Any:
        return safe_open(self.folder / shard, "pt")


def write_shard(dataset: Path, tag: str, encoded: Mapping[Item, Tensor]) -> None:
    """Keep what items of one kind became, in one piece."""
    kind, metadata = next(iter(encoded)).kind, {}
    tensors = {item.key: tensor.contiguous() for item, tensor in encoded.items()}
    if kind == "captions":
        metadata["num_tokens"] = str(len(next(iter(tensors.values()))))
        tensors = {key: _without_zeros(tensor) for key, tensor in tensors.items()}
    name = hashlib.sha256("".join(tensors).encode()).hexdigest()[:32]
    with replacing(dataset / FOLDER / kind / tag / f"{name}.safetensors") as unfinished:
        save_file(tensors, unfinished, metadata=metadata)


def find_missing(dataset: Path, tags: Mapping[Kind, str], items: Sequence[Item]) -> list[Item]:
    """The items that no whole shard holds, in their order; shards that a disk has damaged are removed."""
    there = {(kind, key) for kind, key, _ in _list_encoded(dataset, tags)}
    return [item for item in items if (item.kind, item.key) not in there]


def write_index(dataset: Path, tags: Mapping[Kind, str]) -> None:
    """Write down what is in which shard."""
    with replacing(dataset / FOLDER / INDEX) as unfinished, TableWriter(unfinished, SCHEMA) as table:
        for row in _list_encoded(dataset, tags):
            table.add(dict(zip(SCHEMA.names, row, strict=True)))


def sweep_encodings(dataset: Path, tags: Mapping[Kind, str], items: Iterable[Item]) -> None:
    """Remove what is by other settings, what a run that was broken off was writing, and shards of which
    nothing is asked for any more."""
    wanted = {(item.kind, item.key) for item in items}
    for path in (dataset / FOLDER).glob("*/*/*"):
        if path.name.startswith(".") or path.parent.name != tags[path.parent.parent.name]:
            path.unlink()
    used = {shard for kind, key, shard in _list_encoded(dataset, tags) if (kind, key) in wanted}
    for path in (dataset / FOLDER).glob("*/*/*"):
        if path.relative_to(dataset / FOLDER).as_posix() not in used:
            path.unlink()


def _list_encoded(dataset: Path, tags: Mapping[Kind, str]) -> Iterable[tuple[Kind, str, str]]:
    """Kind, key and shard of all that was encoded by these settings."""
    for kind, tag in tags.items():
        for path in sorted((dataset / FOLDER / kind / tag).glob("*.safetensors")):
            try:
                with safe_open(path, "pt") as shard:
                    keys = list(shard.keys())
            except SafetensorError:
                path.unlink()
                continue
            yield from ((kind, key, f"{kind}/{tag}/{path.name}") for key in keys)


def _without_zeros(embeds: Tensor) -> Tensor:
    """Embeddings (L, D) up to the last that is not zero, at least one."""
    used = embeds.any(1).nonzero()
    return embeds[: max(1, int(used[-1]) + 1 if len(used) else 1)].clone()
