"""The files of a result: the MP4, the sidecar that makes the same video again, the pictures beside them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toys import is_same_video, portrait, run

from concat_id.errors import OutputLost, OutputUnusable
from concat_id.job import Job
from concat_id.loading.presets import PRESETS
from concat_id.output import video_files as results
from concat_id.output.provenance import verify
from concat_id.output.video import read_metadata, read_video
from concat_id.output.watermark import detect
from concat_id.references.pictures import load_picture
from concat_id.references.reference import Reference
from concat_id.settings import Settings

pytestmark = pytest.mark.usefixtures("known_toy")


def test_the_video_file_holds_the_frames(job: Job, tmp_path: Path) -> None:
    _, result = run(job, tmp_path / "name.mp4", preview_every=0)
    assert result.video == tmp_path / "name.mp4" and result.sidecar == tmp_path / "name.json"
    video = read_video(result.video)
    assert video.fps == 8 and video.frames.shape == result.frames.shape


def test_the_sidecar_makes_the_same_video_again(job: Job, tmp_path: Path) -> None:
    _, first = run(replace(job, settings=Settings()), tmp_path / "first.mp4", preview_every=0)
    sidecar = json.loads(first.sidecar.read_text())
    again = Job.load(first.sidecar)
    assert again == first.job
    _, second = run(again, tmp_path / "again" / "first.mp4")
    assert np.array_equal(first.frames, second.frames)
    assert is_same_video(first.video, second.video)
    assert first.scores == second.scores
    assert sidecar["scores"] == json.loads(json.dumps(first.scores.to_dict()))
    assert len(sidecar["model"]["weights_sha256"]) == 64 and sidecar["seconds"] > 0


def test_the_sidecar_makes_the_same_video_after_its_preset_changed(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampled = {"guidance_scale": 3.0, "reference_guidance_scale": 2.0, "skip_guidance_layers": (1,)}
    monkeypatch.setitem(PRESETS, "toy", replace(PRESETS["toy"], **sampled))
    _, first = run(job, tmp_path / "first.mp4", preview_every=0)
    changed = {
        "num_inference_steps": 3,
        "guidance_scale": 1.5,
        "reference_guidance_scale": 3.0,
        "skip_guidance_layers": (),
        "shift": 1.5,
        "negative_prompt": "rain",
        "max_sequence_length": 8,
    }
    monkeypatch.setitem(PRESETS, "toy", replace(PRESETS["toy"], **changed))
    _, second = run(Job.load(first.sidecar), tmp_path / "second.mp4", preview_every=0)
    assert np.array_equal(first.frames, second.frames)
    for name in changed:
        _, other = run(
            with_settings(first.job, **{name: changed[name]}), tmp_path / "other.mp4", preview_every=0
        )
        assert not np.array_equal(first.frames, other.frames)


def with_settings(job: Job, **settings: object) -> Job:
    return replace(job, settings=replace(job.settings, **settings))


def test_every_video_is_marked_and_signed(job: Job, tmp_path: Path) -> None:
    _, result = run(job, tmp_path / "out.mp4", preview_every=0)
    report = verify(result.video)
    assert report.is_ours and report.manifest.model == "Toy"
    assert not detect(result.frames).is_found


def test_video_and_sidecar_name_neither_folders_nor_files_of_the_maker(job: Job, tmp_path: Path) -> None:
    _, result = run(job, tmp_path / "out" / "name.mp4", preview_every=0)
    metadata, sidecar = read_metadata(result.video), json.loads(result.sidecar.read_text())
    assert metadata["job"] == sidecar["job"]
    assert [reference["picture"] for reference in sidecar["job"]["references"]] == ["name-reference-1.png"]
    assert sidecar["job"]["settings"] == result.job.to_dict()["settings"]
    for file in (result.video, result.sidecar):
        assert str(tmp_path).encode() not in file.read_bytes() and b"face.png" not in file.read_bytes()


def test_the_references_lie_beside_the_video_without_their_metadata(job: Job, tmp_path: Path) -> None:
    picture = portrait(3)
    picture.save(tmp_path / "face.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0secret", comment=b"secret")
    _, result = run(
        replace(job, references=(Reference("face", tmp_path / "face.jpg"),)),
        tmp_path / "out" / "name.mp4",
        preview_every=0,
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "name-reference-1.png",
        "name.json",
        "name.mp4",
    ]
    copy = Path(result.job.references[0].picture)
    assert copy == tmp_path / "out" / "name-reference-1.png"
    assert np.array_equal(load_picture(copy), load_picture(tmp_path / "face.jpg"))
    assert b"secret" in (tmp_path / "face.jpg").read_bytes() and b"secret" not in copy.read_bytes()


def test_a_folder_of_results_can_be_moved(job: Job, tmp_path: Path) -> None:
    _, first = run(job, tmp_path / "here" / "name.mp4", preview_every=0)
    (tmp_path / "face.png").unlink()
    (tmp_path / "here").rename(tmp_path / "there")
    _, second = run(Job.load(tmp_path / "there" / "name.json"), tmp_path / "again.mp4", preview_every=0)
    assert np.array_equal(first.frames, second.frames)


@pytest.mark.parametrize("output", ["new/folder", "old"])
def test_a_failure_while_writing_leaves_nothing(
    output: str, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old").mkdir()
    before = sorted(tmp_path.rglob("*"))

    def fail(frames: np.ndarray, fps: float, path: Path, metadata: object) -> None:
        path.write_bytes(b"half a video")
        raise OSError("no space left on device")

    monkeypatch.setattr(results, "write_video", fail)
    with pytest.raises(OutputLost, match="no space left"):
        run(job, tmp_path / output / "name.mp4", preview_every=0)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_cannot_be_replaced_stays_and_nothing_comes_beside_it(job: Job, tmp_path: Path) -> None:
    (tmp_path / "out" / "name.mp4").mkdir(parents=True)
    with pytest.raises(OutputUnusable):
        run(job, tmp_path / "out" / "name.mp4", preview_every=0)
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "name.mp4"]
