"""The benchmark: every group meets every category once, and the first cases are a fair sample."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from toys import portrait

from concat_id.evaluation.benchmark import SETS, Benchmark, InvalidBenchmark, load_benchmark
from concat_id.loading.presets import PRESETS
from concat_id.people import EXPRESSIONS, GARMENTS, MOTIONS, PLACES
from concat_id.references.pictures import load_picture


@pytest.mark.parametrize("people", [1, 2, 3, 4])
def test_every_person_meets_every_category_once(toy_benchmark: Benchmark, people: int) -> None:
    """Also where the counts have a common divisor."""
    subjects = tuple(replace(toy_benchmark.people[0], name=str(number)) for number in range(people))
    cases = replace(toy_benchmark, people=subjects).cases("single")
    pairs = Counter((case.people[0].name, case.category) for case in cases)
    assert len(pairs) == 2 * people and set(pairs.values()) == {1}
    assert len({case.name for case in cases}) == len(cases)


def test_the_first_cases_show_different_people(toy_benchmark: Benchmark) -> None:
    first = toy_benchmark.cases("single")[:3]
    assert len({case.people[0].name for case in first}) == 3
    assert len({case.category for case in first}) == 2


def test_people_stand_in_groups(toy_benchmark: Benchmark) -> None:
    (case,) = toy_benchmark.cases("two")
    assert [person.name for person in case.people] == ["p3", "p5"]
    job = case.job("embedded")
    assert job.task == "multi" and [reference.role for reference in job.references] == ["face", "face"]
    assert toy_benchmark.cases("three") == []


def test_a_companion_brings_its_truth(toy_benchmark: Benchmark) -> None:
    (case,) = toy_benchmark.cases("background")
    assert case.truth == {"expression": "smiling", "place": "beach"}
    job = case.job("embedded")
    assert [reference.role for reference in job.references] == ["face", "background"]
    assert job.references[1].picture.endswith("beach.png")


def test_other_people_take_the_places_of_the_benchmark_s(toy_benchmark: Benchmark, tmp_path: Path) -> None:
    portrait(4).save(tmp_path / "kim.png")
    (tmp_path / "notes.txt").write_text("not a person")
    other = toy_benchmark.with_people(tmp_path)
    assert {case.people[0].name for case in other.cases("single")} == {"kim"}
    assert len(other.cases("single")) == 2


def test_bad_folders_are_refused_in_one_sentence(tmp_path: Path, toy_benchmark: Benchmark) -> None:
    with pytest.raises(InvalidBenchmark, match="benchmark.json' is not a readable benchmark"):
        load_benchmark(tmp_path)
    (tmp_path / "benchmark.json").write_text('{"people": []}')
    with pytest.raises(InvalidBenchmark, match="garments"):
        load_benchmark(tmp_path)
    with pytest.raises(InvalidBenchmark, match="holds no pictures"):
        toy_benchmark.with_people(tmp_path)


class TestShipped:
    """What lies in `assets/benchmark`."""

    benchmark = load_benchmark()

    def test_it_is_complete(self) -> None:
        assert len(self.benchmark.people) == 50 and len(self.benchmark.prompts["single"]) == 9
        assert len(self.benchmark.cases("single")) == 450
        for name in SETS:
            assert len(self.benchmark.cases(name)) >= 30

    def test_its_truths_are_the_renderer_s_words(self) -> None:
        known = {"expression": EXPRESSIONS, "motion": MOTIONS, "garment": GARMENTS, "place": PLACES}
        for name in SETS:
            for case in self.benchmark.cases(name):
                assert case.truth and all(value in known[topic] for topic, value in case.truth.items())

    def test_its_pictures_are_jobs_references(self) -> None:
        for case in self.benchmark.cases("single")[:3]:
            assert load_picture(case.people[0].picture).size == (256, 256)
            case.job("embedded").resolve()

    def test_its_prompts_fit_the_model(self) -> None:
        words = [len(case.prompt.split()) for name in SETS for case in self.benchmark.cases(name)]
        assert max(words) < PRESETS["embedded"].max_sequence_length - 10
