"""Runs on the disk: found by their visitor alone, restored whole, deleted without touching anything else."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from concat_id.errors import ForeignVideo, InputError, NotComparable, RunNotFound
from concat_id.job import Job
from concat_id.loading.presets import PRESETS
from concat_id.output.video import write_video
from concat_id.output.video_files import describe_run, write_result
from concat_id.references.reference import Reference
from concat_id.scoring import FrameScores, Scores
from concat_id.scoring.scorer import summarize
from concat_id.settings import Settings
from concat_id.studio.comparison import check_comparable, name_differences, vary
from concat_id.studio.restore import restore_job
from concat_id.studio.runs import ORDERS, Library, Run
from concat_id.ui.runs.run_card import describe_age, draw_run

ANN, BOB = "a" * 32, "b" * 32


def score(arcsim: float | None) -> Scores:
    """Scores of a clip of one frame."""
    return summarize(FrameScores((0,), (arcsim,), (None if arcsim is None else 1 - arcsim,)))


def make_run(
    library: Library, visitor: str, picture: Path, *, scores: Scores | None = None, **settings: object
) -> Run:
    """Write a run as the studio does."""
    job = Job(
        "single",
        (Reference("face", picture, face_index=1),),
        "a person laughing on a <b>beach</b>",
        replace(Settings(seed=7), **settings),
    ).resolve()
    frames = np.random.default_rng(0).integers(0, 255, (5, 32, 48, 3), dtype=np.uint8)
    pictures = [Image.open(picture).convert("RGB")]
    folder = library.new_folder(visitor)
    facts = describe_run(pictures, [()], scores, "A model", "0" * 64)
    write_result(folder, job, frames, pictures, facts, time.monotonic())
    return library.open(folder.name)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture of noise."""
    path = tmp_path / "face.png"
    pixels = np.random.default_rng(1).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """No runs yet."""
    return Library(tmp_path / "outputs")


def test_each_visitor_finds_their_own_runs_only(library: Library, picture: Path) -> None:
    runs = [make_run(library, ANN, picture), make_run(library, BOB, picture)]
    assert [run.name for run in library.list(ANN)] == [runs[0].name]
    for nobody in ("", None, "*", "../" + ANN, "a" * 16):
        assert library.list(nobody) == []
    assert ANN not in runs[0].name


def test_a_run_tells_all_that_made_it(library: Library, picture: Path) -> None:
    run = make_run(library, ANN, picture, scores=score(0.75), num_inference_steps=3, guidance_scale=4.5)
    settings = run.job.settings
    assert (settings.seed, settings.num_inference_steps, settings.guidance_scale) == (7, 3, 4.5)
    assert run.scores == score(0.75) and run.seconds >= 0
    (reference,) = run.job.references
    assert reference.face_index == 1 and Path(reference.picture).parent == run.video.parent
    assert np.array_equal(Image.open(reference.picture), Image.open(picture))
    assert f"?run={run.name}" in draw_run(run) and "<b>" not in draw_run(run)


def test_runs_are_ordered_by_each_score(library: Library, picture: Path) -> None:
    names = {
        label: make_run(library, ANN, picture, scores=scores).name
        for label, scores in {
            "low": score(0.2),
            "none": None,
            "high": score(0.9),
            "lost": score(None),
        }.items()
    }
    for age, name in enumerate(names.values()):
        for video in (library.outputs / name).glob("*.mp4"):
            os.utime(video, (1000 - age, 1000 - age))
    ordered = {
        order: [run.name for run in sorted(library.list(ANN), key=key)] for order, key in ORDERS.items()
    }
    low, none, high, lost = names.values()
    assert ordered["Newest"] == [low, none, high, lost]
    assert ordered["ArcSim"] == [high, low, lost, none]
    assert ordered["CLIPDist"] == [low, high, none, lost]
    assert ordered["Face found"] == [low, high, lost, none]


def test_only_its_visitor_deletes_a_run(library: Library, picture: Path) -> None:
    run, other = make_run(library, ANN, picture), make_run(library, ANN, picture)
    for stranger in (BOB, "", None):
        with pytest.raises(RunNotFound, match="only who made"):
            library.delete(run.name, stranger)
    library.delete(run.name, ANN)
    assert not run.video.parent.exists() and other.video.exists() and picture.exists()
    with pytest.raises(RunNotFound, match="no longer there"):
        library.open(run.name)


