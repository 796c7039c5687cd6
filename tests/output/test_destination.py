"""An output that cannot be written, or would overwrite something, is refused before the first step."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from toys import run

from concat_id.errors import InvalidJob, OutputLost, OutputUnusable
from concat_id.files.folders import check_folder
from concat_id.generation import generate
from concat_id.job import Job
from concat_id.output import video_files
from concat_id.output.destination import choose_video
from concat_id.output.video import read_video

pytestmark = pytest.mark.usefixtures("known_toy")


def snapshot(folder: Path) -> dict[str, bytes]:
    """All files below a folder and what they hold."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with things in the way."""
    folder = tmp_path / "outputs"
    (folder / "taken.mp4").mkdir(parents=True)
    (folder / "plain").write_text("a file")
    (folder / "notes.json").write_text("{}")
    (folder / "notes-reference-1.png").write_text("mine")
    (folder / "photo-reference-1.png").write_text("mine")
    (folder / "dangling").symlink_to(folder / "nowhere" / "at all")
    return folder


@pytest.mark.parametrize(
    "name, message",
    [
        ("plain", "is a file where a folder is needed"),
        ("plain/out.mp4", "is a file where a folder is needed"),
        ("plain/deeper/out.mp4", "is a file where a folder is needed"),
        ("dangling/out.mp4", "is a file where a folder is needed"),
        ("taken.mp4", "is a folder; give the name of a file in it"),
        ("a" * 245 + ".mp4", "bytes too long with what is appended to it; shorten it"),
        ("\u7b11" * 84 + ".mp4", "bytes too long"),
        ("a" * 300 + "/out.mp4", "nothing can be written to"),
        ("a\0b.mp4", "nothing can be written to"),
        ("out.mov", "ends in '.mov', and what is written is an MP4"),
        ("out.GIF", "ends in '.GIF'"),
        ("out.json", "ends in '.json'"),
        ("notes.mp4", "is there and would be overwritten"),
        ("photo.mp4", "is there and would be overwritten"),
        ("/proc/out.mp4", "cannot be written to"),
    ],
)
def test_it_is_refused_before_the_first_step(folder: Path, job: Job, name: str, message: str) -> None:
    before = snapshot(folder.parent)
    with pytest.raises(OutputUnusable, match=message.replace("(", r"\(")) as error:
        next(generate(job, folder / name, device="cpu"))
    assert "\n" not in str(error.value) and len(str(error.value)) < 400
    assert snapshot(folder.parent) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_permission_is_refused(folder: Path, job: Job) -> None:
    folder.chmod(0o500)
    try:
        with pytest.raises(OutputUnusable, match="cannot be written to"):
            choose_video(folder / "out.mp4", job.resolve())
    finally:
        folder.chmod(0o700)


@pytest.mark.parametrize("name", ["new", "a/b/c", "v1.2", "out.mp4", "OUT.MP4", "a" * 230 + ".mp4", "."])
def test_what_can_be_written_is_not_made_yet(folder: Path, job: Job, name: str) -> None:
    before = set(folder.rglob("*"))
    assert choose_video(folder / name, job.resolve()).suffix.lower() == ".mp4"
    assert set(folder.rglob("*")) == before


def test_a_name_in_a_folder_is_free(folder: Path, job: Job) -> None:
    job = job.resolve()
    names = set()
    for _ in range(3):
        video = choose_video(folder, job)
        assert not video.exists() and video not in names
        names.add(video)
        video.with_suffix(".json").write_text("{}")


def test_what_was_asked_for_by_name_is_replaced_with_what_belongs_to_it(job: Job, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    run(job, output, preview_every=0)
    first = output.read_bytes()
    run(job, output, preview_every=0)
    assert output.read_bytes() != first  # a signature holds a random number
    (tmp_path / "out.json").write_text(json.dumps({"mine": 1}))
    with pytest.raises(OutputUnusable, match="would be overwritten"):
        next(generate(job, output, device="cpu"))


def test_a_full_disk_loses_no_work(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, failed = video_files.write_video, []

    def fail_once(*arguments: object) -> Path:
        if not failed:
            failed.append(arguments)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(*arguments)

    monkeypatch.setattr(video_files, "write_video", fail_once)
    monkeypatch.setattr(video_files.tempfile, "tempdir", str(tmp_path))
    with pytest.raises(OutputLost, match=r"\(No space left on device\); it was kept in '.*'\.$") as error:
        list(generate(job, tmp_path / "out" / "video.mp4", device="cpu", preview_every=0))
    assert not (tmp_path / "out").exists()
    kept = Path(str(error.value).split("'")[-2])
    assert len(read_video(kept / "video.mp4").frames) == 9
    assert json.loads((kept / "video.json").read_text())["job"]["prompt"] == job.prompt


def test_where_nothing_can_be_kept_nothing_is_left(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Path:
        raise OSError("FFmpeg said\nmany\nlines")

    monkeypatch.setattr(video_files, "write_video", fail)
    monkeypatch.setattr(video_files.tempfile, "tempdir", str(tmp_path))
    before = snapshot(tmp_path)
    with pytest.raises(OutputLost, match=r"\(FFmpeg said\); nor could it be kept elsewhere"):
        list(generate(job, tmp_path / "out", device="cpu", preview_every=0))
    assert snapshot(tmp_path) == before and not (tmp_path / "out").exists()


def test_folders_of_other_commands_are_tried_first(folder: Path) -> None:
    from concat_id.batch import plan_batch
    from concat_id.evaluation.evaluate import Plan, evaluate

    with pytest.raises(OutputUnusable):
        evaluate(Plan(folder / "plain", "embedded"), lambda progress: None)
    (folder / "jobs.jsonl").write_text("{}")
    with pytest.raises(OutputUnusable):
        plan_batch(folder / "jobs.jsonl", folder / "plain")
    with pytest.raises(OutputUnusable):
        check_folder(folder / "plain" / "deeper")
    assert not issubclass(OutputUnusable, InvalidJob)
