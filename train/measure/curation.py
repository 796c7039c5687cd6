"""How right a dataset of rendered footage is, against the truth that its films were made with.

    python -m train.measure.curation --dataset .train/footage/dataset --truth .train/footage/truth.json

Prints, for each kind of pairs, precision (the reference shows the person it serves) and completeness (of the
true pairs of a person and another video in the band, by the recogniser's own cosine, the share that is
found); in how many clips the people are told apart and ordered as they stood; which films of people were
dropped for what; and whether every unpleasant file was refused for its own reason.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

from train.curation.bands import CROSS_VIDEO, CROSS_VIDEO_STRICT, TRADE_OFF, Band, carry_over
from train.curation.mining import PAIR_KINDS
from train.curation.pairing import Cast, read_cast
from train.curation.rendered_footage import TrueFilm, read_truth

# Of a clip's length that one shot must cover: else it is of no one shot.
MIN_OVERLAP = 0.8


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    right: int
    total: int

    def __str__(self) -> str:
        share = f"{100 * self.right / self.total:.1f} %" if self.total else "none"
        return f"{share} ({self.right} of {self.total})"


def identify(dataset: Path, truth: list[TrueFilm]) -> dict[str, tuple[int, ...]]:
    """Who truly is in each clip that was kept, left to right; not those over a cut that was missed."""
    films = {film.name: film for film in truth}
    columns = ["clip", "video", "start_s", "end_s", "num_people"]
    clips = pq.read_table(
        dataset / "tables/clips.parquet", columns=columns, filters=[("status", "=", "kept")]
    )
    people = {}
    for clip in clips.to_pylist():
        length = clip["end_s"] - clip["start_s"]
        for shot in films[clip["video"]].shots:
            overlap = min(clip["end_s"], shot.end_s) - max(clip["start_s"], shot.start_s)
            if overlap >= MIN_OVERLAP * length:
                people[clip["clip"]] = shot.people
    return people


def true_identities(cast: Cast, people: dict[str, tuple[int, ...]]) -> np.ndarray:
    """Of everybody in a cast, (T,) int64; -1 where the clip shows other people than one shot does."""
    counts: dict[str, int] = {}
    rows = cast.people.select(["clip", "position"]).to_pylist()
    for row in rows:
        counts[row["clip"]] = max(counts.get(row["clip"], 0), row["position"] + 1)
    return np.array(
        [
            people[row["clip"]][row["position"]]
            if len(people.get(row["clip"], ())) >= counts[row["clip"]]
            else -1
            for row in rows
        ]
    )


def measure_pairs(dataset: Path, cast: Cast, identities: np.ndarray, kind: str) -> Share:
    """Of the pairs of a kind, those whose reference shows the person."""
    pairs = pq.read_table(
        dataset / f"tables/pairs_{kind}.parquet", columns=["person", "reference"]
    ).to_pydict()
    people = dict(zip(cast.people["person"].to_pylist(), identities.tolist(), strict=True))
    owners = dict(
        zip(cast.references["reference"].to_pylist(), identities[cast.tracks].tolist(), strict=True)
    )
    right = [
        people[person] == owners[reference] >= 0
        for person, reference in zip(pairs["person"], pairs["reference"], strict=True)
    ]
    return Share(sum(right), len(right))


def compare(cast: Cast, identities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of all people and references, and which truly are of one person in two videos, (T, N) each."""
    totals = np.zeros((len(identities), cast.embeddings.shape[1]), np.float32)
    np.add.at(totals, cast.tracks, cast.embeddings)
    means = totals / np.linalg.norm(totals, axis=1, keepdims=True)
    same = (identities[:, None] == identities[cast.tracks]) & (identities[:, None] >= 0)
    return means @ cast.embeddings.T, same & (cast.videos[:, None] != cast.reference_videos)


def measure_completeness(
    dataset: Path, cast: Cast, identities: np.ndarray, kind: str, band: Band
) -> tuple[Share, Share]:
    """Of the people with a true reference elsewhere in the band, and of all seen elsewhere, those with
    pairs."""
    cosines, same = compare(cast, identities)
    could = (same & (cosines >= band.low) & (cosines <= band.high)).any(1)
    served = set(
        pq.read_table(dataset / f"tables/pairs_{kind}.parquet", columns=["person"])["person"].to_pylist()
    )
    has = np.array([name in served for name in cast.people["person"].to_pylist()])
    return Share(int((has & could).sum()), int(could.sum())), Share(
        int((has & same.any(1)).sum()), int(same.any(1).sum())
    )


