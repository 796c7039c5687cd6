"""Pairs at any size, on embeddings with planted people; and who of a benchmark is seen in training."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from concat_id.loading.presets import EMBEDDED
from concat_id.references.faces import FaceFinder
from train.curation.bands import Band
from train.curation.decontamination import NoBenchmark, check_benchmark
from train.curation.neighbours import ReferenceIndex
from train.curation.pairing import Cast, mine
from train.curation.rules import PairRules

BANDS = {
    "cross_video": Band(0.7, 0.9),
    "cross_video_strict": Band(0.87, 0.97),
    "trade_off": Band(0.9, 0.99),
}


def plant(people: int, each: int, width: int = 64, noise: float = 0.6) -> np.ndarray:
    """Unit embeddings, `each` of every one of so many people in a row, (people * each, width)."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((people, width)) / width**0.5
    rows = centres.repeat(each, 0) + noise * rng.standard_normal((people * each, width)) / width**0.5
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def collect(index: ReferenceIndex, faces: np.ndarray, videos: np.ndarray, most: int) -> set[tuple[int, int]]:
    found = set()
    for part in index.search(faces, videos, {"cross_video": BANDS["cross_video"]}, most=most):
        pairs = part["cross_video"]
        found |= set(zip(pairs.queries.tolist(), pairs.references.tolist(), strict=True))
    return found


def test_exact_search_finds_all_pairs_in_the_band_of_other_videos() -> None:
    faces, videos = plant(20, 6), np.arange(120) // 2
    cosines = faces @ faces.T
    wanted = (cosines >= 0.7) & (cosines <= 0.9) & (videos[:, None] != videos)
    index = ReferenceIndex(faces, videos, exact_below=1000)
    found = collect(index, faces, videos, most=1000)
    assert index.is_exact and found == set(zip(*(axis.tolist() for axis in wanted.nonzero()), strict=True))
    assert len(found) > 100


def test_only_the_nearest_of_each_query_are_taken() -> None:
    faces, videos = plant(20, 6), np.arange(120)
    cosines = np.where((faces @ faces.T > 0.9) | np.eye(120, dtype=bool), -1, faces @ faces.T)
    (part,) = ReferenceIndex(faces, videos, exact_below=1000).search(
        faces, videos, {"cross_video": BANDS["cross_video"]}, most=1
    )
    pairs = part["cross_video"]
    assert len(set(pairs.queries.tolist())) == len(pairs.queries) > 50
    assert pairs.references.tolist() == cosines[pairs.queries].argmax(1).tolist()


def test_approximate_search_finds_nearly_all_with_exact_cosines() -> None:
    faces, videos = plant(1500, 4, noise=0.5), np.arange(6000)
    exact = collect(ReferenceIndex(faces, videos, exact_below=10_000), faces, videos, most=50)
    index = ReferenceIndex(faces, videos, exact_below=0)
    found = collect(index, faces, videos, most=50)
    assert not index.is_exact and found <= exact and len(found) >= 0.95 * len(exact) > 5000
    (part, *_) = index.search(faces[:9], videos[:9], {"cross_video": BANDS["cross_video"]}, most=50)
    pairs = part["cross_video"]
    true = (faces[pairs.queries] * faces[pairs.references]).sum(1)
    np.testing.assert_allclose(pairs.cosines, true, atol=1e-6)


def cast_of(clips: list[list[int]], centres: np.ndarray, **facts: list[float]) -> Cast:
    """Clips, a video each, with these people and one reference of each of them, at these embeddings."""
    people = [(clip, who) for clip, own in enumerate(clips) for who in own]
    numbers = np.array([clip for clip, _ in people])
    count = len(people)
    table = pa.table(
        {
            "person": [f"c{clip}-{who}" for clip, who in people],
            "clip": [f"c{clip}" for clip, _ in people],
            "position": [0] * count,
            "area_share": facts.get("area_share", [0.2] * count),
            "sharpness": facts.get("sharpness", list(range(count))),
            "flow": [0.0] * count,
            "aesthetics": pa.nulls(count, pa.float32()),
        }
    )
    references = pa.table({"reference": [f"r{n}" for n in range(count)], "video": [f"v{n}" for n in numbers]})
    embeddings = np.stack([centres[who] for _, who in people]).astype(np.float32)
    embeddings[:, -1] = 0.45 * np.where(numbers % 2, 1, -1)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    return Cast(table, references, embeddings, np.arange(count), numbers, numbers, numbers)


def served(cast: Cast, kind: str, **rules: float) -> list[tuple[str, str]]:
    pairs = mine(cast, BANDS, PairRules(**rules))[kind].pairs.tolist()
    return [(cast.people["person"][t].as_py(), cast.people["person"][r].as_py()) for t, r in pairs]


