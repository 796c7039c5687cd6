"""Jobs are checked once, survive JSON, and once resolved say everything that determines a video."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import pytest

from concat_id.errors import InputError, InvalidJob
from concat_id.job import TASK_ROLES, Job
from concat_id.loading.presets import PRESETS, Task
from concat_id.references.reference import Reference, Role
from concat_id.settings import SEED_LIMIT, Settings

FACE = Reference("face", "face.png")
JOB = Job("single", (FACE,), "A person laughs on a beach.")


def job_of(task: Task, *roles: Role) -> Job:
    """A job with references of these roles."""
    return replace(JOB, task=task, references=tuple(Reference(role, f"{role}.png") for role in roles))


def with_settings(**settings: Any) -> Job:
    """A job with some settings of its own."""
    return replace(JOB, settings=Settings(**settings))


@pytest.mark.parametrize("name", PRESETS)
def test_resolving_fills_in_the_presets_values(name: str) -> None:
    preset = PRESETS[name]
    job = JOB if "single" in preset.tasks else job_of("multi", "face", "face")
    settings = replace(job, preset=name).resolve().settings
    for setting in fields(Settings):
        if setting.name != "seed":
            assert getattr(settings, setting.name) == getattr(preset, setting.name)


def test_given_settings_are_kept() -> None:
    given = Settings(7, 3, 1.5, 2.0, "blurry", 9, 64, 96, 12, "fast", (2, 3), 1.5, 32)
    assert replace(JOB, settings=given).resolve().settings == given


def test_a_schedule_without_a_shift_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "embedded", replace(PRESETS["embedded"], shift=None))
    assert JOB.resolve().settings.shift is None
    with pytest.raises(InvalidJob, match="has no shift; leave it out"):
        with_settings(shift=3.0).resolve()


def test_resolving_twice_changes_nothing() -> None:
    resolved = JOB.resolve()
    assert resolved.resolve() == resolved


def test_seeds_are_drawn_from_the_whole_range() -> None:
    seeds = {JOB.resolve().settings.seed for _ in range(64)}
    assert len(seeds) > 60 and max(seeds) > 2**28 and all(0 <= seed < SEED_LIMIT for seed in seeds)


@pytest.mark.parametrize("seed", [0, SEED_LIMIT - 1])
def test_the_seeds_range_is_closed(seed: int) -> None:
    assert with_settings(seed=seed).resolve().settings.seed == seed


def test_json_round_trip() -> None:
    job = replace(JOB, references=(Reference("face", "a/b.png", 2, True),)).resolve()
    assert Job.from_dict(json.loads(json.dumps(job.to_dict()))) == job


def test_the_shortest_description_is_enough() -> None:
    data = {"task": "single", "references": [{"role": "face", "picture": "face.png"}], "prompt": JOB.prompt}
    assert Job.from_dict(data) == JOB


@pytest.mark.parametrize(
    "change, message",
    [
        ({"sed": 7}, "job has unknown keys: sed"),
        ({"settings": {"steps": 7}}, "settings has unknown keys: steps"),
        (
            {"references": [{"role": "face", "picture": "x", "file": "x"}]},
            r"references\[0\] has unknown keys: file",
        ),
        ({"references": [{"role": "face"}]}, r"references\[0\] lacks picture"),
        ({"references": "face.png"}, "references must be a list"),
        ({"settings": 3}, "settings must be an object, got 3"),
    ],
)
def test_what_a_job_does_not_have_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidJob, match=message):
        Job.from_dict(JOB.to_dict() | change)


def test_missing_keys_are_refused_by_name() -> None:
    with pytest.raises(InvalidJob, match="job lacks references, prompt"):
        Job.from_dict({"task": "single"})


@pytest.mark.parametrize(
    "job, message",
    [
        (with_settings(seed=-2), "seed must be a whole number from 0 to 4294967295, got -2"),
        (with_settings(seed=SEED_LIMIT), "seed must be"),
        (with_settings(seed=True), "seed must be a whole number"),
        (with_settings(seed="7"), "seed must be a whole number"),
        (with_settings(num_inference_steps=0), "num_inference_steps must be"),
        (with_settings(guidance_scale=float("nan")), "guidance_scale must be from 0 to 30, got nan"),
        (with_settings(reference_guidance_scale=-1.0), "reference_guidance_scale must be"),
        (with_settings(shift=0), "shift must be from 0.1 to 30, got 0"),
        (with_settings(max_sequence_length=0), "max_sequence_length must be a whole number from 1 to 512"),
        (with_settings(skip_guidance_layers=1), "skip_guidance_layers must be a list of at most 100 numbers"),
        (with_settings(skip_guidance_layers=[-1]), "each of skip_guidance_layers must be a whole number"),
        (with_settings(negative_prompt=5), "negative_prompt must be a text"),
        (with_settings(num_frames=16), r"num_frames must be 4 k \+ 1, got 16; try 13"),
        (with_settings(num_frames=401), "num_frames must be a whole number from 1 to 34"),
        (with_settings(height=130), "height must be a multiple of 32, got 130; try 128"),
        (with_settings(width=4096), "width must be a whole number from 64 to 512"),
        (with_settings(fps=0), "fps must be"),
        (with_settings(speed="warp"), "speed must be 'exact' or 'balanced' or 'fast', got 'warp'"),
        (replace(JOB, prompt=" \n"), "the prompt is empty"),
        (replace(JOB, prompt=None), "prompt must be a text"),
        (replace(JOB, prompt="x" * 5000), "prompt has 5000 characters"),
        (replace(JOB, preset="wan-14b"), "preset is 'wan-14b'; choose 'embedded' or 'embedded-draft' or"),
        (replace(JOB, task="sing"), "task is 'sing'; choose 'single' or"),
        (
            replace(JOB, task="multi", preset="wan-1.3b-adaln"),
            "preset 'wan-1.3b-adaln' cannot do the task 'multi'; it can do 'single'",
        ),
        (replace(JOB, references=()), "takes one face reference, got none"),
        (replace(JOB, references=(FACE, FACE)), "takes one face reference, got face, face"),
        (replace(JOB, references=(Reference("garment", "x"),)), "takes one face reference, got garment"),
        (replace(JOB, references=(Reference("face", "x", face_index=-1),)), "face_index must be"),
        (
            replace(JOB, references=(Reference("face", "x", whole_picture=1),)),
            "whole_picture must be true or false",
        ),
    ],
)
def test_what_a_preset_cannot_do_is_refused_in_one_sentence(job: Job, message: str) -> None:
    with pytest.raises(InvalidJob, match=message) as refusal:
        job.resolve()
    assert isinstance(refusal.value, InputError)
    assert "\n" not in str(refusal.value) and str(refusal.value).endswith(".")


def test_every_task_takes_its_references() -> None:
    assert set(TASK_ROLES) == set(get_args(Task))
    for task, choices in TASK_ROLES.items():
        for roles in choices:
            assert tuple(reference.role for reference in job_of(task, *roles).resolve().references) == roles


@pytest.mark.parametrize(
    "job, message",
    [
        (job_of("single", "face", "face"), "got face, face; for these choose the task 'multi'"),
        (
            job_of("multi", "face"),
            "two or three face references, .* got face; for these choose the task 'single'",
        ),
        (job_of("multi", *["face"] * 4), "two or three face references, from left to right, got face, face"),
        (job_of("try-on", "face"), "takes a face and a garment reference, .* the task 'single'"),
        (job_of("try-on", "garment", "face"), "got garment, face; give them in the order face, garment"),
        (
            job_of("try-on", "face", "background", "garment"),
            "give them in the order face, garment, background",
        ),
        (job_of("background", "background"), "takes a face and a background reference, got background"),
        (job_of("background", "face", "garment"), "for these choose the task 'try-on'"),
        (job_of("single", "hat"), "role is 'hat'; choose 'face' or 'garment' or 'background'"),
        (
            replace(JOB, task="try-on", references=(FACE, Reference("garment", "x", face_index=0))),
            "face_index is for faces; leave it out of the garment",
        ),
    ],
)
def test_references_that_do_not_fit_are_refused_with_a_way_out(job: Job, message: str) -> None:
    with pytest.raises(InvalidJob, match=message) as refusal:
        job.resolve()
    assert "\n" not in str(refusal.value) and str(refusal.value).endswith(".")


def test_a_task_that_the_preset_cannot_do_is_no_way_out() -> None:
    with pytest.raises(InvalidJob, match="got face, face.$"):
        replace(JOB, references=(FACE, FACE), preset="wan-1.3b-adaln").resolve()


def test_a_presets_limit_of_references_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "embedded", replace(PRESETS["embedded"], max_references=2))
    with pytest.raises(InvalidJob, match="got 3 references; preset 'embedded' takes at most 2"):
        job_of("multi", "face", "face", "face").resolve()


@pytest.mark.parametrize("wrap", [lambda job: job, lambda job: {"job": job, "scores": None}])
def test_a_file_s_pictures_are_relative_to_it(wrap: Any, tmp_path: Path) -> None:
    job = replace(JOB.resolve(), references=(FACE, Reference("face", "/elsewhere/face.png")))
    (tmp_path / "job.json").write_text(json.dumps(wrap(job.to_dict())))
    loaded = Job.load(tmp_path / "job.json")
    assert [reference.picture for reference in loaded.references] == [
        str(tmp_path / "face.png"),
        "/elsewhere/face.png",
    ]
    assert loaded.with_pictures(["face.png", "/elsewhere/face.png"]) == job


def test_an_earlier_sidecar_s_missing_reference_guidance_was_off(tmp_path: Path) -> None:
    data = JOB.to_dict() | {"settings": {"seed": 7, "reference_guidance_scale": None}}
    for name, content in (("sidecar", {"job": data}), ("job", data)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    assert Job.load(tmp_path / "sidecar.json").settings.reference_guidance_scale == 1
    assert Job.load(tmp_path / "job.json").settings.reference_guidance_scale is None


@pytest.mark.parametrize("text", ["{", "\u00ff", "[1]", "3"])
def test_files_that_hold_no_job_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(text, encoding="latin-1")
    with pytest.raises(InvalidJob, match="is not a readable job|job must be an object"):
        Job.load(tmp_path / "job.json")
    with pytest.raises(InvalidJob, match="is not a readable job"):
        Job.load(tmp_path / "none.json")


def test_minus_one_is_a_random_seed_wherever_it_comes_from() -> None:
    job = Job("single", (Reference("face", "face.png"),), "waving", Settings(seed=-1))
    assert job.settings == Settings()
    seeds = {job.resolve().settings.seed for _ in range(3)}
    assert len(seeds) == 3 and min(seeds) >= 0
    data = job.to_dict() | {"settings": {"seed": -1}}
    assert Job.from_dict(json.loads(json.dumps(data))).settings.seed is None


def test_whole_numbers_and_gaps_are_read_as_tables_write_them() -> None:
    """pandas and JavaScript write 6.0 for 6, and null for what a row leaves out."""
    written = {
        "task": "single",
        "references": [{"role": "face", "picture": "face.png", "face_index": None, "whole_picture": None}],
        "prompt": "waving",
        "settings": {"seed": 7.0, "num_inference_steps": 6.0, "fps": None, "guidance_scale": 2.5},
        "preset": None,
        "loras": None,
    }
    job = Job.from_dict(written).resolve()
    assert (job.settings.seed, job.settings.num_inference_steps, job.settings.guidance_scale) == (7, 6, 2.5)
    assert isinstance(job.settings.seed, int) and job.preset == "embedded" and job.loras == ()
    for settings, said in (({"seed": 7.5}, "seed"), ({"num_frames": float("inf")}, "num_frames")):
        with pytest.raises(InvalidJob, match=said):
            Job.from_dict(written | {"settings": settings}).resolve()
    with pytest.raises(InvalidJob, match="prompt must be a text"):
        Job.from_dict(written | {"prompt": None}).resolve()