@pytest.mark.parametrize("name", ["", ".", "..", "../outside", "votes", "/etc", "{name}/..", "{name}\n"])
def test_nothing_else_is_opened_or_deleted(library: Library, picture: Path, name: str) -> None:
    run = make_run(library, ANN, picture)
    for act in (library.open, lambda wanted: library.delete(wanted, ANN)):
        with pytest.raises(RunNotFound):
            act(name.format(name=run.name))
    assert run.video.exists()


def test_a_link_on_the_disk_is_no_run(library: Library, picture: Path) -> None:
    run = make_run(library, ANN, picture)
    link = library.outputs / f"{run.name[:17]}{secrets.token_hex(12)}"
    link.symlink_to(run.video.parent)
    with pytest.raises(RunNotFound):
        library.delete(link.name, ANN)
    assert [found.name for found in library.list(ANN)] == [run.name]


def test_an_unfinished_or_damaged_run_hides_no_other(library: Library, picture: Path) -> None:
    run, damaged = make_run(library, ANN, picture), make_run(library, ANN, picture)
    damaged.sidecar.write_text("{")
    (library.outputs / f"{run.name[:17]}{secrets.token_hex(12)}").mkdir()
    assert [found.name for found in library.list(ANN)] == [run.name]


def test_the_archive_holds_everything_once(library: Library, picture: Path) -> None:
    run = make_run(library, ANN, picture)
    archive = run.make_zip()
    with zipfile.ZipFile(archive) as files:
        assert sorted(Path(name).suffix for name in files.namelist()) == [".gif", ".json", ".mp4", ".png"]
        assert files.read(run.video.name) == run.video.read_bytes()
    assert archive.stat().st_mode == run.sidecar.stat().st_mode  # whoever reads the others can read it
    gif = Image.open(run.make_gif())
    assert gif.is_animated and gif.n_frames == 5 and gif.info["loop"] == 0
    assert {path.suffix for path in archive.parent.iterdir()} == {".gif", ".json", ".mp4", ".png", ".zip"}


def test_a_video_finds_its_picture_among_the_runs_or_the_examples(library: Library, picture: Path) -> None:
    run = make_run(library, ANN, picture, num_inference_steps=3)
    assert restore_job(run.video, [run], []) == run.job
    (reference,) = restore_job(run.video, [], [picture]).references
    assert reference.picture == str(picture) and reference.face_index == 1
    job = restore_job(run.video, [], [])
    assert job.references[0].picture == "" and job.settings == run.job.settings


def test_a_video_of_others_is_refused(tmp_path: Path) -> None:
    frames = np.zeros((3, 32, 32, 3), np.uint8)
    job = Job("single", (Reference("face", "face.png"),), "laughing").resolve().to_dict()
    for metadata in (
        {},
        {"job": {"task": "single"}},
        {"job": 5},
        {"job": job, "references": 7},
        {"job": job},
    ):
        path = write_video(frames, 8, tmp_path / "other.mp4", metadata)
        with pytest.raises(InputError):
            restore_job(path, [], [])
    with pytest.raises(ForeignVideo, match="carries no settings"):
        restore_job(write_video(frames, 8, tmp_path / "plain.mp4"), [], [])


def test_videos_are_named_by_what_differs(library: Library, picture: Path) -> None:
    one, two = make_run(library, ANN, picture), make_run(library, ANN, picture, reference_guidance_scale=2.0)
    own = f"likeness {one.job.settings.reference_guidance_scale:g}"
    assert name_differences([one, two]) == [own, "likeness 2"]
    assert name_differences([one, one]) == ["", ""]
    earlier, later = (
        with_settings(one, shift=shift, skip_guidance_layers=layers)
        for shift, layers in ((None, ()), (4.0, (1, 2)))
    )
    assert name_differences([earlier, later]) == [
        "noise shift unknown, skipped blocks none",
        "noise shift 4, skipped blocks 1 2",
    ]
    secret = with_settings(one, negative_prompt="my secret")
    assert "secret" not in name_differences([one, secret])[1]


def with_settings(run: Run, **settings: object) -> Run:
    """The run, had it been made with other settings."""
    return replace(run, job=replace(run.job, settings=replace(run.job.settings, **settings)))


