"""A file of jobs: what is missing is made, and what fails does not stop the rest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from toys import portrait

from concat_id import batch
from concat_id.__main__ import main
from concat_id.batch import Outcome, plan_batch, run_batch
from concat_id.errors import InvalidJob
from concat_id.loading.presets import PRESETS

pytestmark = pytest.mark.usefixtures("known_toy")


def job(prompt: str = "A person waves.", seed: int | None = 7, picture: str = "face.png") -> dict:
    """A job of two steps, as it stands in a file."""
    return {
        "task": "single",
        "references": [{"role": "face", "picture": picture}],
        "prompt": prompt,
        "settings": {"seed": seed, "num_inference_steps": 2},
        "preset": "toy",
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a picture."""
    portrait(3).save(tmp_path / "face.png")
    return tmp_path


def write_lines(folder: Path, *jobs: dict) -> Path:
    """A file with a job on each line."""
    path = folder / "jobs.jsonl"
    path.write_text("\n".join(map(json.dumps, jobs)) + "\n\n")
    return path


def run(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict, str]:
    """The exit code of the command, its JSON, and what it said."""
    line = ["generate", "--jobs", str(path), "--output", str(path.parent / "out"), "--device", "cpu"]
    code = main([*line, "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out.splitlines()[-1]), printed.err


def counts(report: dict) -> tuple[int, int, int]:
    """How many videos were made, were there, and failed."""
    return report["made"], report["kept"], report["failed"]


def test_a_failing_job_does_not_stop_the_rest_and_a_second_run_makes_what_is_missing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = job("A person sits.", picture="none.png")
    path = write_lines(folder, job(), broken, {"task": "single"}, job(seed=8))
    code, report, said = run(path, capsys)
    assert code == 1 and counts(report) == (2, 0, 2)
    assert "4/4" in said and "4/4 [" in said  # all jobs, and all steps of those that could begin
    assert "job 2: there is no picture file" in said and "job 3: job lacks references, prompt" in said
    first, second, third, fourth = report["jobs"]
    assert second.keys() == third.keys() == {"number", "error"}
    assert (first["seed"], fourth["seed"]) == (7, 8) and "arcsim" in first["scores"]
    assert Path(first["output"]).name.startswith("a-person-waves-") and Path(first["sidecar"]).is_file()
    portrait(4).save(folder / "none.png")
    code, report, said = run(write_lines(folder, job(seed=8), broken, job()), capsys)
    assert code == 0 and counts(report) == (1, 2, 0)
    assert [entry["output"] for entry in report["jobs"]][::2] == [fourth["output"], first["output"]]
    assert len(list((folder / "out").glob("*.mp4"))) == 3


def names(path: Path) -> list[str]:
    """The videos' names."""
    return [item.video.name for item in plan_batch(path, path.parent)]


def test_the_name_follows_from_what_the_video_is_made_of(folder: Path) -> None:
    path = write_lines(folder, job(), job(), job(seed=8), job(seed=None), job(seed=None), job("Sit."))
    first = names(path)
    # The same job with a seed is the same video; without one, every line asks for another.
    assert first[0] == first[1] and len(set(first)) == 5
    assert names(path) == first
    portrait(4).save(folder / "face.png")
    assert not set(first) & set(names(path))


@pytest.mark.parametrize(
    "change",
    [{"shift": 1.5}, {"skip_guidance_layers": (3,)}, {"max_sequence_length": 8}, {"guidance_scale": 1.5}],
)
def test_the_name_follows_the_preset_s_sampling(
    change: dict, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_lines(folder, job(), job(seed=None))
    first = names(path)
    monkeypatch.setitem(PRESETS, "toy", replace(PRESETS["toy"], **change))
    assert not set(first) & set(names(path))


def test_a_list_is_read_like_lines(folder: Path) -> None:
    jobs = [job(), {"job": job(seed=8), "scores": None}]
    (folder / "jobs.json").write_text(json.dumps(jobs, indent=1))
    assert names(folder / "jobs.json") == names(write_lines(folder, *jobs))


def test_whatever_goes_wrong_is_written_down(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(batch, "generate", fail)
    planned = plan_batch(write_lines(folder, job(), job(seed=8)), folder)
    errors = "RuntimeError: out of memory"
    assert list(run_batch(planned)) == [Outcome(1, None, False, errors), Outcome(2, None, False, errors)]


@pytest.mark.parametrize("text", ["{", "[1,", "no jobs\nat all", "\n\n}"])
def test_a_file_without_any_job_is_refused_as_a_whole(text: str, tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_text(text)
    with pytest.raises(InvalidJob, match=r"line [13] of 'jobs.jsonl' is no JSON: .*; correct it"):
        plan_batch(tmp_path / "jobs.jsonl", tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    portrait(3, 32).save(tmp_path / "jobs.jsonl", "PNG")
    for path in (tmp_path / "jobs.jsonl", tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(InvalidJob, match="is not a readable file of jobs"):
            plan_batch(path, tmp_path)


CASES = Path(__file__).with_name("cases")


def test_one_bad_line_is_named_and_the_others_run(tmp_path: Path) -> None:
    first, second, third = plan_batch(CASES / "jobs-second-line-bad.jsonl", tmp_path)
    assert first.job == third.job and first.video == third.video or first.job.settings.seed is None
    assert isinstance(second, Outcome) and second.error.startswith("line 2 of 'jobs-second-line-bad.jsonl'")


# What ends a line for Python's strings, and for no file of lines.
SEPARATORS = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e"


def test_what_looks_like_the_end_of_a_line_may_stand_in_a_prompt(folder: Path) -> None:
    (case, _) = plan_batch(CASES / "jobs-u2028.jsonl", folder)
    assert "\u2028" in case.job.prompt
    allowed = "".join(sign for sign in SEPARATORS if sign >= " ")
    path = folder / "jobs.jsonl"
    path.write_text(json.dumps(job(f"A person{allowed}waves."), ensure_ascii=False) + "\n", encoding="utf-8")
    (item,) = plan_batch(path, folder)
    assert item.job.prompt == f"A person{allowed}waves."


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("indent", [None, 2])
def test_jobs_are_read_as_other_programs_write_them(
    folder: Path, encoding: str, end: str, indent: int | None
) -> None:
    jobs = [job("Été 笑"), job(seed=8)]
    text = "\n".join(json.dumps(one, ensure_ascii=False, indent=indent) for one in jobs) + "\n\n"
    (folder / "jobs.jsonl").write_bytes(text.replace("\n", end).encode(encoding))
    planned = plan_batch(folder / "jobs.jsonl", folder)
    assert [item.job.settings.seed for item in planned] == [7, 8]
    assert planned[0].job.prompt == "Été 笑"


def test_a_list_with_one_bad_entry_keeps_the_others(folder: Path) -> None:
    lines = [json.dumps(job()), '{"task": single}', json.dumps(job(seed=8))]
    (folder / "jobs.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
    planned = plan_batch(folder / "jobs.json", folder)
    errors = [item.error for item in planned if isinstance(item, Outcome)]
    assert [item.job.settings.seed for item in planned if isinstance(item, batch.Planned)] == [7, 8]
    assert any("line 3" in error for error in errors)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--output", "out.mp4"], "'out.mp4' is one file, and --jobs makes many; give a folder."),
        (["--prompt", "Sit."], "--jobs and --prompt were both given"),
        (["--job", "job.json"], "--jobs and --job were both given"),
    ],
)
def test_what_does_not_go_together_is_refused(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "--jobs", "jobs.jsonl", *options]) == 2
    assert message in capsys.readouterr().err
