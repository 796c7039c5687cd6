"""Intervals, tables, plots and sheets say what the results say."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image
from toys import clip_of

from concat_id.evaluation.benchmark import Benchmark
from concat_id.evaluation.plots import draw_likeness, frame_curve, plot_frames, plot_likeness
from concat_id.evaluation.report import load_reports, report_set, summarize, write_markdown, write_report
from concat_id.evaluation.sheets import CELL_PX, write_sheet
from concat_id.evaluation.statistics import estimate
from concat_id.output.video import write_video


def result(person: str, category: str = "joy", **values: float) -> dict[str, Any]:
    curve = {"indices": [0, 1], "arcsim": [0.4, None], "cursim": [0.5, 0.7]}
    return {
        "name": f"{person}-{category}",
        "people": [person],
        "category": category,
        "values": values,
        "frames": curve,
    }


def report(
    *results: dict[str, Any], planned: int = 2, errors: dict[str, str] | None = None
) -> dict[str, Any]:
    return {
        "title": "Toy",
        "command": "python -m concat_id evaluate",
        "protocol": "auto",
        "reader_accuracy": {"place": 0.9},
        "not_computed": {"two": "it cannot do the task 'multi'"},
        "sets": {"single": report_set(results, errors or {}, planned)},
    }


class TestIntervals:
    def test_they_hold_the_true_mean_as_often_as_they_say(self) -> None:
        rng = np.random.default_rng(0)
        hits = 0
        for _ in range(100):
            values = rng.normal(0.5, 0.2, 40)
            interval = estimate(values, [str(n) for n in range(40)], rounds=300)
            hits += interval.low <= 0.5 <= interval.high
        assert 86 <= hits <= 100

    def test_videos_of_one_person_count_as_one(self) -> None:
        values = np.repeat(np.random.default_rng(0).normal(0.5, 0.2, 10), 9)
        alone = estimate(values, [str(n) for n in range(90)])
        grouped = estimate(values, [str(n // 9) for n in range(90)])
        assert alone.mean == pytest.approx(grouped.mean)
        assert grouped.high - grouped.low > 2 * (alone.high - alone.low)

    def test_a_single_video_has_no_width(self) -> None:
        only = estimate([0.3], ["a"])
        assert (only.low, only.mean, only.high, only.count) == (0.3, 0.3, 0.3, 1)


class TestTables:
    def test_a_figure_counts_the_videos_that_have_it(self) -> None:
        figures = summarize([result("a", arcsim=0.2, clipdist=0.5), result("b", arcsim=0.4)])
        assert figures["arcsim"].mean == pytest.approx(0.3) and figures["arcsim"].count == 2
        assert figures["clipdist"].count == 1

    def test_the_page_has_the_paper_s_figures_beside_ours(self, tmp_path: Path) -> None:
        ours = report(result("a", arcsim=0.2, cursim=0.3, viclip=0.1), result("b", arcsim=0.4, cursim=0.3))
        page = write_markdown({"toy": ours}, tmp_path / "report.md").read_text()
        assert "| *Concat-ID* | 873 | .442 | .466 | .242 | .325 |" in page
        assert "| *Ingredients* | 280 | .293 | .316 | .199 | .407 |" not in page  # no two people of ours
        assert "| `toy` | 2 | .300 (.200 to .400) | .300 (.300 to .300) |" in page
        assert page.count("not computed") == 2  # CLIPDist, and the set of two
        assert "`toy`: not computed; it cannot do the task 'multi'" in page
        assert "`python -m concat_id evaluate`" in page and "place 90 %" in page

    def test_a_damaged_report_hides_no_other(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            write_report({"title": name}, tmp_path / name)
        # A report that could not be written leaves the earlier one.
        monkeypatch.setattr(Path, "write_text", lambda path, *_, **__: path.touch() or 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_report({"title": "new"}, tmp_path / "one")
        monkeypatch.undo()
        (tmp_path / "two" / "report.json").write_text('{"tit')
        assert load_reports(tmp_path) == {"one": {"title": "one"}}
        assert "report.json cannot be read and is left out" in caplog.text

    def test_what_failed_is_named_and_counted(self, tmp_path: Path) -> None:
        ours = report(result("a", arcsim=0.2), planned=3, errors={"single-001": "NoFaceFound: no face"})
        page = write_markdown({"toy": ours}, tmp_path / "report.md").read_text()
        assert "| `toy` | 1 of 3 |" in page
        assert "1 of 3 videos failed" in page and "- single-001: NoFaceFound: no face" in page

    def test_categories_have_lines_of_their_own(self) -> None:
        results = [result("a", "joy", arcsim=0.2), result("a", "eyes", arcsim=0.6)]
        entry = json.loads(json.dumps(report_set(results, {}, 2)))
        assert entry["by_category"]["eyes"]["arcsim"]["mean"] == 0.6
        assert entry["figures"]["arcsim"]["mean"] == pytest.approx(0.4)


class TestPictures:
    def test_curves_leave_out_frames_without_a_face(self) -> None:
        indices, means, lows, highs = frame_curve([result("a"), result("b")], "arcsim")
        assert indices.tolist() == [0] and means.tolist() == lows.tolist() == highs.tolist() == [0.4]
        assert frame_curve([result("a")], "cursim")[0].tolist() == [0, 1]

    def test_plots_are_drawn(self, tmp_path: Path) -> None:
        ours = report(result("a", arcsim=0.2, clipdist=0.3), result("b", arcsim=0.4, clipdist=0.5))
        empty = report(planned=0)
        with_point = np.asarray(Image.open(plot_likeness({"toy": ours}, tmp_path / "likeness.png")))
        without = np.asarray(Image.open(plot_likeness({"toy": empty}, tmp_path / "empty.png")))
        assert with_point.shape == without.shape and (with_point != without).any()
        assert (
            Image.open(plot_frames({"single": [result("a")], "two": []}, tmp_path / "frames.png")).width > 300
        )
        plot_frames({}, tmp_path / "none.png")

    @pytest.mark.parametrize("models", [2, 12])
    def test_nothing_written_in_the_plot_overlaps(self, models: int) -> None:
        same = report(result("a", arcsim=0.442, clipdist=0.325))
        names = ["toy", *(f"a model with a longer name {number}" for number in range(2, models + 1))]
        figure = draw_likeness(dict.fromkeys(names, same))
        figure.draw_without_rendering()
        (axes,) = figure.axes
        written = [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        written += [text for legend in figure.legends for text in legend.findobj(Text) if text.get_text()]
        assert {"toy", "Concat-ID, stage II (paper)", "two"} <= {text.get_text() for text in written}
        boxes, page = [text.get_window_extent() for text in written], figure.bbox
        assert all(page.x0 <= box.x0 and box.x1 <= page.x1 for box in boxes)
        assert all(page.y0 <= box.y0 and box.y1 <= page.y1 for box in boxes)
        assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))
        # Two models never look the same.
        shapes = {(line.get_marker(), line.get_fillstyle()) for line in figure.legends[0].get_lines()}
        assert len(shapes) == models + 6

    def test_a_sheet_shows_references_and_frames(self, toy_benchmark: Benchmark, tmp_path: Path) -> None:
        cases = toy_benchmark.cases("single")
        assert write_sheet(cases, tmp_path, tmp_path / "sheet.webp") is None
        frames = clip_of(3)
        for case in cases[:2]:
            write_video(frames, 8, tmp_path / f"{case.name}.mp4")
        sheet = Image.open(write_sheet(cases, tmp_path, tmp_path / "sheet.webp"))
        assert sheet.width == 6 * CELL_PX and sheet.height > 2 * CELL_PX
        last = np.asarray(sheet.crop((5 * CELL_PX, sheet.height - CELL_PX, 6 * CELL_PX, sheet.height)))
        assert np.abs(last.astype(int) - frames[-1]).mean() < 8