def test_only_the_same_subject_is_compared(library: Library, picture: Path, tmp_path: Path) -> None:
    one, two = make_run(library, ANN, picture), make_run(library, ANN, picture, num_inference_steps=3)
    check_comparable([one, two])
    with pytest.raises(NotComparable, match="only one"):
        check_comparable([one])
    with pytest.raises(NotComparable, match="same settings"):
        check_comparable([one, make_run(library, ANN, picture)])
    with pytest.raises(NotComparable, match="prompt or their pictures"):
        check_comparable([one, replace(two, job=replace(two.job, prompt="another"))])
    other = tmp_path / "other.png"
    Image.new("RGB", (40, 40), "red").save(other)
    with pytest.raises(NotComparable, match="prompt or their pictures"):
        check_comparable([one, make_run(library, ANN, other, num_inference_steps=3)])


def test_a_variation_keeps_the_seed_and_the_pictures(library: Library, picture: Path) -> None:
    job = make_run(library, ANN, picture).job
    more = vary(job, job.preset, replace(job.settings, reference_guidance_scale=2.0))
    strength = job.settings.reference_guidance_scale
    assert strength != 2 and replace(more.settings, reference_guidance_scale=strength) == job.settings
    assert more.references == job.references
    other = vary(job, "wan-1.3b-adaln", replace(job.settings, num_inference_steps=9))
    settings, own = other.settings, PRESETS["wan-1.3b-adaln"]
    assert (settings.shift, settings.skip_guidance_layers) == (own.shift, own.skip_guidance_layers)
    assert (settings.seed, settings.num_inference_steps, settings.num_frames) == (7, 9, 81)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(5, "just now"), (61, "1 minute ago"), (7300, "2 hours ago"), (90000, "1 day ago")],
)
def test_age_is_said_roughly(seconds: float, said: str) -> None:
    assert describe_age(seconds) == said


def test_the_sidecar_is_left_as_it_was(library: Library, picture: Path) -> None:
    run = make_run(library, ANN, picture)
    before = run.sidecar.read_bytes()
    run.make_zip()
    assert run.sidecar.read_bytes() == before and json.loads(before)["job"] == run.report["job"]


def set_age(run: Run, seconds: float) -> None:
    """Make a run older."""
    made = time.time() - seconds
    os.utime(run.video, (made, made))


def test_what_is_too_old_goes_with_all_its_files(library: Library, picture: Path) -> None:
    old, new = make_run(library, ANN, picture), make_run(library, BOB, picture)
    old.make_zip()
    set_age(old, 7300)
    library.tidy(7200, None)
    assert [folder.name for folder in library.outputs.iterdir()] == [new.name]
    library.tidy(None, None)
    assert new.video.exists()


def test_the_oldest_go_first_when_there_is_no_room(library: Library, picture: Path) -> None:
    runs = [make_run(library, ANN, picture) for _ in range(4)]
    for age, run in enumerate(runs):
        set_age(run, 10 * age)
    size = sum(file.stat().st_size for file in runs[0].video.parent.iterdir())
    library.tidy(None, 2 * size + size // 2)
    assert [run.video.exists() for run in runs] == [True, True, False, False]


def test_a_run_that_is_being_written_stays(library: Library, picture: Path) -> None:
    written = library.outputs / f"{'a' * 16}-{secrets.token_hex(12)}"
    left = library.outputs / f"{'a' * 16}-{secrets.token_hex(12)}"
    for folder in (written, left):
        (folder / ".unfinished").mkdir(parents=True)
        (folder / ".unfinished" / "video.mp4").write_bytes(bytes(5000))
    os.utime(left, (1000, 1000))
    library.tidy(1, 1)
    assert written.exists() and not left.exists()


def test_only_runs_are_tidied_away(library: Library, picture: Path, tmp_path: Path) -> None:
    run = make_run(library, ANN, picture)
    kept = [library.outputs / name / "own.mp4" for name in ("votes", "evaluation-2024", "a-b")]
    for path in kept:
        path.parent.mkdir()
        path.write_bytes(b"own")
        os.utime(path, (1000, 1000))
    outside = tmp_path / "elsewhere"
    shutil.copytree(run.video.parent, outside)
    link = library.outputs / f"{'b' * 16}-{secrets.token_hex(12)}"
    link.symlink_to(outside)
    set_age(run, 100)
    library.tidy(10, 1)
    assert not run.video.exists() and all(path.exists() for path in kept)
    assert (outside / run.video.name).exists() and link.is_symlink()
