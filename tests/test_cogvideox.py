"""The second backbone the whole way: a job of two people, the command line, own weights, the evaluation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model_state_dict
from toys import (
    landscape,
    make_cogvideox_transformer,
    portrait,
    run,
    toy_cogvideox_preset,
    write_toy_pipeline,
)

from concat_id import ConcatIDCogVideoXPipeline
from concat_id.__main__ import main
from concat_id.errors import InvalidJob, InvalidWeights
from concat_id.evaluation.judges import load_judges
from concat_id.generation import Preview
from concat_id.job import Job
from concat_id.loading import load
from concat_id.loading.load import load_pipeline
from concat_id.loading.own_weights import register_weights
from concat_id.loading.presets import PRESETS
from concat_id.references.reference import Reference
from concat_id.settings import Settings


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """What one test loads or registers, no other test finds."""
    known = dict(PRESETS)
    yield
    for name in PRESETS.keys() - known.keys():
        del PRESETS[name]
    for cached in (load._load_pipeline, load._load_face_tools, load.weights_digest, load_judges):
        cached.cache_clear()


@pytest.fixture
def toy(toy_cogvideox_folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a preset of two people with random weights."""
    monkeypatch.setitem(PRESETS, "toy-two", toy_cogvideox_preset(toy_cogvideox_folder))
    return "toy-two"


@pytest.fixture
def job(toy: str, tmp_path: Path) -> Job:
    """Two people, from left to right."""
    references = []
    for seed in (3, 5):
        portrait(seed, identity_seed=seed).save(tmp_path / f"{seed}.png")
        references.append(Reference("face", tmp_path / f"{seed}.png"))
    return Job("multi", tuple(references), "Two people wave.", Settings(seed=7), toy)


def test_a_job_of_two_people_becomes_a_video(job: Job, tmp_path: Path) -> None:
    (preview,), result = run(job, tmp_path / "out")
    assert isinstance(preview, Preview) and preview.frames.shape == (9, 64, 64, 3)
    assert result.frames.shape == (17, 64, 64, 3) and len(result.scores.people) == 2
    settings = result.job.settings
    assert (settings.guidance_scale, settings.negative_prompt, settings.fps) == (6.0, "", 8)
    # from the sidecar, and with the people in the other order
    again = Job.load(result.sidecar)
    assert np.array_equal(run(again, tmp_path / "again.mp4")[1].frames, result.frames)
    mirrored = run(again.with_pictures([r.picture for r in again.references[::-1]]), tmp_path / "other.mp4")
    assert not np.array_equal(mirrored[1].frames, result.frames)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_frames": 13}, r"num_frames must be 8 k \+ 1, got 13; try 9"),
        ({"height": 72}, "height must be a multiple of 16"),
    ],
)
def test_lengths_are_the_backbone_s(job: Job, change: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidJob, match=message):
        replace(job, settings=Settings(**change)).resolve()


def test_a_third_person_is_one_too_many(job: Job) -> None:
    with pytest.raises(InvalidJob, match="got 3 references; preset 'toy-two' takes at most 2"):
        replace(job, references=(*job.references, job.references[0])).resolve()


def test_the_command_line_makes_it_and_scores_it(
    job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [part for reference in job.references for part in ("--reference", reference.picture)]
    line = ["generate", "--task", "multi", *pictures, "--prompt", job.prompt, "--preset", job.preset]
    output = tmp_path / "two.mp4"
    assert main([*line, "--seed", "7", "--device", "cpu", "--output", str(output), "--json"]) == 0
    assert output.is_file()
    assert json.loads(output.with_suffix(".json").read_text())["job"]["preset"] == job.preset
    capsys.readouterr()


def test_own_weights_take_the_preset_s_place(toy: str, toy_cogvideox_folder: Path, tmp_path: Path) -> None:
    transformer = make_cogvideox_transformer()
    transformer.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    ConcatIDCogVideoXPipeline.save_lora_weights(
        tmp_path,
        transformer_lora_layers=get_peft_model_state_dict(transformer),
        weight_name="mine.safetensors",
    )
    adapted = load_pipeline(register_weights(tmp_path / "mine.safetensors", toy).name, "cpu")
    plain = load_pipeline(toy, "cpu")
    assert type(adapted) is type(plain) is ConcatIDCogVideoXPipeline and adapted.vae is plain.vae
    weights = [pipe.transformer.transformer_blocks[0].attn1.to_q.weight for pipe in (adapted, plain)]
    assert not torch.allclose(*weights)

    assert register_weights(toy_cogvideox_folder, toy, "whole").name == "whole"
    with pytest.raises(InvalidWeights, match="neither a diffusers folder of ConcatIDCogVideoXPipeline"):
        register_weights(write_toy_pipeline(tmp_path / "wan"), toy)
    with pytest.raises(InvalidWeights, match="neither a diffusers folder of ConcatIDWanPipeline"):
        register_weights(toy_cogvideox_folder, "embedded")


def test_it_is_evaluated_on_what_it_can_do(toy: str, tmp_path: Path) -> None:
    people = []
    for seed in (3, 5, 9):
        portrait(seed, identity_seed=seed).save(tmp_path / f"p{seed}.png")
        people.append({"name": f"p{seed}", "picture": f"p{seed}.png", "truth": {}})
    landscape().save(tmp_path / "beach.png")
    prompts = {name: {"joy": [{"text": "people on a beach", "truth": {}}]} for name in ("two", "three")}
    data = {"people": people, "garments": [], "places": [], "prompts": prompts}
    (tmp_path / "benchmark.json").write_text(json.dumps(data))
    line = ["evaluate", "--preset", toy, "--device", "cpu", "--benchmark", str(tmp_path)]
    assert main([*line, "--output", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / toy / "report.json").read_text())
    assert report["sets"].keys() == {"two"} and not report["sets"]["two"]["errors"]
    assert report["not_computed"]["three"] == "it takes at most 2 references"
    assert report["not_computed"]["single"] == "it cannot do the task 'single'"
