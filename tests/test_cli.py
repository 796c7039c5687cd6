"""The command line: results on standard output, progress and one-sentence refusals on standard error."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toys import clip_of, is_same_video, landscape, portrait, two_people

from concat_id.__main__ import build_parser, main
from concat_id.commands import generate as generate_command
from concat_id.errors import InvalidJob
from concat_id.job import Job
from concat_id.loading import load, presets
from concat_id.references.reference import Reference

ROOT = Path(presets.__file__).resolve().parents[2]


pytestmark = pytest.mark.usefixtures("known_toy")


@pytest.fixture
def face(tmp_path: Path) -> str:
    path = tmp_path / "face.png"
    portrait(3).save(path)
    return str(path)


def generate(face: str, output: Path, *options: str) -> int:
    """Run `generate` with the toy preset."""
    line = [
        "generate",
        "--preset",
        "toy",
        "--device",
        "cpu",
        "--reference",
        face,
        "--prompt",
        "A person waves.",
    ]
    return main([*line, "--output", str(output), *options])


def test_generate_ends_with_one_line_of_json(
    face: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.mp4"
    assert generate(face, output, "--seed", "7", "--json", "--task", "single") == 0
    printed = capsys.readouterr()
    report = json.loads(printed.out.splitlines()[-1])
    assert {"arcsim", "clipdist", "face_rate", "strict_arcsim"} <= report["scores"].keys()
    assert report["output"] == str(output) and output.is_file() and report["seconds"] > 0
    assert report["seed"] == 7
    assert "step 1/4" in printed.err and "step" not in printed.out


def test_options_reach_the_job(face: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {
        "--steps": "2",
        "--guidance": "1.5",
        "--reference-guidance": "2.0",
        "--negative-prompt": "blurry",
        "--face-index": "0",
        "--seed": "11",
    }
    line = [part for option in options.items() for part in option]
    assert generate(face, tmp_path / "out.mp4", *line, "--whole-picture") == 0
    job = json.loads((tmp_path / "out.json").read_text())["job"]
    assert job["references"] == [
        {"role": "face", "picture": "out-reference-1.png", "face_index": 0, "whole_picture": True}
    ]
    settings = job["settings"]
    assert (settings["num_inference_steps"], settings["seed"], settings["negative_prompt"]) == (
        2,
        11,
        "blurry",
    )
    assert (settings["guidance_scale"], settings["reference_guidance_scale"]) == (1.5, 2.0)
    assert "output: " in capsys.readouterr().out


def test_a_job_s_file_is_run_as_it_is(face: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate(face, tmp_path / "first" / "out.mp4", "--seed", "5", "--steps", "2") == 0
    line = ["generate", "--job", str(tmp_path / "first" / "out.json"), "--device", "cpu"]
    assert main([*line, "--output", str(tmp_path / "second" / "out.mp4")]) == 0
    first, second = (tmp_path / folder / "out.mp4" for folder in ("first", "second"))
    assert is_same_video(first, second) and "other weights" not in capsys.readouterr().err
    sidecar = tmp_path / "first" / "out.json"
    report = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps(report | {"model": {"weights_sha256": "0" * 64}}))
    assert main([*line, "--output", str(tmp_path / "third.mp4")]) == 0
    assert "was made by other weights than 'toy' has now" in capsys.readouterr().err
    assert main([*line, "--prompt", "A person sits.", "--steps", "2"]) == 2
    assert "--job and --prompt, --steps were both given" in capsys.readouterr().err


def test_a_portrait_and_its_length_are_asked_for_by_options(
    face: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from concat_id.output.video import read_video

    output = tmp_path / "out.mp4"
    assert generate(face, output, "--size", "64x96", "--frames", "13", "--fps", "6", "--steps", "1") == 0
    found = read_video(output)
    assert found.frames.shape == (13, 96, 64, 3) and found.fps == 6
    line = ["generate", "--job", str(tmp_path / "out.json"), "--device", "cpu"]
    assert main([*line, "--output", str(tmp_path / "again" / "out.mp4")]) == 0
    assert is_same_video(output, tmp_path / "again" / "out.mp4")
    capsys.readouterr()
    for size, said in (("wide", "give width x height"), ("65x96", "multiple of 32"), ("9999x64", "width")):
        assert generate(face, output, "--size", size) == 2
        assert said in capsys.readouterr().err


def read_job(*options: str) -> Job:
    """The job that options of `generate` describe."""
    return generate_command.read_job(
        build_parser().parse_args(["generate", "--prompt", "A person waves.", *options])
    )


def test_references_are_read_in_the_order_of_their_roles() -> None:
    job = read_job(
        *("--task", "try-on", "--background", "p.png", "--garment", "g.png", "--reference", "a.png"),
        *("--whole-picture", "garment"),
    )
    assert job.task == "try-on" and job.references == (
        Reference("face", "a.png"),
        Reference("garment", "g.png", whole_picture=True),
        Reference("background", "p.png"),
    )


def test_every_face_can_be_chosen() -> None:
    pictures = ("--task", "multi", "--reference", "a.png", "--reference", "b.png")
    job = read_job(*pictures, "--face-index", "2", "--face-index", "0")
    assert job.references == (Reference("face", "a.png", 2), Reference("face", "b.png", 0))
    with pytest.raises(InvalidJob, match="got 1 --face-index for 2 --reference; give one for each"):
        read_job(*pictures, "--face-index", "2")


def test_score_reads_a_picture_and_a_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from concat_id.output.video import write_video

    portrait(5, identity_seed=5).save(tmp_path / "face.png")
    write_video(clip_of(50, identity_seed=5), 8, tmp_path / "video.mp4")
    files = ["--reference", str(tmp_path / "face.png"), "--video", str(tmp_path / "video.mp4")]
    assert main(["score", *files, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert scores["face_rate"] == 1 and scores["arcsim"] > 0 and 0 < scores["cursim"] <= 1
    assert main(["score", *files, "--sampling", "consisid-16"]) == 0
    printed = capsys.readouterr().out
    assert "arcsim: " in printed and f"cursim: {scores['cursim']:.3f}\n" in printed
    assert "viclip" not in printed  # there was no prompt


def test_score_computes_what_generate_does(
    face: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from concat_id.output.video import read_video

    output = tmp_path / "out.mp4"
    assert generate(face, output, "--seed", "7", "--steps", "1", "--json") == 0
    generated = json.loads(capsys.readouterr().out)["scores"]
    line = ["score", "--reference", face, "--video", str(output), "--prompt", "A person waves."]
    assert main([*line, "--preset", "toy", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert scores.keys() == generated.keys() and "cursim" in scores
    frames = read_video(output).frames
    assert scores["viclip"] == pytest.approx(load.load_video_text().score(frames, "A person waves."))


def test_score_says_whose_face_it_takes_and_takes_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from concat_id.output.video import write_video

    group = Path(__file__).with_name("cases") / "group.png"
    write_video(clip_of(50), 8, tmp_path / "video.mp4")
    line = ["score", "--reference", str(group), "--video", str(tmp_path / "video.mp4"), "--json"]
    assert main(line) == 0
    printed = capsys.readouterr()
    assert printed.err == "note: The picture shows 2 faces; the largest one is used.\n"
    largest = json.loads(printed.out)["scores"]
    assert json.loads(printed.out)["notes"] == ["The picture shows 2 faces; the largest one is used."]
    assert main([*line, "--face-index", "0"]) == 0
    printed = capsys.readouterr()
    assert not printed.err and json.loads(printed.out)["scores"] == largest
    assert main([*line, "--face-index", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["arcsim"] != largest["arcsim"]
    assert main([*line, "--face-index", "2"]) == 2
    assert "faces 0 to 1 were found" in capsys.readouterr().err


def test_score_leaves_out_what_has_no_weights_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from concat_id.output.video import write_video

    absent = replace(presets.PRESETS["embedded"], curricular=tmp_path / "none", video_clip=tmp_path / "none")
    monkeypatch.setitem(presets.PRESETS, "embedded", absent)
    portrait(5).save(tmp_path / "face.png")
    write_video(clip_of(50), 8, tmp_path / "video.mp4")
    files = ["--reference", str(tmp_path / "face.png"), "--video", str(tmp_path / "video.mp4")]
    assert main(["score", *files, "--prompt", "A person waves.", "--json"]) == 0
    assert not {"cursim", "viclip"} & json.loads(capsys.readouterr().out)["scores"].keys()


def test_score_compares_several_people_and_things(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from concat_id.output.video import write_video

    landscape().save(tmp_path / "place.png")
    write_video(np.stack([np.asarray(two_people(0, 128))] * 3), 8, tmp_path / "video.mp4")
    line = ["score", "--video", str(tmp_path / "video.mp4"), "--background", str(tmp_path / "place.png")]
    for seed in (5, 6):
        portrait(seed).save(tmp_path / f"{seed}.png")
        line += ["--reference", str(tmp_path / f"{seed}.png")]
    assert main([*line, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert len(scores["people"]) == 2 and scores["worst"] in (0, 1) and "garment" not in scores
    assert -1 <= scores["background"] <= 1 and 0 <= scores["order_rate"] <= 1
    assert main(line) == 0
    printed = capsys.readouterr().out
    assert f"person {scores['worst'] + 1}, the least alike:" in printed and "person 2" in printed


@pytest.mark.parametrize(
    "options, message",
    [
        (["--seed", "-2"], "seed must be a whole number from 0 to 4294967295, got -2"),
        (["--task", "multi", "--preset", "wan-1.3b-adaln"], "cannot do the task 'multi'"),
        (["--steps", "0"], "num_inference_steps must be"),
        (["--device", "tpu"], "device 'tpu' is not on this machine"),
        (["--face-index", "5"], "face_index is 5"),
        (["--garment", "shirt.png"], "takes one face reference, got face, garment"),
    ],
)
def test_bad_options_end_with_one_sentence(
    face: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert generate(face, tmp_path / "out.mp4", *options) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.count("\n") == 1 and not printed.out
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("options", [["--steps", "many"], ["--preset", "none"], ["--bogus"]])
def test_unknown_options_end_with_one_sentence(
    face: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        generate(face, tmp_path / "out.mp4", *options)
    assert end.value.code == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("concat_id: ") and printed.err.count("\n") == 1


@pytest.mark.parametrize(
    "line, message",
    [
        (["generate", "--reference", "face.png"], "there is no prompt; give --prompt"),
        (["generate", "--prompt", "A person waves."], "takes one face reference, got none"),
        (["generate", "--job", "none.json"], "'none.json' is not a readable job"),
        (["score", "--video", "video.mp4"], "there is nobody to compare with; give --reference"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(
    line: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1


def test_bad_files_end_with_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    assert generate(str(tmp_path / "text.png"), tmp_path / "out.mp4") == 2
    assert "not a readable picture" in capsys.readouterr().err
    two_people(0).save(tmp_path / "two.png")
    assert (
        main(["score", "--reference", str(tmp_path / "two.png"), "--video", str(tmp_path / "text.png")]) == 2
    )
    assert "not a readable video" in capsys.readouterr().err
    line = ["convert", "--checkpoint", str(tmp_path / "none.pt"), "--base", "wan2.1-t2v-1.3b"]
    assert main([*line, "--output", str(tmp_path / "folder")]) == 2
    error = capsys.readouterr().err
    assert "none.pt" in error and error.count("\n") == 1


def test_as_a_module_it_refuses_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "concat_id", "generate"]
    run = subprocess.run(
        [*command, "--reference", "none.png", "--prompt", "", "--output", str(tmp_path / "out.mp4")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2 and run.stdout == ""
    assert run.stderr.splitlines()[-1].startswith("concat_id: the prompt is empty")
    assert " torch\n" not in run.stderr and " numpy\n" not in run.stderr