def test_people_are_served_by_themselves_in_other_videos() -> None:
    # Clips of one parity look alike by 1, beyond every band; of the other by .66 over 1 plus: in none.
    cast = cast_of([[0], [0], [1], [2]], np.eye(6))
    low = {"cross_video": Band(0.5, 0.9), "cross_video_strict": Band(0.5, 0.9), "trade_off": Band(0.5, 0.9)}
    pairs = mine(cast, low, PairRules())["cross_video"].pairs.tolist()
    assert pairs == [[0, 1], [1, 0]]
    assert served(cast, "pre_training") == [(f"c{c}-{w}",) * 2 for c, w in ((0, 0), (1, 0), (2, 1), (3, 2))]


def test_a_clip_of_two_needs_references_of_both_and_one_of_three_of_two() -> None:
    centres = np.eye(8) * 1.0
    band = Band(0.5, 0.9)
    bands = dict.fromkeys(BANDS, band)

    def clips_served(*clips: list[int]) -> set[int]:
        cast = cast_of(list(clips), centres)
        return set(cast.clips[mine(cast, bands, PairRules())["cross_video"].pairs[:, 0].numpy()].tolist())

    assert clips_served([0, 1], [0], [2, 3], [2], [4], [3]) == {1, 2, 3, 5}


def test_two_people_of_a_clip_never_share_a_reference() -> None:
    # Both look like the person of the other video, the second more so.
    centres = np.zeros((3, 6))
    centres[0, :2], centres[1, :2], centres[2, :2] = (0.9, 0.436), (0.98, 0.199), (1.0, 0.0)
    cast = cast_of([[0, 1], [2]], centres)
    bands = dict.fromkeys(BANDS, Band(0.4, 0.95))
    pairs = mine(cast, bands, PairRules())["cross_video"].pairs
    # One reference for two people: not both can have it, and so the clip is left out.
    assert 0 not in cast.clips[pairs[:, 0].numpy()]


def test_trade_off_pairs_serve_the_sharper_half_with_fitting_faces() -> None:
    clips = [[0], [0], [1], [1], [2], [2]]
    bands = dict.fromkeys(BANDS, Band(0.5, 0.9))
    cast = cast_of(clips, np.eye(8), area_share=[0.2, 0.2, 0.2, 0.2, 0.2, 0.02])
    pairs = mine(cast, bands, PairRules(trade_off_share=0.5))["trade_off"].pairs[:, 0].tolist()
    assert pairs == [2, 3, 4]  # the sharpest, 5, has too small a face
    assert len(mine(cast, bands, PairRules(trade_off_share=0.5))["cross_video"].pairs) == 6


def test_mining_nobody_finds_nothing() -> None:
    cast = cast_of([[0]], np.eye(6))
    none = Cast(
        cast.people.slice(0, 0), cast.references.slice(0, 0), cast.embeddings[:0], *[cast.tracks[:0]] * 4
    )
    assert all(len(found.pairs) == 0 for found in mine(none, BANDS, PairRules()).values())


def test_somebody_seen_in_training_is_dropped_from_a_benchmark_with_a_sheet(
    dataset: Path, tmp_path: Path
) -> None:
    benchmark = tmp_path / "people"
    (benchmark / "seen").mkdir(parents=True)
    crop = sorted((dataset / "references").rglob("*.webp"))[0]
    canvas = Image.new("RGB", (640, 640), (120, 120, 120))
    canvas.paste(Image.open(crop), (96, 96))
    canvas.save(benchmark / "seen/again.png")
    Image.new("RGB", (300, 300), (10, 90, 10)).save(benchmark / "lawn.png")
    finder = FaceFinder(EMBEDDED / "face_pack")
    output = tmp_path / "checked"
    verdicts = check_benchmark(dataset, benchmark, finder, max_cosine=0.65, output=output)
    lawn, seen = verdicts
    assert (lawn.person, lawn.kept, lawn.cosines) == ("lawn", False, ())
    assert (seen.person, seen.kept) == ("seen", False) and seen.cosines[0] > 0.8
    assert list(seen.cosines) == sorted(seen.cosines, reverse=True) and len(seen.cosines) == 4
    table = list(csv.DictReader((output / "people.csv").open()))
    assert [row["reason"] for row in table] == ["no face found", "seen in training"]
    assert Image.open(output / "nearest.png").size == (5 * 112, 2 * 126)
    (kept,) = [
        verdict
        for verdict in check_benchmark(dataset, benchmark, finder, max_cosine=1.0, output=output)
        if verdict.person == "seen"
    ]
    assert kept.kept


def test_benchmarks_and_datasets_that_are_none_are_refused(dataset: Path, tmp_path: Path) -> None:
    finder = FaceFinder(EMBEDDED / "face_pack")
    with pytest.raises(NoBenchmark, match="holds no pictures"):
        check_benchmark(dataset, tmp_path, finder, max_cosine=0.5, output=tmp_path / "out")
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    with pytest.raises(NoBenchmark, match="no finished dataset"):
        check_benchmark(tmp_path / "none", tmp_path, finder, max_cosine=0.5, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()
