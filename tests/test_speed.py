"""Speeds: what is left out, that it is little, and that it works beside everything else."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
from toys import run

from concat_id import ConcatIDWanPipeline
from concat_id.generation import prepare_reference, stream_job
from concat_id.job import Job
from concat_id.loading.load import load_pipeline
from concat_id.pipelines.pipeline import ConcatIDPipeline
from concat_id.settings import Settings
from concat_id.speed import FIRST_STEPS, SPEEDS, Speed, at_speed

STEPS = 8
COMBINATIONS = [Speed(*intervals) for intervals in product((1, 2), repeat=2)]


@pytest.fixture(params=["pipeline", "cogvideox_pipeline"], ids=["wan", "cogvideox"])
def either(request: pytest.FixtureRequest) -> ConcatIDPipeline:
    """The toy pipeline of each backbone."""
    return request.getfixturevalue(request.param)


def sample(pipeline: ConcatIDPipeline, references: list, speed: Speed) -> torch.Tensor:
    """Latents of a small video."""
    with at_speed(pipeline.transformer, speed):
        return pipeline(
            "A person laughs.",
            references,
            height=32,
            width=48,
            num_frames=9,
            num_inference_steps=STEPS,
            generator=torch.Generator().manual_seed(0),
            output_type="latent",
        ).frames


def test_some_steps_are_computed_and_the_others_follow_from_them(
    either: ConcatIDPipeline, pictures: list
) -> None:
    block, steps = either.transformer.list_blocks()[1], []
    block.attn1.to_q.register_forward_pre_hook(lambda *_: steps.append(either.current_timestep))
    exact = sample(either, pictures, SPEEDS["exact"])
    every = list(dict.fromkeys(float(step) for step in steps))
    errors = []
    for name in ("balanced", "fast"):
        steps.clear()
        found = sample(either, pictures, SPEEDS[name])
        computed = {every.index(float(step)) for step in steps}
        assert computed == {step for step in range(STEPS) if SPEEDS[name].computes(step)}
        assert set(range(FIRST_STEPS)) < computed and len(computed) == SPEEDS[name].count_computed(STEPS)
        errors.append((found - exact).abs().mean())
    assert 0 < errors[0] < errors[1] < 0.8 * exact.abs().mean()
    assert torch.equal(sample(either, pictures, SPEEDS["exact"]), exact), "nothing stays behind"


@pytest.mark.parametrize("speed", COMBINATIONS, ids=str)
def test_beside_what_saves_memory(pipeline: ConcatIDWanPipeline, pictures: list, speed: Speed) -> None:
    exact = sample(pipeline, pictures, speed)
    pipeline.transformer.enable_group_offload(
        onload_device=torch.device("cpu"), offload_device=torch.device("cpu"), offload_type="leaf_level"
    )
    assert torch.equal(sample(pipeline, pictures, speed), exact)
    pipeline.transformer.enable_layerwise_casting(
        storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32
    )
    cast = sample(pipeline, pictures, speed)
    assert not torch.equal(cast, exact) and (cast - exact).abs().mean() < 0.3 * exact.abs().mean()


@pytest.mark.usefixtures("known_toy")
def test_a_run_that_is_left_leaves_no_cache_behind(job: Job) -> None:
    pipeline = load_pipeline("toy", "cpu", torch.float32)
    prepared = [prepare_reference(job.references[0], preset="toy")]
    steps = stream_job(pipeline, replace(job, settings=Settings(seed=7, speed="fast")).resolve(), prepared)
    next(steps)
    assert pipeline.transformer.is_cache_enabled
    steps.close()
    assert not pipeline.transformer.is_cache_enabled and pipeline.transformer._reference_cache is None


@pytest.mark.usefixtures("known_toy")
def test_a_sidecar_says_how_fast_it_was(job: Job, tmp_path: Path) -> None:
    _, balanced = run(job, tmp_path / "out")
    assert Job.load(balanced.sidecar).settings.speed == "balanced"
    old = job.to_dict() | {"settings": {"seed": 7, "num_inference_steps": 4}}
    assert Job.from_dict(old).settings.fill_former().speed == "exact", "before there were others"
