"""References that are computed every few steps: what is saved, what it costs, and what it works beside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import (
    FirstBlockCacheConfig,
    MagCacheConfig,
    PyramidAttentionBroadcastConfig,
    SeaCacheConfig,
    TaylorSeerCacheConfig,
)
from PIL import Image
from torch import Tensor

from concat_id.pipelines.guidance import GuidanceMixin
from concat_id.pipelines.pipeline import ConcatIDPipeline

STEPS = 6
BLOCK_CACHES: dict[str, Callable[[], Any]] = {
    "first block": lambda: FirstBlockCacheConfig(threshold=0.3),
    "mag": lambda: MagCacheConfig(
        mag_ratios=[1.0] * STEPS,
        num_inference_steps=STEPS,
        threshold=0.5,
        retention_ratio=0.2,
        max_skip_steps=1,
    ),
    "taylor": lambda: TaylorSeerCacheConfig(
        cache_interval=2, disable_cache_before_step=2, use_lite_mode=True
    ),
    "sea": lambda: SeaCacheConfig(threshold=10.0),
}


@pytest.fixture(params=["pipeline", "cogvideox_pipeline"], ids=["wan", "cogvideox"])
def either(request: pytest.FixtureRequest) -> ConcatIDPipeline:
    """The toy pipeline of each backbone."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=[True, False], ids=["batched", "one by one"])
def passes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step's passes as one batch, or one by one."""
    if not request.param:
        monkeypatch.setattr(GuidanceMixin, "max_batched_tokens", 0)


def sample(pipeline: ConcatIDPipeline, references: list[Image.Image], **options: Any) -> Tensor:
    """Latents of a small video."""
    return pipeline(
        "A person laughs.",
        references,
        height=32,
        width=48,
        num_frames=9,
        num_inference_steps=STEPS,
        generator=torch.Generator().manual_seed(0),
        output_type="latent",
        **options,
    ).frames


def count_tokens(pipeline: ConcatIDPipeline) -> list[int]:
    """A list that grows by the tokens of each self-attention of the second block."""
    block, counted = pipeline.transformer.list_blocks()[1], []
    block.attn1.to_q.register_forward_pre_hook(lambda _, args: counted.append(args[0].shape[1]))
    return counted


@pytest.mark.usefixtures("passes")
def test_references_are_computed_every_few_steps(
    either: ConcatIDPipeline, pictures: list[Image.Image]
) -> None:
    counted = count_tokens(either)
    exact, whole = sample(either, pictures), counted[0]
    counted.clear()
    without = sample(either, [])
    video = counted[0]

    either.transformer.enable_reference_cache(interval=3)
    counted.clear()
    cached = sample(either, pictures)
    passes = len(counted) // STEPS
    assert counted == [n for step in range(STEPS) for n in [whole if step % 3 == 0 else video] * passes]
    error = (cached - exact).abs().mean()
    assert 0 < error < 0.2 * (without - exact).abs().mean(), "the kept references stand for the true ones"
    assert torch.equal(sample(either, pictures), cached), "a run begins with an empty cache"
    assert torch.equal(sample(either, []), without)
    stream = either.stream("Another.", pictures, height=32, width=48, num_frames=9)
    next(stream), next(stream)
    stream.close()
    assert torch.equal(sample(either, pictures), cached), "also after one that was left early"

    either.transformer.disable_reference_cache()
    assert torch.equal(sample(either, pictures), exact)


@pytest.mark.usefixtures("passes")
def test_an_interval_of_one_is_exact(either: ConcatIDPipeline, pictures: list[Image.Image]) -> None:
    exact = sample(either, pictures)
    either.transformer.enable_reference_cache(interval=1)
    torch.testing.assert_close(sample(either, pictures), exact, atol=1e-5, rtol=1e-5)


def test_passes_are_kept_apart(either: ConcatIDPipeline, pictures: list[Image.Image]) -> None:
    """The pass without references among them, and one that begins in mid-run."""
    options = {"reference_guidance_scale": 1.5}

    def lower(pipeline: ConcatIDPipeline, index: int, *_: Any) -> dict[str, Tensor]:
        if index == 3:
            pipeline._guidance_scale = 1.0
        return {}

    for more in ({}, {"callback_on_step_end": lower}):
        exact = sample(either, pictures, **options, **more)
        either.transformer.enable_reference_cache(interval=2)
        torch.testing.assert_close(sample(either, pictures, **options, **more), exact, atol=0.1, rtol=0.1)
        either.transformer.disable_reference_cache()


@pytest.mark.parametrize("name", BLOCK_CACHES)
def test_beside_caches_of_blocks(either: ConcatIDPipeline, pictures: list[Image.Image], name: str) -> None:
    if name == "sea" and type(either).__name__.endswith("CogVideoXPipeline"):
        pytest.skip("diffusers' SeaCache needs flow matching")
    transformer, exact, counted = either.transformer, sample(either, pictures), count_tokens(either)

    def measure() -> tuple[float, int]:
        """Error and computed tokens."""
        counted.clear()
        return (sample(either, pictures) - exact).abs().mean().item(), sum(counted)

    transformer.enable_cache(BLOCK_CACHES[name]())
    error, tokens = measure()
    transformer.enable_reference_cache(interval=2)
    error_of_both, tokens_of_both = measure()
    transformer.disable_cache()
    _, tokens_of_other = measure()
    assert tokens_of_both <= min(tokens, tokens_of_other)
    transformer.disable_reference_cache()
    assert error_of_both < error + 0.5 * (sample(either, []) - exact).abs().mean().item()


def test_what_does_not_go_together(either: ConcatIDPipeline) -> None:
    transformer = either.transformer
    transformer.enable_reference_cache(interval=2)
    for config in (
        TaylorSeerCacheConfig(),
        PyramidAttentionBroadcastConfig(spatial_attention_block_skip_range=2),
    ):
        with pytest.raises(ValueError, match="caches single layers.* disable one of them"):
            transformer.enable_cache(config)
    transformer.disable_reference_cache()
    transformer.enable_cache(
        PyramidAttentionBroadcastConfig(
            spatial_attention_block_skip_range=2, current_timestep_callback=lambda: either.current_timestep
        )
    )
    with pytest.raises(ValueError, match="caches single layers"):
        transformer.enable_reference_cache(interval=2)
    with pytest.raises(ValueError, match="interval must be at least 1, got 0"):
        transformer.enable_reference_cache(interval=0)


def test_a_chosen_backend_stays(pipeline: ConcatIDPipeline, pictures: list[Image.Image]) -> None:
    def backends() -> list[Any]:
        return [block.attn1.processor._attention_backend for block in pipeline.transformer.blocks]

    pipeline.transformer.set_attention_backend("native")
    chosen = backends()
    assert None not in chosen
    pipeline.transformer.enable_reference_cache(interval=2)
    assert backends() == chosen
    assert sample(pipeline, pictures).isfinite().all()
