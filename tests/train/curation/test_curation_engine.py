"""A whole run on small footage: right pairs, every file named with its reason, and a run that goes on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import train.curation.engine
from concat_id.errors import InputError
from train.curation.__main__ import main
from train.curation.attempts import Attempts
from train.curation.engine import DatasetInUse, ForeignFolder, curate
from train.curation.mining import PAIR_KINDS
from train.curation.pairing import read_cast
from train.curation.reading import mark_contents, name_video
from train.curation.rendered_footage import read_truth
from train.curation.rules import InvalidRules, PairRules, PeopleRules, ReferenceRules, Rules
from train.curation.sources import read_sources
from train.curation.verdicts import REASONS
from train.measure.curation import find_reasons, identify, measure_pairs, true_identities


def rows(dataset: Path, table: str) -> list[dict]:
    return pq.read_table(dataset / f"tables/{table}.parquet").to_pylist()


def digest(dataset: Path) -> dict[str, str]:
    """Every file of a dataset but the report's page, by its path below it."""
    return {
        str(path.relative_to(dataset)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(dataset.rglob("*"))
        if path.is_file() and path.name != "report.html"
    }


def copy(dataset: Path, target: Path) -> Path:
    return Path(shutil.copytree(dataset, target / "dataset"))


def test_every_unpleasant_file_is_refused_for_its_own_reason(footage: Path, dataset: Path) -> None:
    reasons = find_reasons(dataset)
    for film in read_truth(footage / "truth.json"):
        if film.reason is not None:
            assert reasons[film.name] == {film.reason}, film.name
    assert reasons["zz-again.mp4"] == {"duplicate"}
    assert reasons["notes.doc"] == {"other file"}
    names = {path.name for path in (footage / "videos").iterdir() if path.suffix != ".txt"}
    assert {row["video"] for row in rows(dataset, "videos")} == names


def test_every_row_carries_a_verdict(dataset: Path) -> None:
    for table in ("videos", "clips", "people", "references"):
        for row in rows(dataset, table):
            dropped = row["status"] == "dropped"
            assert dropped or row["status"] == "kept"
            assert (row["reason"] in REASONS) == dropped and bool(row["detail"]) == dropped


def test_people_held_upright_by_a_telephone_are_kept(dataset: Path) -> None:
    (clip,) = [row for row in rows(dataset, "clips") if row["video"] == "held-upright-000.mp4"]
    assert clip["status"] == "kept" and (clip["height"], clip["width"]) == (320, 240)


def test_pairs_show_the_person_they_serve_and_never_come_from_the_same_video(
    footage: Path, dataset: Path
) -> None:
    cast = read_cast(dataset / "tables")
    identities = true_identities(cast, identify(dataset, read_truth(footage / "truth.json")))
    assert (identities >= 0).all()
    video_of = {row["clip"]: row["video"] for row in rows(dataset, "clips")}
    for kind in PAIR_KINDS:
        share = measure_pairs(dataset, cast, identities, kind)
        assert share.right == share.total > 0, kind
        if kind != "pre_training":
            assert all(
                row["reference_video"] != video_of[row["clip"]] for row in rows(dataset, f"pairs_{kind}")
            )


def test_pairs_lie_in_their_bands(dataset: Path) -> None:
    bands = json.loads((dataset / "dataset.json").read_text())["bands"]
    for kind, (low, high) in bands.items():
        cosines = [row["cosine"] for row in rows(dataset, f"pairs_{kind}")]
        assert min(cosines) >= low - 1e-6 and max(cosines) <= high + 1e-6


def test_pictures_of_all_kinds_are_there_and_no_others(dataset: Path) -> None:
    named = {row[column] for row in rows(dataset, "references") for column in ("picture", "mask")}
    named |= {row[column] for row in rows(dataset, "clips") for column in ("garment", "background")} - {None}
    there = {
        str(path.relative_to(dataset))
        for album in ("references", "masks", "garments", "backgrounds")
        for path in (dataset / album).rglob("*.*")
    }
    # A duplicate's pictures stay: it may be the first one once the other is gone.
    assert named <= there and {name.split("/")[0] for name in named} == {
        "references", "masks", "garments", "backgrounds",
    }  # fmt: skip


def test_the_report_names_files_and_reasons(dataset: Path) -> None:
    page = (dataset / "report.html").read_text()
    for word in ("zero-bytes-000.mp4", "empty file", "still picture", "trade_off", "data:image/png;base64,"):
        assert word in page
    assert "/tmp" not in page


def count_looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where each clip that is looked at is written down."""
    looked: list[str] = []
    look = train.curation.engine.LookAtClips.look
    monkeypatch.setattr(
        train.curation.engine.LookAtClips,
        "look",
        lambda self, name, clip: (looked.append(name), look(self, name, clip)),
    )
    return looked


def test_a_second_run_looks_at_nothing_and_changes_nothing(
    footage: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again, looked = copy(dataset, tmp_path), count_looks(monkeypatch)
    curate(footage / "videos", again, workers=1)  # would start Ray if there were anything to do
    assert not looked and digest(again) == digest(dataset)


def test_changed_rules_redo_only_what_they_affect(
    footage: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again, looked = copy(dataset, tmp_path), count_looks(monkeypatch)
    before = {step: set((again / "work" / step).rglob("*.safetensors")) for step in ("clips", "faces")}
    curate(footage / "videos", again, rules=Rules(pairs=PairRules(neighbours=1)), workers=0)
    assert not looked
    assert len(rows(again, "pairs_cross_video")) < len(rows(dataset, "pairs_cross_video"))
    monkeypatch.setattr(train.curation.looking, "find_faces", lambda *_: 1 / 0)  # faces are not found again
    rules = Rules(people=PeopleRules(max_people=1), references=ReferenceRules(backgrounds=False))
    curate(footage / "videos", again, rules=rules, workers=0)
    assert looked and {row["num_people"] for row in rows(again, "clips") if row["status"] == "kept"} == {1}
    assert not any(row["background"] for row in rows(again, "clips"))
    assert not list((again / "backgrounds").rglob("*.*")) and list((again / "garments").rglob("*.*"))
    assert before == {step: set((again / "work" / step).rglob("*.safetensors")) for step in before}


def test_a_video_that_is_gone_leaves_nothing_behind(footage: Path, dataset: Path, tmp_path: Path) -> None:
    again, videos = copy(dataset, tmp_path), tmp_path / "videos"
    shutil.copytree(footage / "videos", videos)
    for path in videos.glob("film-0000[1-9]*"):
        path.unlink()
    gone = {row["clip"] for row in rows(again, "clips") if not (videos / row["video"]).exists()}

    def files_of_the_gone() -> list[Path]:
        return [path for path in again.rglob("*.*") if any(path.name.startswith(clip) for clip in gone)]

    assert files_of_the_gone()
    curate(videos, again, workers=0)
    assert not files_of_the_gone() and not gone & {row["clip"] for row in rows(again, "clips")}


def test_output_that_is_not_ours_is_refused_and_left_alone(footage: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thesis.txt").write_text("years of work")
    with pytest.raises(ForeignFolder, match="holds other things than a dataset; name a new folder"):
        curate(footage / "videos", tmp_path / "home", workers=0)
    with pytest.raises(ForeignFolder, match="is a file"):
        curate(footage / "videos", tmp_path / "home/thesis.txt", workers=0)
    with pytest.raises(ForeignFolder, match="would lie among its videos"):
        curate(footage / "videos", footage / "videos/dataset", workers=0)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.txt"]


def test_two_runs_do_not_write_to_one_dataset(footage: Path, tmp_path: Path) -> None:
    with train.curation.engine.locked(tmp_path / "dataset"):
        with pytest.raises(DatasetInUse, match="another run writes"):
            curate(footage / "videos", tmp_path / "dataset", workers=0)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"people": {"max_people": 4}}, "people.max_people is 4, but must be 1, 2 or 3"),
        ({"references": {"crop_px": 100}}, "references.crop_px is 100, but must be a multiple of 112"),
        ({"clips": {"sample_fps": 0}}, "clips.sample_fps is 0, but must be more than 0"),
        ({"clips": {"max_clip_s": 1.5}}, "clips.max_clip_s is 1.5, but must be 2 or more"),
        ({"pairs": {"neighbours": 0}}, "pairs.neighbours is 0, but must be 1 or more"),
    ],
)
def test_rules_that_cannot_be_are_refused(rules: dict, said: str) -> None:
    kinds = Rules.__dataclass_fields__
    with pytest.raises(InvalidRules, match=said):
        Rules(**{name: kinds[name].default_factory(**values) for name, values in rules.items()})


def test_unknown_models_and_impossible_workers_are_refused(footage: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no preset 'reel' of models; choose one of embedded, real"):
        curate(footage / "videos", tmp_path / "dataset", preset="reel")
    with pytest.raises(InputError, match="workers is -1"):
        curate(footage / "videos", tmp_path / "dataset", workers=-1)
    assert not (tmp_path / "dataset").exists()


def test_the_command_line_says_in_one_sentence_what_is_wrong(tmp_path: Path) -> None:
    arguments = ["--input", str(tmp_path / "nothing"), "--output", str(tmp_path / "dataset")]
    with pytest.raises(SystemExit, match="neither a folder nor a CSV or Parquet file"):
        main(["run", *arguments])
    with pytest.raises(SystemExit, match="is no dataset; make it with"):
        main(["decontaminate", "--dataset", str(tmp_path), "--benchmark", str(tmp_path)])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("part", ["", "-000"], ids=["file", "clip"])
def test_what_kills_its_worker_three_times_is_given_up_and_named(
    footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    videos, output = tmp_path / "videos", tmp_path / "dataset"
    videos.mkdir()
    for name, film in (("killer.mp4", "film-00001.mp4"), ("other.mp4", "film-00002.mp4")):
        shutil.copy(footage / "videos" / film, videos / name)
    killer, _ = read_sources(videos)
    attempts = Attempts(output / "work/attempts")
    for _ in range(3):
        if not (worker := os.fork()):
            with attempts.of(name_video(killer, mark_contents(killer)) + part):
                os.kill(os.getpid(), signal.SIGKILL)  # as a fault of memory does
        assert os.WIFSIGNALED(os.waitpid(worker, 0)[1])
    (output / "dataset.json").write_text("{}")
    monkeypatch.setattr(Attempts, "forget", lambda self: None)  # it is the same run
    curate(videos, output, workers=0)
    (first, *_), (dropped, *others) = (
        rows(output, table) for table in ("videos", "clips" if part else "videos")
    )
    assert first["video"] == dropped["video"] == "killer.mp4"
    assert (dropped["status"], dropped["reason"]) == ("dropped", "kills its worker")
    assert "was ended 3 times" in dropped["detail"]
    assert others and {row["reason"] for row in others} == {None}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_run_on_ray_goes_on_and_ends_as_an_undisturbed_one(
    footage: Path, dataset: Path, tmp_path: Path
) -> None:
    output = tmp_path / "dataset"
    command = [sys.executable, "-m", "train.curation", "run", "--input", str(footage / "videos")]
    command += ["--output", str(output), "--workers", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 400
    while len(list((output / "work").rglob("faces/*/*.safetensors"))) < 3 and time.monotonic() < deadline:
        assert run.poll() is None, "the run ended before it could be killed"
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert not (output / "tables").exists()
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=400)
    assert "pairs_trade_off" in said.stdout
    assert digest(output) == digest(dataset)
