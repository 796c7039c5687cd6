"""Running: figures follow the video, a stopped run goes on, one failure does not stop the rest."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from toys import clip_of, landscape, two_people

from concat_id.__main__ import main
from concat_id.errors import InvalidJob, NoFaceFound, WeightsUnavailable
from concat_id.evaluation import run
from concat_id.evaluation.benchmark import Benchmark, Case, Subject
from concat_id.evaluation.evaluate import Plan, evaluate
from concat_id.evaluation.judges import Judges, load_judges
from concat_id.evaluation.metrics import PROTOCOLS, Measurement, Protocol, measure, summarize_cursim
from concat_id.loading.presets import PRESETS
from concat_id.ui.layout import EXAMPLES

AUTO = PROTOCOLS["auto"]


def measure_clip(
    benchmark: Benchmark, judges: Judges, frames: np.ndarray, case: Case | None = None
) -> Measurement:
    """Figures of a video of the first case."""
    case = case or benchmark.cases("single")[0]
    return measure(case, frames, judges, protocol=AUTO, galleries=benchmark.galleries)


class TestMetrics:
    def test_the_right_person_is_found_again_and_more_alike(
        self, toy_benchmark: Benchmark, judges: Judges
    ) -> None:
        right = measure_clip(toy_benchmark, judges, clip_of(50, identity_seed=3))
        wrong = measure_clip(toy_benchmark, judges, clip_of(50, identity_seed=9))
        assert right.values["retrieval"] == 1 and wrong.values["retrieval"] == 0
        for name in ("arcsim", "cursim", "strict_arcsim", "strict_cursim"):
            assert right.values[name] > wrong.values[name]
        assert right.values["face_rate"] == 1 and -1 <= right.values["viclip"] <= 1

    def test_missing_faces_lower_the_strict_means_alone(
        self, toy_benchmark: Benchmark, judges: Judges
    ) -> None:
        frames = clip_of(50, identity_seed=3, num_frames=4).copy()
        whole = measure_clip(toy_benchmark, judges, frames[:2])
        frames[2:] = np.asarray(landscape(128))
        half = measure_clip(toy_benchmark, judges, frames)
        assert half.values["face_rate"] == 0.5
        assert half.values["cursim"] == pytest.approx(whole.values["cursim"], abs=1e-5)
        assert half.values["strict_cursim"] == pytest.approx(whole.values["cursim"] / 2, abs=1e-5)
        assert half.frames["cursim"][2:] == half.frames["arcsim"][2:] == [None, None]
        assert half.frames["indices"] == [0, 1, 2, 3]

    def test_a_video_without_faces_still_has_figures(self, toy_benchmark: Benchmark, judges: Judges) -> None:
        values = measure_clip(toy_benchmark, judges, np.asarray(landscape(128))[None]).values
        assert values["arcsim"] == values["cursim"] == values["retrieval"] == values["face_rate"] == 0
        assert "clipdist" not in values

    def test_the_reader_is_asked_only_for_what_the_prompt_says(
        self, toy_benchmark: Benchmark, judges: Judges
    ) -> None:
        case = replace(toy_benchmark.cases("single")[0], truth={"place": "beach", "motion": "nodding"})
        seen = {"place": "beach", "motion": "waving", "expression": "sad", "garment": "dress"}
        reading = replace(judges, reader=SimpleNamespace(read=lambda frames: seen))
        values = measure_clip(toy_benchmark, reading, clip_of(50), case).values
        assert {name: value for name, value in values.items() if name.startswith("right_")} == {
            "right_place": 1.0,
            "right_motion": 0.0,
        }
        assert not measure_clip(toy_benchmark, replace(judges, reader=None), clip_of(50), case).read

    def test_each_of_two_people_is_measured_and_the_worst(
        self, toy_benchmark: Benchmark, judges: Judges, tmp_path: Path
    ) -> None:
        """The references are the faces of the frame itself, one of them replaced by somebody else's."""
        picture = two_people(0, 256)
        faces = sorted(judges.scorer.finder.find(picture), key=lambda face: face.box[0])
        people = []
        for name, face in zip(("left", "right"), faces, strict=True):
            left, top, right, bottom = (face.box + 30 * np.array([-1, -1, 1, 1])).astype(int)
            picture.crop((left, top, right, bottom)).resize((256, 256)).save(tmp_path / f"{name}.png")
            people.append(Subject(name, tmp_path / f"{name}.png"))
        case = replace(toy_benchmark.cases("two")[0], people=tuple(people))
        frames = np.asarray(picture)[None]
        both = measure_clip(toy_benchmark, judges, frames, case).values
        assert min(both["arcsim_1"], both["arcsim_2"]) > 0.6 and both["order_rate"] == 1
        assert both["worst_cursim"] == pytest.approx(min(both["cursim_1"], both["cursim_2"]))
        swapped = measure_clip(toy_benchmark, judges, frames, replace(case, people=tuple(people[::-1])))
        assert swapped.values["order_rate"] == 0
        stranger = replace(case, people=(people[0], toy_benchmark.people[2]))
        lost = measure_clip(toy_benchmark, judges, frames, stranger).values
        assert lost["worst_arcsim"] == pytest.approx(lost["arcsim_2"]) and lost["arcsim_2"] < 0.5

    def test_the_place_is_scored_on_the_frames_that_the_protocol_names(
        self, toy_benchmark: Benchmark, judges: Judges
    ) -> None:
        case = toy_benchmark.cases("background")[0]
        place, other = np.asarray(landscape(128)), clip_of(50, num_frames=1)[0]
        likenesses = [
            measure_clip(toy_benchmark, judges, np.stack(frames), case).values["background"]
            for frames in ((place, place), (place, other), (other, other))
        ]
        assert likenesses[0] > 0.9 and likenesses[1] == pytest.approx(np.mean(likenesses[::2]), abs=1e-5)
        first = Protocol(1)
        values = measure(
            case, np.stack([place, other]), judges, protocol=first, galleries=toy_benchmark.galleries
        ).values
        assert values["background"] == pytest.approx(likenesses[0], abs=1e-5)

    def test_figures_change_with_the_clothes_parser(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        parser = tmp_path / "clothes_parser"
        shutil.copytree(PRESETS["embedded"].clothes_parser, parser)
        for tasks, changes in ((("single", "try-on"), True), (("single",), False)):
            preset = replace(PRESETS["embedded"], clothes_parser=parser, tasks=tasks)
            monkeypatch.setitem(PRESETS, "own", preset)
            fingerprints = set()
            for time in (1000, 2000):
                os.utime(parser / "model.safetensors", (time, time))
                load_judges.cache_clear()
                fingerprints.add(load_judges("own").fingerprint)
            assert (len(fingerprints) == 2) == changes
        load_judges.cache_clear()

    def test_the_right_place_is_found_again(self, toy_benchmark: Benchmark, judges: Judges) -> None:
        snow = Subject("snow", EXAMPLES / "places" / "snow.png")
        crowded = replace(toy_benchmark, places=(snow, *toy_benchmark.places))
        case = crowded.cases("background")[0]
        assert case.companion is snow
        for place, found in ((snow, 1.0), (toy_benchmark.places[0], 0.0)):
            view = np.asarray(Image.open(place.picture).resize((128, 128)))[None]
            assert measure_clip(crowded, judges, view, case).values["background_retrieval"] == found

    def test_dropping_zeros_changes_the_mean_but_not_the_strict_one(self) -> None:
        track = [[0.6, 0.0, None, 0.3]]
        assert summarize_cursim(track, drops_zeros=False) == pytest.approx(
            {"cursim": 0.3, "strict_cursim": 0.225}
        )
        assert summarize_cursim(track, drops_zeros=True) == pytest.approx(
            {"cursim": 0.45, "strict_cursim": 0.225}
        )

    def test_a_person_without_a_face_is_refused(
        self, toy_benchmark: Benchmark, judges: Judges, tmp_path: Path
    ) -> None:
        landscape().save(tmp_path / "nobody.png")
        case = replace(toy_benchmark.cases("single")[0], people=(Subject("x", tmp_path / "nobody.png"),))
        with pytest.raises(NoFaceFound, match=r"no face was found in 'nobody.png'"):
            measure_clip(toy_benchmark, judges, clip_of(50), case)


class TestRuns:
    @pytest.fixture
    def plan(self, toy: str, benchmark_folder: Path, tmp_path: Path) -> Plan:
        return Plan(tmp_path / "out", toy, videos=2, benchmark=benchmark_folder, device="cpu")

    def test_a_stopped_run_goes_on(self, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
        made = count_calls(monkeypatch, "generate")
        measured = count_calls(monkeypatch, "measure")

        def stop(progress: run.Progress) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            evaluate(plan, stop)
        assert (len(made), len(measured)) == (1, 1)
        report = evaluate(plan, lambda progress: None)
        assert (len(made), len(measured)) == (2, 2)
        assert "| `toy` | 2 |" in report.read_text()
        for name in ("report.json", "frames.png", "sheet-single.webp"):
            assert (plan.folder / name).stat().st_size > 0
        # What is passed on names no folder of this machine.
        assert str(plan.benchmark) not in (plan.folder / "results" / "single-000.json").read_text()
        # Another protocol measures the same videos anew.
        evaluate(replace(plan, protocol="consisid-16", videos=1), lambda progress: None)
        assert (len(made), len(measured)) == (2, 3)
        # A result that was cut off is made anew, from the video that is there.
        (plan.folder / "results" / "single-001.json").write_text("{")
        evaluate(plan, lambda progress: None)
        assert (len(made), len(measured)) == (2, 5)

    def test_a_preset_s_changed_sampling_makes_its_videos_anew(
        self, plan: Plan, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plan = replace(plan, videos=1)
        made = count_calls(monkeypatch, "generate")
        for change in ({}, {}, {"shift": 1.5}, {"skip_guidance_layers": (3,)}, {"max_sequence_length": 8}):
            monkeypatch.setitem(PRESETS, "toy", replace(PRESETS["toy"], **change))
            evaluate(plan, lambda progress: None)
        assert len(made) == 4
        settings = json.loads((plan.folder / "report.json").read_text())["settings"]
        assert (settings["shift"], settings["skip_guidance_layers"], settings["max_sequence_length"]) == (
            1.5,
            [3],
            8,
        )

    def test_one_failure_does_not_stop_the_rest(self, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
        generate = run.generate

        def fail_first(job, output, **options):
            if output.stem == "single-000":
                raise RuntimeError("out of memory")
            return generate(job, output, **options)

        monkeypatch.setattr(run, "generate", fail_first)
        seen = []
        page = evaluate(plan, seen.append).read_text()
        assert [progress.error for progress in seen] == ["RuntimeError: out of memory", None]
        assert "| `toy` | 1 of 2 |" in page and "single-000: RuntimeError: out of memory" in page
        monkeypatch.setattr(run, "generate", generate)
        assert "failed" not in evaluate(plan, seen.append).read_text()

    def test_a_task_that_the_preset_cannot_do_is_refused(self, plan: Plan) -> None:
        with pytest.raises(InvalidJob, match="preset 'toy' cannot do the task 'multi'; it can do 'single'"):
            evaluate(replace(plan, task="multi"), lambda progress: None)
        assert not plan.output.exists()

    def test_missing_weights_stop_the_run_before_it_begins(
        self, plan: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setitem(PRESETS, "toy", replace(PRESETS["toy"], curricular=tmp_path / "cur.onnx"))
        load_judges.cache_clear()
        with pytest.raises(WeightsUnavailable, match="cur.onnx' is missing"):
            evaluate(plan, lambda progress: None)
        assert not plan.output.exists()

    def test_real_presets_ask_for_the_published_judges(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(WeightsUnavailable, match="glint360k_curricular_face_r101_backbone.bin"):
            load_judges("wan-1.3b-adaln")


class TestCommand:
    def test_it_ends_with_the_report_or_one_sentence(
        self, toy: str, benchmark_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        line = ["evaluate", "--preset", toy, "--device", "cpu", "--benchmark", str(benchmark_folder)]
        assert main([*line, "--videos", "1", "--output", str(tmp_path / "out"), "--json"]) == 0
        printed = capsys.readouterr()
        answer = json.loads(printed.out.splitlines()[-1])
        assert Path(answer["report"]).is_file() and answer["videos"] == 1 and answer["failed"] == 0
        assert "single-000" in printed.err
        (tmp_path / "out" / "likeness.png").unlink()
        page = Path(answer["report"]).read_bytes()
        assert main(["evaluate", "--redraw", "--output", str(tmp_path / "out")]) == 0
        assert (tmp_path / "out" / "likeness.png").stat().st_size > 0
        assert Path(answer["report"]).read_bytes() == page and "single-000" not in capsys.readouterr().err
        command = json.loads((tmp_path / "out" / toy / "report.json").read_text())["command"]
        assert command.startswith("python -m concat_id evaluate --preset toy --videos 1")
        assert main([*line, "--task", "multi", "--output", str(tmp_path / "other")]) == 2
        assert "cannot do the task 'multi'" in capsys.readouterr().err
        assert main([*line, "--videos", "0", "--output", str(tmp_path / "other")]) == 2
        assert "--videos is 0" in capsys.readouterr().err
        assert main(["evaluate", "--redraw", "--output", str(tmp_path / "other")]) == 2
        assert "there is no report in" in capsys.readouterr().err


def count_calls(monkeypatch: pytest.MonkeyPatch, name: str) -> list[tuple]:
    """Let a function of the run note its calls."""
    calls, function = [], getattr(run, name)

    def noting(*args, **options):
        calls.append(args)
        return function(*args, **options)

    monkeypatch.setattr(run, name, noting)
    return calls
