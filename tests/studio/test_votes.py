"""Votes: stored once, counted right, told with their uncertainty."""

from __future__ import annotations

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from concat_id.studio.votes import CRITERIA, Ballots, Candidate, wilson_interval

ONE, TWO, THREE = (
    Candidate("run-a", "likeness 1"),
    Candidate("run-b", "likeness 2"),
    Candidate("run-c", "steps 5"),
)


@pytest.fixture
def ballots(tmp_path: Path) -> Ballots:
    """No votes yet."""
    return Ballots(tmp_path / "votes" / "votes.sqlite3")


@pytest.mark.parametrize(
    ("wins", "votes", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_wilsons(wins: int, votes: int, low: float, high: float) -> None:
    assert wilson_interval(wins, votes) == pytest.approx((low, high), abs=6e-5)


def test_the_better_one_gets_the_vote_wherever_it_was_shown(ballots: Ballots) -> None:
    ballots.cast("ann", {"identity": "run-b"}, [ONE, TWO])
    ballots.cast("bob", {"identity": "run-b"}, [TWO, ONE])
    ballots.cast("cat", {"identity": "run-a"}, [TWO, ONE])
    (row,) = ballots.tally()
    assert (row.first, row.second, row.first_wins, row.votes) == ("likeness 1", "likeness 2", 1, 3)
    assert row.share == pytest.approx(1 / 3) and row.interval[0] < 1 / 3 < row.interval[1]


def test_each_criterion_counts_for_itself(ballots: Ballots) -> None:
    ballots.cast("ann", dict(zip(CRITERIA, ["run-a", "run-b", "run-b"], strict=True)), [ONE, TWO])
    assert {row.criterion: row.first_wins for row in ballots.tally()} == {
        "identity": 1,
        "motion": 0,
        "naturalness": 0,
    }


def test_only_the_first_vote_on_a_pair_counts(ballots: Ballots) -> None:
    assert ballots.cast("ann", {"identity": "run-a"}, [ONE, TWO])
    assert not ballots.cast("ann", {"identity": "run-b"}, [TWO, ONE])
    (row,) = ballots.tally()
    assert (row.first_wins, row.votes) == (1, 1)


def test_the_best_of_three_beats_the_others_and_says_nothing_about_them(ballots: Ballots) -> None:
    ballots.cast("ann", {"identity": "run-c"}, [ONE, TWO, THREE])
    assert [(row.first, row.second, row.first_wins) for row in ballots.tally()] == [
        ("likeness 1", "steps 5", 0),
        ("likeness 2", "steps 5", 0),
    ]


def test_votes_at_the_same_time_are_all_kept(ballots: Ballots) -> None:
    with ThreadPoolExecutor(8) as pool:
        cast = [
            pool.submit(Ballots(ballots.path).cast, f"voter {number}", {"motion": "run-a"}, [ONE, TWO])
            for number in range(24)
        ]
        assert all(vote.result() for vote in cast)
    assert [row.votes for row in ballots.tally()] == [24]


def test_the_export_names_nobody_and_opens_no_run(ballots: Ballots) -> None:
    assert ballots.to_csv().count("\n") == 1
    ballots.cast("ann", {"identity": "run-a", "motion": "run-b"}, [ONE, Candidate("run-b", "=likeness 2")])
    text = ballots.to_csv()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["criterion"] for row in rows] == ["identity", "motion"]
    # A cell that begins like a formula is defused.
    assert {row["first"] for row in rows} == {"'=likeness 2"} and [row["first_won"] for row in rows] == [
        "0",
        "1",
    ]
    assert "ann" not in text and "run-" not in text


def test_nothing_is_written_before_the_first_vote(ballots: Ballots) -> None:
    assert ballots.tally() == [] and not ballots.path.parent.exists()
