"""Step 5b, from references to pairs of every kind, by the rules of `pairs`, `bands` and `order`.

Pre-training pairs stay in the clip. Cross-video and trade-off pairs take the references of another video that
lie nearest inside their band; trade-off pairs serve the best people by quality only. Of several people, no
two share a reference, and a clip needs enough of them to have one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from train.curation.bands import Band
from train.curation.mining import PAIR_KINDS, PairKind
from train.curation.models import BandName
from train.curation.neighbours import ReferenceIndex
from train.curation.order import has_enough_references
from train.curation.pairs import (
    Candidates,
    mean_embeddings,
    place_in_track,
    pre_training_pairs,
    trade_off_pairs,
)
from train.curation.rules import PairRules
from train.curation.tables import PAIRS

WHOLE_RANGE = Band(-1.0, 1.01)


@dataclass(frozen=True, eq=False)
class Cast:
    """Everybody of the clips that are kept, and their references; T people, N references, D embedding.

    Attributes:
        people: rows of the table, with the clip's `flow` and `aesthetics`, T.
        references: names and videos, N.
        embeddings: (N, D) float32.
        tracks: whose each reference is, (N,) int64.
        clips, videos: of the people, as numbers, (T,) int64; reference_videos: of the references, (N,) int64.
    """

    people: pa.Table
    references: pa.Table
    embeddings: np.ndarray
    tracks: np.ndarray
    clips: np.ndarray
    videos: np.ndarray
    reference_videos: np.ndarray


def read_cast(folder: Path) -> Cast:
    """Everybody, from the tables in a folder."""
    clips = _kept(folder, "clips", ["clip", "video", "flow", "aesthetics"])
    people = _kept(folder, "people", ["person", "clip", "position", "area_share", "sharpness"])
    references = _kept(folder, "references", ["reference", "person", "video", "embedding"])
    flat = references["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    embeddings = flat.reshape(len(references), -1).astype(np.float32)  # Arrow's own may not be written to
    clip_of = _number(people["clip"], clips["clip"])
    names = clips["video"].unique()
    video_of_clip = _number(clips["video"], names)
    facts = clips.select(["flow", "aesthetics"]).take(pa.array(clip_of))
    for name in facts.column_names:
        people = people.append_column(name, facts[name])
    return Cast(
        people,
        references.drop_columns("embedding"),
        embeddings,
        _number(references["person"], people["person"]),
        clip_of,
        video_of_clip[clip_of] if len(clip_of) else clip_of,
        _number(references["video"], names),
    )


def _kept(folder: Path, name: str, columns: list[str]) -> pa.Table:
    kept = [("status", "=", "kept")]
    return pq.read_table(folder / f"{name}.parquet", columns=columns, filters=kept).combine_chunks()


def _number(values: pa.ChunkedArray, names: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Where each value stands among names, which hold them all, (len(values),) int64."""
    import pyarrow.compute as pc

    lookup = names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names
    return pc.index_in(values, lookup).to_numpy().astype(np.int64)


def mine(cast: Cast, bands: Mapping[BandName, Band], rules: PairRules) -> dict[PairKind, Candidates]:
    """Pairs (M, 2) of a person and a reference, of every kind, with their cosines."""
    tracks = torch.from_numpy(cast.tracks)
    means = mean_embeddings(torch.from_numpy(cast.embeddings), tracks, len(cast.people))
    own = pre_training_pairs(tracks)
    kinds: dict[PairKind, Candidates] = {"pre_training": Candidates(own, _cosines(own, means, cast))}
    if not len(tracks):
        return kinds | {kind: kinds["pre_training"] for kind in PAIR_KINDS[1:]}
    for kind, found in _search(cast, means.numpy(), bands, rules).items():
        kinds[kind] = found
    kinds["trade_off"] = _choose_best(kinds["trade_off"], cast, rules, means)
    return {kind: _finish(kinds[kind], cast) for kind in PAIR_KINDS}


