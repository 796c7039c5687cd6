"""The truth: the case's own people do what the prompt says, where it says, and the judges agree."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from concat_id.errors import InvalidJob
from concat_id.evaluation.benchmark import Benchmark, InvalidBenchmark, Subject, load_benchmark
from concat_id.evaluation.evaluate import Plan, evaluate_truth
from concat_id.evaluation.judges import Judges
from concat_id.evaluation.metrics import PROTOCOLS, measure
from concat_id.evaluation.truth import TruthMaker, check_drawn, choose_outfit, draw_case, read_doing, stage
from concat_id.loading.presets import PRESETS
from concat_id.people import COLORS, GARMENTS


class TestScenes:
    def test_everybody_does_what_is_said_of_them(self, toy_benchmark: Benchmark) -> None:
        case = toy_benchmark.cases("two")[0]
        scenes = stage(case, 9)
        assert scenes.identity_seeds.tolist() == [[person.seed for person in case.people]]
        assert scenes.expression_names[0][0] == "winking" and scenes.motion_names[0][1] == "waving"
        assert scenes.place_names == ["beach"]
        # One eye of the first person is closed; the second one waves outwards.
        assert scenes.performance.left_eye[0, -1, 0] == 0 and scenes.performance.waving[0, :, 1].max() > 0
        assert scenes.performance.waving[0, :, 0].max() == 0

    def test_the_longest_words_count(self) -> None:
        assert read_doing("winking at the camera under water") == {"expressions": "winking"}
        assert read_doing("looking to the left and") == {"motions": "turning left"}
        assert read_doing("turning the head from side to side") == {"motions": "shaking head"}
        assert read_doing("in a green shirt") == {}

    def test_every_prompt_of_the_benchmark_is_understood(self) -> None:
        benchmark = load_benchmark()
        check_drawn(benchmark, Path("assets/benchmark"))
        for name in benchmark.prompts:
            for case in benchmark.cases(name):
                doings = [read_doing(words) for words in case.prompt.split("a person ")[1:]]
                assert len(doings) == len(case.people)
                for topic in ("expression", "motion"):
                    if topic in case.truth:
                        assert doings == [{f"{topic}s": case.truth[topic]}]
                assert all(doings) or "garment" in case.truth, case.prompt

    def test_clothes_are_the_prompt_s_or_the_reference_s(self, toy_benchmark: Benchmark) -> None:
        case = replace(
            toy_benchmark.cases("single")[0],
            prompt="a person in a teal hoodie in the snow",
            truth={"garment": "hoodie", "place": "snow"},
        )
        outfit = choose_outfit(case)
        assert GARMENTS[outfit.garment] == "hoodie" and list(COLORS)[outfit.color] == "teal"
        assert torch.equal(stage(case, 1).outfit.rgb, outfit.rgb)
        given = replace(case, companion=Subject("g", Path("g.png"), {"garment": "hoodie"}, seed=5))
        assert choose_outfit(given).seed.item() == 5

    def test_the_place_is_the_reference_s(self, toy_benchmark: Benchmark) -> None:
        case = toy_benchmark.cases("background")[0]
        scenes = stage(case, 1)
        assert scenes.place_names == ["beach"] and scenes.place_seed.item() == case.companion.seed

    def test_what_was_not_drawn_has_no_truth(
        self, toy_benchmark: Benchmark, toy: str, tmp_path: Path
    ) -> None:
        stranger = replace(toy_benchmark, people=(Subject("ann", Path("ann.png")),))
        with pytest.raises(InvalidBenchmark, match="by which seed 'ann' is drawn"):
            check_drawn(stranger, Path("folder"))
        with pytest.raises(InvalidJob, match="only drawn ones have a truth"):
            evaluate_truth(Plan(tmp_path, "wan-1.3b-adaln"), lambda progress: None)


class TestFigures:
    def test_judges_find_the_truth_right(self, toy_benchmark: Benchmark, judges: Judges) -> None:
        values = [
            measure(
                case,
                draw_case(case, replace(PRESETS["embedded"], height=128, width=128)),
                judges,
                protocol=PROTOCOLS["auto"],
                galleries=toy_benchmark.galleries,
            ).values
            for case in toy_benchmark.cases("single")
        ]
        for name, least in (
            ("retrieval", 0.8),
            ("face_rate", 0.9),
            ("whole_faces", 0.6),
            ("right_place", 0.5),
        ):
            assert np.mean([value[name] for value in values if name in value]) >= least, name

    def test_both_kinds_get_rows_of_their_own(self, toy: str, benchmark_folder: Path, tmp_path: Path) -> None:
        plan = Plan(tmp_path / "out", toy, videos=1, benchmark=benchmark_folder, device="cpu")
        seen = []
        page = evaluate_truth(plan, seen.append).read_text()
        assert [progress.error for progress in seen] == [None, None]
        assert "| `truth` | 1 |" in page and "| `truth-autoencoder` | 1 |" in page
        assert "Truth, through the autoencoder" in page and "--truth" in page
        report = json.loads((tmp_path / "out" / "truth" / "report.json").read_text())
        assert report["sets"]["single"]["figures"]["whole_faces"]["count"] == 1

    def test_it_is_measured_anew_when_the_renderer_shows_something_else(
        self, toy_benchmark: Benchmark
    ) -> None:
        case = toy_benchmark.cases("single")[0]
        maker = TruthMaker("embedded", is_coded=False)
        assert maker.key(case) == maker.key(case)
        assert maker.key(case) != maker.key(replace(case, prompt="a person winking", truth={}))
        assert maker.key(case) != TruthMaker("embedded", is_coded=True).key(case)
