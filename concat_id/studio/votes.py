"""Votes of people who compared videos without knowing which is which, and what they add up to.

One SQLite file takes the votes of all visitors. It names settings and digests only: neither prompts nor
pictures, and no names of runs, which would open them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

# As in the user study of the Concat-ID paper.
CRITERIA = {
    "identity": "Identity consistency",
    "motion": "Facial motion alignment",
    "naturalness": "Naturalness",
}
# Of a standard normal distribution: 95 % lie within.
Z = 1.959964
BUSY_S = 30.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS votes (
    voter TEXT NOT NULL,
    pair TEXT NOT NULL,
    criterion TEXT NOT NULL,
    first TEXT NOT NULL,
    second TEXT NOT NULL,
    first_won INTEGER NOT NULL,
    time TEXT NOT NULL,
    PRIMARY KEY (voter, pair, criterion)
)
"""
_COLUMNS = ("time", "voter", "pair", "criterion", "first", "second", "first_won")


@dataclass(frozen=True)
class Candidate:
    """One of the videos that were compared: which it is, and the settings under test."""

    run: str
    settings: str


@dataclass(frozen=True)
class Tally:
    """How two settings fare against each other by one criterion."""

    criterion: str
    first: str
    second: str
    first_wins: int
    votes: int

    @property
    def share(self) -> float:
        """Of the votes for the first, 0 to 1."""
        return self.first_wins / self.votes

    @property
    def interval(self) -> tuple[float, float]:
        """The share's 95 % confidence interval."""
        return wilson_interval(self.first_wins, self.votes)


@dataclass(frozen=True)
class Ballots:
    """All votes, in one file that is made at the first vote."""

    path: Path

    def cast(self, voter: str, choices: Mapping[str, str], candidates: Iterable[Candidate]) -> bool:
        """Store one person's votes; of each pair, only the first ones count, as later ones are not blind.

        Args:
            voter: token of who votes.
            choices: for each criterion, the run of the candidate that is the best.
            candidates: all that were on screen; the best wins against each of the others.

        Returns:
            Whether anything was new.
        """
        candidates = list(candidates)
        rows = [
            row
            for criterion, best in choices.items()
            for row in _pair_rows(_digest(voter), criterion, best, candidates)
        ]
        with self._connect() as connection:
            before = connection.total_changes
            marks = ", ".join("?" * len(_COLUMNS))
            connection.executemany(
                f"INSERT OR IGNORE INTO votes ({', '.join(_COLUMNS)}) VALUES ({marks})", rows
            )
            return connection.total_changes > before

    def tally(self) -> list[Tally]:
        """Every pair of settings by every criterion, the most voted on first."""
        query = (
            "SELECT criterion, first, second, SUM(first_won), COUNT(*) FROM votes "
            "GROUP BY first, second, criterion"
        )
        rows = [Tally(*row) for row in self._read(query)]
        totals: dict[tuple[str, str], int] = {}
        for row in rows:
            totals[row.first, row.second] = totals.get((row.first, row.second), 0) + row.votes
        criteria = list(CRITERIA)
        return sorted(
            rows,
            key=lambda row: (
                -totals[row.first, row.second],
                row.first,
                row.second,
                criteria.index(row.criterion),
            ),
        )

    def to_csv(self) -> str:
        """All votes, a line each, the oldest first."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        rows = self._read(f"SELECT {', '.join(_COLUMNS)} FROM votes ORDER BY time, rowid")
        writer.writerows([_plain(value) for value in row] for row in rows)
        return text.getvalue()

    def _read(self, query: str) -> list[tuple]:
        """The rows of a query; none before the first vote."""
        if not self.path.exists():
            return []
        with self._connect() as connection:
            return connection.execute(query).fetchall()

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        """A connection of this thread's own, waiting for others that write; all is stored, or nothing."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=BUSY_S)) as connection, connection:
            connection.execute(_SCHEMA)
            yield connection


def _pair_rows(voter: str, criterion: str, best: str, candidates: list[Candidate]) -> Iterator[tuple]:
    """The best against each of the others, in an order that does not depend on what was shown where."""
    (winner,) = (candidate for candidate in candidates if candidate.run == best)
    time = datetime.now(UTC).isoformat(timespec="seconds")
    for other in candidates:
        if other is winner:
            continue
        first, second = sorted((winner, other), key=lambda candidate: (candidate.settings, candidate.run))
        pair = _digest(*sorted((first.run, second.run)))
        yield time, voter, pair, criterion, first.settings, second.settings, int(first is winner)


def _digest(*names: str) -> str:
    """What stands for names that are nobody's business."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value


def wilson_interval(wins: int, votes: int, z: float = Z) -> tuple[float, float]:
    """The confidence interval of a share (Wilson 1927), which stays sensible for few votes.

    Args:
        wins: from 0 to votes.
        votes: at least one.
        z: quantile of the standard normal distribution.
    """
    share = wins / votes
    centre = share + z * z / (2 * votes)
    spread = z * math.sqrt(share * (1 - share) / votes + z * z / (4 * votes * votes))
    scale = 1 + z * z / votes
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