def _search(
    cast: Cast, means: np.ndarray, bands: Mapping[BandName, Band], rules: PairRules
) -> dict[BandName, Candidates]:
    """What lies in the bands, nearest first."""
    index = ReferenceIndex(cast.embeddings, cast.reference_videos, exact_below=rules.exact_below)
    found: dict[BandName, list[Tensor]] = {name: [] for name in bands}
    cosines: dict[BandName, list[Tensor]] = {name: [] for name in bands}
    for part in index.search(means, cast.videos, bands, most=rules.neighbours):
        for name, pairs in part.items():
            found[name].append(torch.from_numpy(np.stack([pairs.queries, pairs.references], 1)))
            cosines[name].append(torch.from_numpy(pairs.cosines))
    candidates = {}
    for name in bands:
        pairs, near = torch.cat(found[name]), torch.cat(cosines[name])
        order = near.argsort(descending=True, stable=True)
        candidates[name] = Candidates(pairs[order], near[order])
    return candidates


def _choose_best(found: Candidates, cast: Cast, rules: PairRules, means: Tensor) -> Candidates:
    """The trade-off pairs of the best people, by sharpness, optical flow and, where known, aesthetics."""
    if not len(found.pairs):
        return found
    quality = {}
    for name in ("sharpness", "flow", "aesthetics"):
        column = torch.from_numpy(cast.people[name].to_numpy().astype(np.float32))
        if not column.isnan().all():
            quality[name] = column.nan_to_num(nan=-torch.inf)
    pairs = trade_off_pairs(
        found,
        WHOLE_RANGE,
        neighbours=rules.neighbours,
        area_shares=torch.from_numpy(cast.people["area_share"].to_numpy().astype(np.float32)),
        quality=quality,
        count=max(1, int(rules.trade_off_share * len(found.pairs[:, 0].unique()))),
    )
    return Candidates(pairs, _cosines(pairs, means, cast))


def _finish(found: Candidates, cast: Cast) -> Candidates:
    """Rules about several people; then by person, nearest first."""
    pairs, cosines = found.pairs, found.cosines
    order = cosines.argsort(descending=True, stable=True)
    pairs, cosines = pairs[order], cosines[order]
    clips = torch.from_numpy(cast.clips)
    # Two people of a clip who look alike would be given the same picture: it goes to the nearer one.
    _, place = torch.unique(clips[pairs[:, 0]] * len(cast.references) + pairs[:, 1], return_inverse=True)
    first = place_in_track(place) == 0
    pairs, cosines = pairs[first], cosines[first]
    kept = _clips_with_enough(pairs, cast)[clips[pairs[:, 0]]]
    pairs, cosines = pairs[kept], cosines[kept]
    order = pairs[:, 0].argsort(stable=True)
    return Candidates(pairs[order], cosines[order])


def _clips_with_enough(pairs: Tensor, cast: Cast) -> Tensor:
    """By clip, whether enough of its people have a reference, (clips,) bool."""
    clips = torch.from_numpy(cast.clips)
    served = torch.zeros(len(clips), dtype=torch.bool)
    served[pairs[:, 0]] = True
    num_clips = int(clips.max()) + 1
    people, with_reference = (
        torch.bincount(clips[rows], minlength=num_clips) for rows in (slice(None), served)
    )
    enough = torch.zeros(num_clips, dtype=torch.bool)
    for count in people.unique().tolist():
        has = torch.arange(count)[None] < with_reference[people == count][:, None]
        enough[people == count] = has_enough_references(has)
    return enough


def _cosines(pairs: Tensor, means: Tensor, cast: Cast) -> Tensor:
    """Of each pair's person and reference, (M,)."""
    return (means[pairs[:, 0]] * torch.from_numpy(cast.embeddings[pairs[:, 1].numpy()])).sum(1)


def write_pairs(
    found: Mapping[PairKind, Candidates], cast: Cast, folder: Path
) -> Iterator[tuple[PairKind, int]]:
    """Write a table for each kind; yields how many pairs it has."""
    for kind, candidates in found.items():
        person, reference = (pa.array(column.numpy()) for column in candidates.pairs.unbind(1))
        people, references = cast.people.take(person), cast.references.take(reference)
        table = pa.table(
            {
                "clip": people["clip"],
                "person": people["person"],
                "position": people["position"],
                "reference": references["reference"],
                "reference_video": references["video"],
                "cosine": candidates.cosines.numpy(),
                "rank": place_in_track(candidates.pairs[:, 0]).numpy(),
            }
        ).cast(PAIRS)
        pq.write_table(table, folder / f"pairs_{kind}.parquet", compression="zstd")
        yield kind, len(table)
