"""How many rows each step kept, and why it dropped the rest, counted from the tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from train.curation.mining import PAIR_KINDS


@dataclass(frozen=True)
class Step:
    """One step of the funnel.

    Attributes:
        title: of what is counted.
        rows, kept: how many came in, and how many went on.
        reasons: of those that did not, by reason, the most frequent first.
    """

    title: str
    rows: int
    kept: int
    reasons: dict[str, int]


def count_funnel(tables: Path) -> list[Step]:
    """The steps in order.

    Args:
        tables: the dataset's folder of tables.
    """
    titles = {"videos": "Files", "clips": "Clips", "people": "People", "references": "References"}
    steps = []
    for name, title in titles.items():
        columns = pq.read_table(tables / f"{name}.parquet", columns=["status", "reason"]).to_pydict()
        dropped = Counter(reason for reason in columns["reason"] if reason)
        kept = columns["status"].count("kept")
        steps.append(Step(title, len(columns["status"]), kept, dict(dropped.most_common())))
    return steps


def count_pairs(tables: Path) -> dict[str, tuple[int, int, int]]:
    """By kind of pairs: pairs, clips that have any, and references that serve."""
    counts = {}
    for kind in PAIR_KINDS:
        table = pq.read_table(tables / f"pairs_{kind}.parquet", columns=["clip", "reference"])
        counts[kind] = (len(table), len(table["clip"].unique()), len(table["reference"].unique()))
    return counts
