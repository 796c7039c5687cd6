"""Systems elsewhere: the benchmark is written for them, their videos stand beside ours, none is lost."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from toys import clip_of

from concat_id.__main__ import main
from concat_id.evaluation.report import load_reports
from concat_id.evaluation.system import InvalidSystem, System, read_system
from concat_id.output.video import write_video
from concat_id.references.pictures import load_picture
from concat_id.studio.comparison import check_comparable, name_differences
from concat_id.studio.evaluated import EvaluatedVideos

ABOUT = {
    "name": "ID-Animator",
    "licence": "Apache-2.0",
    "date": "2026-03-31",
    "url": "https://example.org/id-animator",
    "command": "python infer.py --table benchmark.csv",
}


def write_about(folder: Path, **changes: Any) -> Path:
    """A `system.json`; None leaves a key out."""
    about = {key: value for key, value in (ABOUT | changes).items() if value is not None}
    (folder / "system.json").write_text(json.dumps(about), encoding="utf-8")
    return folder


class TestExport:
    def test_another_system_finds_pictures_prompts_and_what_to_write(
        self, benchmark_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        line = ["benchmark", "export", str(tmp_path), "--benchmark", str(benchmark_folder), "--videos", "2"]
        assert main(line) == 0
        assert "videos: 4" in capsys.readouterr().out
        with (tmp_path / "benchmark.csv").open(encoding="utf-8", newline="") as file:
            rows = {row["case"]: row for row in csv.DictReader(file)}
        assert list(rows) == ["single-000", "single-001", "two-000", "background-000"]
        single, pair = rows["single-000"], rows["two-000"]
        assert single["prompt"] == "a person laughing on a beach" and single["video"] == "single-000.mp4"
        assert (single["task"], pair["task"], single["seed"]) == ("single", "multi", "0")
        assert (single["width"], single["height"], single["frames"], single["fps"]) == (
            "256",
            "256",
            "17",
            "8",
        )
        first, second = pair["faces"].split(";")
        assert single["faces"] == first != second and rows["background-000"]["background"]
        assert load_picture(tmp_path / first) == load_picture(benchmark_folder / "p3.png")
        # What was filled in stays when the benchmark is written again.
        write_about(tmp_path)
        assert main([*line, "--task", "single"]) == 0
        assert read_system(tmp_path) == System(**ABOUT)
        assert "multi" not in (tmp_path / "benchmark.csv").read_text(encoding="utf-8")

    def test_what_the_preset_cannot_make_is_refused(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "export"
        line = ["benchmark", "export", str(folder), "--preset", "wan-1.3b-adaln"]
        for options, reason in (
            (["--task", "multi"], "cannot do the task 'multi'"),
            (["--videos", "0"], "--videos is 0"),
        ):
            assert main([*line, *options]) == 2 and reason in capsys.readouterr().err
        assert not folder.exists()


class TestSystem:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"licence": None}, "lacks 'licence'"),
            ({"license": "MIT"}, "unknown keys: 'license'"),
            ({"name": 5}, "must have texts; name is 5"),
            ({"command": ""}, "1 to 300 characters without backticks; command is ''"),
            ({"command": "x" * 301}, "1 to 300 characters"),
            ({"licence": "MIT\n\n# Ours is better"}, "lines of 1 to 300"),
            ({"licence": "`MIT`"}, "without backticks"),
            ({"name": "../embedded"}, "a name of letters, digits"),
            ({"name": "Embedded"}, "the name of a preset, 'Embedded'"),
            ({"name": "truth"}, "the name of a preset"),
            ({"date": "31.3.2026"}, "a date such as 2026-03-31, got '31.3.2026'"),
            ({"url": "javascript:alert(1)"}, "begins with https://"),
        ],
        ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
    )
    def test_what_it_cannot_be_is_refused(self, tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
        with pytest.raises(InvalidSystem, match=reason):
            read_system(write_about(tmp_path, **changes))

    @pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, "\xff\xfe\x00", "{}"])
    def test_what_is_no_description_is_refused(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "system.json").write_text(text, encoding="latin-1")
        with pytest.raises(
            InvalidSystem, match="system.json.* (is not readable JSON|must be an object|lacks)"
        ):
            read_system(tmp_path)

    def test_without_it_nothing_is_scored(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["evaluate", "--videos-from", str(tmp_path), "--output", str(tmp_path / "out")]) == 2
        assert "there is no system.json in" in capsys.readouterr().err
        assert main(["evaluate", "--videos-from", str(tmp_path), "--truth"]) == 2
        assert "leave --weights and --truth out" in capsys.readouterr().err
        write_about(tmp_path)
        assert main(["evaluate", "--videos-from", str(tmp_path), "--output", str(tmp_path / "out")]) == 2
        assert "holds none of the benchmark's videos" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


def test_videos_made_elsewhere_stand_beside_ours(
    toy: str, benchmark_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three cases: one good, one broken, one missing; and a file that is no case's."""
    output, folder = tmp_path / "out", tmp_path / "videos"
    folder.mkdir()
    write_about(folder)
    write_video(clip_of(50, identity_seed=3), 8, folder / "single-000.mp4")
    (folder / "single-001.mp4").write_bytes((folder / "single-000.mp4").read_bytes()[:500])
    shutil.copy(folder / "single-000.mp4", folder / "single_002.mp4")
    line = ["evaluate", "--preset", toy, "--benchmark", str(benchmark_folder), "--output", str(output)]
    found = [*line, "--videos", "3", "--videos-from", str(folder), "--json"]
    assert main(found) == 0
    printed = capsys.readouterr()
    answer = json.loads(printed.out.splitlines()[-1])
    assert (answer["videos"], answer["failed"]) == (1, 2)
    assert "note: no case of the benchmark is called as these videos are" in printed.err
    assert "single_002.mp4" in printed.err and "Traceback" not in printed.err
    page = Path(answer["report"]).read_text(encoding="utf-8")
    assert "| `ID-Animator` | 1 of 3 |" in page
    assert "- `ID-Animator`: of 2026-03-31, licence `Apache-2.0`, `https://example.org/id-animator`" in page
    assert "single-001: UnreadableVideo: 'single-001.mp4' is not a readable video" in page
    assert "single-002: UnreadableVideo: single-002.mp4 is missing beside system.json" in page
    assert str(folder) not in (output / "ID-Animator" / "results" / "single-000.json").read_text()

    # Ours is made of the same, and both can be voted on; what the system's settings were, nobody says.
    assert main([*line, "--videos", "1", "--device", "cpu"]) == 0
    evaluated = EvaluatedVideos(output, load_reports(output))
    assert evaluated.list_cases() == ["single-000"]
    ours, theirs = evaluated.list("single-000")
    check_comparable([theirs, ours])
    assert name_differences([theirs, ours]) == ["model ID-Animator (Apache-2.0, 2026-03-31)", f"model {toy}"]
    assert theirs.scores.arcsim > 0.5 and theirs.scores.cursim is not None
    with pytest.raises(ValueError, match="not there"):
        evaluated.open("ID-Animator/single-001")
    with pytest.raises(ValueError, match="not there"):
        evaluated.open(f"{toy}/../{toy}/single-000")

    # A video that is exchanged is measured anew; one that is taken away is reported, and shown no more.
    values = read_values(output)
    write_video(clip_of(50, identity_seed=9), 8, folder / "single-000.mp4")
    assert main(found) == 0
    assert read_values(output)["arcsim"] < values["arcsim"]
    (folder / "single-000.mp4").unlink()
    write_video(clip_of(50, identity_seed=3), 8, folder / "single-001.mp4")
    assert main(found) == 0
    page = Path(answer["report"]).read_text(encoding="utf-8")
    assert "single-000.mp4 is missing" in page and "| `ID-Animator` | 1 of 3 |" in page
    assert load_reports(output)["ID-Animator"]["sets"]["single"]["by_case"].keys() == {"single-001"}


def read_values(output: Path) -> dict[str, float]:
    """The figures of the system's first video."""
    return json.loads((output / "ID-Animator" / "results" / "single-000.json").read_text())["values"]