def carry_bands(cast: Cast, identities: np.ndarray) -> dict[str, Band]:
    """The paper's bands by rank (`train.curation.bands`) among true pairs of a person and another video."""
    cosines, same = compare(cast, identities)
    own = torch.from_numpy(cosines[same])
    bands = {"cross_video": CROSS_VIDEO, "cross_video_strict": CROSS_VIDEO_STRICT, "trade_off": TRADE_OFF}
    return {name: carry_over(band, own) for name, band in bands.items()} if len(own) else {}


def measure_order(cast: Cast, identities: np.ndarray) -> Share:
    """Of the clips of several people, those whose people stand as the truth says, by their looks alone.

    Who somebody is is read off the clips that show him alone: each place of a clip must look most like the
    person who stood there.
    """
    totals = np.zeros((len(identities), cast.embeddings.shape[1]), np.float32)
    np.add.at(totals, cast.tracks, cast.embeddings)
    means = totals / np.linalg.norm(totals, axis=1, keepdims=True)
    alone = np.bincount(cast.clips)[cast.clips] == 1
    right = total = 0
    for clip in np.unique(cast.clips[~alone]):
        own = np.flatnonzero(cast.clips == clip)
        known = [means[alone & (identities == who)] for who in identities[own]]
        if not all(len(rows) for rows in known):
            continue
        looks = np.stack([rows.mean(0) for rows in known])
        total += 1
        right += bool(((means[own] @ looks.T).argmax(1) == np.arange(len(own))).all())
    return Share(right, total)


def find_reasons(dataset: Path) -> dict[str, set[str | None]]:
    """By video, the reasons for which it or its clips were dropped; None for what was kept."""
    found: dict[str, set[str | None]] = {}
    for row in pq.read_table(
        dataset / "tables/videos.parquet", columns=["video", "status", "reason"]
    ).to_pylist():
        if row["status"] == "dropped":
            found.setdefault(row["video"], set()).add(row["reason"])
    for row in pq.read_table(dataset / "tables/clips.parquet", columns=["video", "reason"]).to_pylist():
        found.setdefault(row["video"], set()).add(row["reason"])
    return found


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    options = parser.parse_args(arguments)
    truth, cast = read_truth(options.truth), read_cast(options.dataset / "tables")
    identities = true_identities(cast, identify(options.dataset, truth))
    bands = json.loads((options.dataset / "dataset.json").read_text())["bands"]
    print(f"{len(cast.people)} people in kept clips, {len(cast.references)} references")
    for kind in PAIR_KINDS:
        print(f"{kind:>20}: precise {measure_pairs(options.dataset, cast, identities, kind)}", end="")
        if kind in bands:
            in_band, of_all = measure_completeness(
                options.dataset, cast, identities, kind, Band(*bands[kind])
            )
            print(f"; complete {in_band} in the band, {of_all} of all seen elsewhere", end="")
        print()
    for name, band in carry_bands(cast, identities).items():
        print(f"{name:>20}: by rank the band would be {band.low:.3f} to {band.high:.3f}")
    print(f"{'order':>20}: {measure_order(cast, identities)} clips of several people")
    reasons = find_reasons(options.dataset)
    truth = [film for film in truth if film.name in reasons]  # a dataset may be of a part of the footage
    films = [reasons.get(film.name, set()) for film in truth if film.reason is None]
    kept = sum(None in found for found in films)
    print(f"{'films of people':>20}: {Share(kept, len(films))} kept; dropped for", end=" ")
    lost = [reason for found in films if None not in found for reason in found]
    print(", ".join(f"{reason}: {lost.count(reason)}" for reason in sorted(set(lost))) or "nothing")
    bad = [film for film in truth if film.reason is not None]
    named = sum(reasons.get(film.name) == {film.reason} for film in bad)
    print(f"{'unpleasant files':>20}: {Share(named, len(bad))} refused for their own reason")
    for film in bad:
        if reasons.get(film.name) != {film.reason}:
            print(f"{'':>22}{film.name}: {film.reason} expected, got {reasons.get(film.name)}")


if __name__ == "__main__":
    main()
