"""Whatever strangers upload passes as what it is, or is refused with a sentence."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile import (
    ROOM,
    broken_videos,
    damaged,
    hostile_metadata,
    hostile_reports,
    polyglots,
    refused_pictures,
    sound_pictures,
    video_with_room,
    with_metadata,
)
from PIL import Image

from concat_id.errors import ForeignVideo, InputError, InvalidJob, PictureTooLarge, UnreadableVideo
from concat_id.job import Job
from concat_id.output.video import Video, read_video
from concat_id.references.pictures import load_picture
from concat_id.references.reference import Reference
from concat_id.settings import Settings
from concat_id.studio.restore import restore_job


def answer(call: Callable[[], Any]) -> Any:
    """What a call gives, or the error whose sentence the visitor reads; no other error may come up."""
    try:
        return call()
    except InputError as error:
        said = str(error)
        assert said.endswith(".") and "\n" not in said and len(said) < 400
        return error


@pytest.fixture
def report() -> dict[str, Any]:
    """The settings in a video that was made here."""
    job = Job("single", (Reference("face", "face.png", 0),), "laughing", Settings(seed=7)).resolve()
    return {"job": json.loads(json.dumps(job.to_dict())), "references": [{"pixels_sha256": "0" * 64}]}


@pytest.fixture
def drop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Any]:
    """Restores from an MP4 of these bytes; nothing but the MP4 may lie in the folder afterwards."""
    monkeypatch.chdir(tmp_path)

    def drop(data: bytes) -> Any:
        path = tmp_path / "dropped.mp4"
        path.write_bytes(data)
        found = answer(lambda: restore_job(path, [], []))
        assert list(tmp_path.iterdir()) == [path]
        return found

    return drop


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An MP4 with room for metadata."""
    return video_with_room(tmp_path_factory.mktemp("video"))


@pytest.mark.parametrize("name, data", sound_pictures(7).items())
def test_damaged_pictures_pass_whole_or_are_refused(name: str, data: bytes) -> None:
    found = [answer(lambda file=file: load_picture(file)) for file in damaged(data, 60, seed=7)]
    for picture in found:
        if isinstance(picture, Image.Image):
            assert picture.mode == "RGB" and not picture.info
    assert sum(isinstance(picture, InputError) for picture in found) > 5


@pytest.mark.parametrize("name, data", refused_pictures().items())
def test_bombs_and_other_files_are_refused(name: str, data: bytes) -> None:
    refusal = answer(lambda: load_picture(data))
    assert isinstance(refusal, InputError)
    if name in ("bomb.png", "large bomb.png", "bomb.gif", "bomb.bmp"):
        assert isinstance(refusal, PictureTooLarge)


@pytest.mark.parametrize("name, data", polyglots().items())
def test_of_a_polyglot_only_the_pixels_pass(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    picture = load_picture(path)
    assert picture.size in ((64, 48), (48, 64), (64, 64)) and not picture.info
    path.unlink()
    picture.save(tmp_path / "kept.png")
    assert b"script" not in (tmp_path / "kept.png").read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["kept.png"]


def test_settings_with_any_value_are_a_job_or_are_refused(report: dict[str, Any]) -> None:
    reports = list(hostile_reports(report))
    found = [answer(lambda data=data: Job.from_dict(data.get("job")).resolve()) for data in reports]
    jobs = [job.with_pictures([""]) for job in found if isinstance(job, Job)]
    assert len(reports) > 300 and len(found) - len(jobs) > 250
    for job in jobs:
        json.dumps(job.to_dict(), ensure_ascii=False, allow_nan=False).encode()


def test_manipulated_settings_name_no_file(
    drop: Callable[[bytes], Any], video: bytes, report: dict[str, Any]
) -> None:
    texts = [json.dumps(data).encode() for data in hostile_reports(report)]
    fitting = random.Random(7).sample([text for text in texts if len(text) < ROOM], 24)
    found = [drop(with_metadata(video, text)) for text in [json.dumps(report).encode(), *fitting]]
    jobs = [job for job in found if isinstance(job, Job)]
    assert isinstance(found[0], Job) and len(jobs) < len(found)
    assert {reference.picture for job in jobs for reference in job.references} == {""}


def test_other_metadata_is_refused(drop: Callable[[bytes], Any], video: bytes) -> None:
    for text in hostile_metadata().values():
        assert isinstance(drop(with_metadata(video, text)), ForeignVideo | InvalidJob)


def test_broken_videos_are_refused(drop: Callable[[bytes], Any], video: bytes, tmp_path: Path) -> None:
    for data in [*broken_videos(video).values(), *damaged(video, 12, seed=7)]:
        assert isinstance(drop(data), ForeignVideo | UnreadableVideo)
    for data in broken_videos(video).values():
        (tmp_path / "dropped.mp4").write_bytes(data)
        # FFmpeg finds the frames in some of them all the same.
        assert isinstance(answer(lambda: read_video(tmp_path / "dropped.mp4")), Video | UnreadableVideo)
