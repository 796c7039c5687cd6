"""What strangers send to a served page: it answers, with a sentence, stays up, and writes where it should."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from hostile import (
    NAMES,
    broken_videos,
    hostile_metadata,
    polyglots,
    refused_pictures,
    sound_pictures,
    video_with_room,
    with_metadata,
)
from studio import Studio, serve_studio

from concat_id.errors import InputError
from concat_id.limits import Limits
from concat_id.references.pictures import load_picture
from concat_id.ui.texts import sentence

MOST_BYTES = 200_000


@dataclass(frozen=True)
class Stranger:
    """Talks to the page without its help."""

    studio: Studio
    http: httpx.Client
    events: list[dict[str, Any]]  # the page's, as it describes them

    def upload(self, name: str, data: bytes) -> httpx.Response:
        """Send a file under a name."""
        return self.http.post("upload", files={"files": (name, data)})

    def generate(self, path: str) -> dict[str, Any]:
        """Make a video of a picture that is said to be uploaded."""
        (event,) = [event for event in self.events if event["api_name"] == "generate"]
        return self._call(
            event, [_file(path), "waving", "", 7, 1, 2.5, 1, "embedded", None, False, *[None] * 6]
        )

    def restore(self, path: str) -> dict[str, Any]:
        """Restore the settings of a video that is said to be uploaded."""
        uploads = (event for event in self.events if event["targets"][0][1] == "upload")
        # Takes the file, and who brings it.
        event = next(
            event for event in uploads if event["inputs"][1:] and event["inputs"][0] == _source(event)
        )
        return self._call(event, [_file(path), ""])

    def _call(self, event: dict[str, Any], data: list[Any]) -> dict[str, Any]:
        """Join the queue and wait; gives what came of it."""
        session = secrets.token_hex(5)
        body = {"fn_index": event["id"], "data": data, "session_hash": session}
        self.http.post("queue/join", json=body).raise_for_status()
        with self.http.stream("GET", "queue/data", params={"session_hash": session}) as lines:
            for line in lines.iter_lines():
                message = json.loads(line.removeprefix("data: ") or "{}")
                if message.get("msg") == "process_completed":
                    return message["output"] | {"success": message["success"]}
        raise AssertionError("the page did not answer")


def _source(event: dict[str, Any]) -> int:
    """The component that an event comes from."""
    return event["targets"][0][0]


def _file(path: str) -> dict[str, Any]:
    """A file as the page names it."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


@pytest.fixture
def stranger(tmp_path: Path, people: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Stranger]:
    """A stranger to a page that keeps uploads in a folder of its own."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    monkeypatch.chdir(tmp_path)
    limits = Limits(picture_bytes=MOST_BYTES, video_bytes=MOST_BYTES)
    with serve_studio(tmp_path, people, "embedded", limits) as studio:
        studio.runs.step_s = 0.0
        with httpx.Client(base_url=f"{studio.url}gradio_api/", timeout=200) as http:
            events = httpx.get(f"{studio.url}config", timeout=60).json()["dependencies"]
            yield Stranger(studio, http, events)


def list_outside(folder: Path) -> set[Path]:
    """All files that are not uploads."""
    return {path for path in folder.rglob("*") if path.is_file() and "uploads" not in path.parts}


def test_a_name_puts_no_file_elsewhere(stranger: Stranger, tmp_path: Path) -> None:
    before, data = list_outside(tmp_path), sound_pictures(1)["PNG"]
    for name in NAMES:
        answer = stranger.upload(name, data)
        assert answer.status_code in (200, 400, 422), name
        for path in answer.json() if answer.status_code == 200 else ():
            assert Path(path).resolve().is_relative_to(tmp_path / "uploads") and Path(path).is_file()
    assert list_outside(tmp_path) == before
    assert stranger.upload("large.png", bytes(MOST_BYTES + 1)).status_code == 413
    # What is uploaded is no page of this site.
    (page,) = stranger.upload("page.html", b"<script>alert(1)</script>").json()
    assert stranger.http.get(f"file={page}").headers["content-disposition"].startswith("attachment")


def test_every_picture_is_answered(stranger: Stranger, tmp_path: Path) -> None:
    before = list_outside(tmp_path)
    for name, data in {**refused_pictures(), **polyglots()}.items():
        (path,) = stranger.upload(name, data).json()
        answer = stranger.generate(path)
        try:
            load_picture(path)
        except InputError as error:
            assert answer["error"] == sentence(error) and not answer["success"]
        else:
            assert answer["success"], name
    runs = {path for path in list_outside(tmp_path) if stranger.studio.runs_folder in path.parents}
    assert list_outside(tmp_path) - before == runs
    assert {path.suffix for path in runs} == {".mp4", ".json", ".png"}


def test_files_that_were_not_uploaded_are_not_opened(stranger: Stranger, tmp_path: Path) -> None:
    secret = tmp_path / "outputs" / "evaluation" / "secret.png"
    secret.parent.mkdir(parents=True)
    secret.write_bytes(sound_pictures(1)["PNG"])
    uploads = str(tmp_path / "uploads")
    paths = (str(secret), "/etc/passwd", f"{uploads}/../outputs/evaluation/secret.png", "file:///etc/passwd")
    for path in paths:
        for call in (stranger.generate, stranger.restore):
            answer = call(path)
            assert not answer["success"] and "root:" not in str(answer)
    assert stranger.studio.runs.started == []


def test_every_dropped_video_is_answered(stranger: Stranger, tmp_path: Path) -> None:
    (tmp_path / "video").mkdir()
    video = video_with_room(tmp_path / "video")
    before = list_outside(tmp_path)
    files = [
        *broken_videos(video).values(),
        *(with_metadata(video, text) for text in hostile_metadata().values()),
    ]
    for data in files:
        (path,) = stranger.upload("dropped.mp4", data).json()
        answer = stranger.restore(path)
        assert not answer["success"] and answer["error"].endswith("."), answer
    assert list_outside(tmp_path) == before
    (path,) = stranger.upload("face.png", sound_pictures(1)["PNG"]).json()
    assert stranger.generate(path)["success"]


PATHS = ("/tmp", "/root", "/work", "/home", "site-packages", "0x", "object at", "Traceback")


def hides_the_server(answer: object) -> bool:
    """Whether an answer names neither folders nor objects of the server's."""
    return not any(part in str(answer) for part in PATHS)


def test_what_gradio_refuses_by_itself_is_a_sentence_without_paths(
    stranger: Stranger, tmp_path: Path
) -> None:
    values = ["waving", "", 7, 1, 2.5, 1, "embedded", None, False, *[None] * 6]
    (event,) = [event for event in stranger.events if event["api_name"] == "generate"]
    outside = (str(tmp_path / "outputs"), "/etc/passwd", f"{tmp_path}/uploads/../x.png", "x.png", "\0")
    calls = {
        **{f"not uploaded: {path!r}": [_file(path), *values] for path in outside},
        "a long name": [_file("a" * 100_000 + ".png"), *values],
        "a long path": [_file(f"{tmp_path}/uploads/" + "a/" * 5_000 + "a.png"), *values],
        "too few values": [None],
        "no values": [],
        "too many values": [None, *values, 1, 2, 3],
        "no file": [5, *values],
        "another object": [{"a": 1}, *values],
        "a long choice": [None, *values[:6], "a" * 100_000, *values[7:]],
        "a text for a number": [None, "waving", "", 7, "many", *values[4:]],
        "a size that is none": [None, *values[:-6], "wide", *[None] * 5],
        "a list for a text": [None, ["a"], *values[1:]],
    }
    for name, data in calls.items():
        answer = stranger._call(event, data)
        assert not answer["success"], name
        said = answer["error"]
        assert said and said.rstrip()[-1] in ".!" or "choices" in said, (name, said)
        assert len(said) <= 400 and "\n" not in said, (name, said)
        assert hides_the_server({**answer, "traceback": None}), (name, answer)
    assert stranger.studio.runs.started == []


def test_a_long_name_of_an_upload_is_answered_shortly(stranger: Stranger) -> None:
    for name in ("a" * 100_000 + ".png", "\u7b11" * 50_000, "." * 3_000):
        answer = stranger.upload(name, sound_pictures(1)["PNG"])
        if answer.status_code != 200:
            assert len(answer.text) < 400 and hides_the_server(answer.text), (name[:9], answer.text[:200])
