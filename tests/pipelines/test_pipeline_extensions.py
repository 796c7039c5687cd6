"""What diffusers adds to a pipeline: step caches, LoRA, offloading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    FasterCacheConfig,
    FirstBlockCacheConfig,
    MagCacheConfig,
    PyramidAttentionBroadcastConfig,
    SeaCacheConfig,
    TaylorSeerCacheConfig,
)
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from PIL import Image
from torch import Tensor

from concat_id import ConcatIDWanPipeline
from concat_id.errors import InputError
from concat_id.pipelines.guidance import GuidanceMixin

STEPS = 6
ALWAYS = (-1, 1001)  # timesteps

CACHES: dict[str, Callable[[ConcatIDWanPipeline], Any]] = {
    "first block": lambda pipeline: FirstBlockCacheConfig(threshold=0.5),
    "mag": lambda pipeline: MagCacheConfig(
        mag_ratios=[1.0] * STEPS, num_inference_steps=STEPS, threshold=0.5, retention_ratio=0.2
    ),
    "taylor": lambda pipeline: TaylorSeerCacheConfig(
        cache_interval=2, disable_cache_before_step=2, cache_identifiers=["blocks.*attn."]
    ),
    "sea": lambda pipeline: SeaCacheConfig(threshold=10.0),
    "pyramid": lambda pipeline: PyramidAttentionBroadcastConfig(
        spatial_attention_block_skip_range=2,
        spatial_attention_timestep_skip_range=ALWAYS,
        cross_attention_block_skip_range=3,
        cross_attention_timestep_skip_range=ALWAYS,
        current_timestep_callback=lambda: pipeline.current_timestep,
    ),
    "faster": lambda pipeline: FasterCacheConfig(
        spatial_attention_block_skip_range=2,
        spatial_attention_timestep_skip_range=ALWAYS,
        unconditional_batch_skip_range=2,
        unconditional_batch_timestep_skip_range=ALWAYS,
        attention_weight_callback=lambda _: 0.5,
        current_timestep_callback=lambda: pipeline.current_timestep,
    ),
}


def sample(pipeline: ConcatIDWanPipeline, references: list[Image.Image], **options: Any) -> Tensor:
    """Latents of a small video."""
    return pipeline(
        "A person laughs.",
        references,
        height=32,
        width=48,
        num_frames=5,
        num_inference_steps=STEPS,
        generator=torch.Generator().manual_seed(0),
        output_type="latent",
        **options,
    ).frames


@pytest.mark.parametrize("is_batched", [True, False], ids=["batched", "one by one"])
@pytest.mark.parametrize("name", CACHES)
def test_cache_saves_work(
    pipeline: ConcatIDWanPipeline,
    pictures: list[Image.Image],
    name: str,
    is_batched: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not is_batched:
        monkeypatch.setattr(GuidanceMixin, "max_batched_tokens", 0)
    computed = []
    to_q = pipeline.transformer.blocks[1].attn1.to_q
    to_q.register_forward_pre_hook(lambda _, args: computed.append(len(args[0])))
    exact, full = sample(pipeline, pictures), sum(computed)

    pipeline.transformer.enable_cache(CACHES[name](pipeline))
    computed.clear()
    cached = sample(pipeline, pictures)
    assert 0 < sum(computed) < full
    assert not torch.equal(cached, exact)
    torch.testing.assert_close(cached, exact, atol=0.3, rtol=0.3)
    assert torch.equal(sample(pipeline, pictures), cached), "a run begins with an empty cache"
    assert next(pipeline.stream("Another.", pictures, height=32, width=48, num_frames=5)).index == 0
    assert torch.equal(sample(pipeline, pictures), cached), "also after one that was left early"

    pipeline.transformer.disable_cache()
    assert torch.equal(sample(pipeline, pictures), exact)


@pytest.mark.parametrize("name", CACHES)
def test_cache_without_references(pipeline: ConcatIDWanPipeline, name: str) -> None:
    exact = sample(pipeline, [])
    pipeline.transformer.enable_cache(CACHES[name](pipeline))
    torch.testing.assert_close(sample(pipeline, []), exact, atol=0.3, rtol=0.3)


@pytest.mark.parametrize("name", CACHES)
def test_cache_beside_skipped_layers(
    pipeline: ConcatIDWanPipeline, pictures: list[Image.Image], name: str
) -> None:
    options = {"guidance_scale": 1.5, "skip_guidance_layers": [1]}
    exact = sample(pipeline, pictures, **options)
    pipeline.transformer.enable_cache(CACHES[name](pipeline))
    if pipeline.transformer.is_cache_shared_by_passes:
        with pytest.raises(InputError, match="needs a cache that tells passes apart"):
            sample(pipeline, pictures, **options)
    else:
        torch.testing.assert_close(sample(pipeline, pictures, **options), exact, atol=0.3, rtol=0.3)


@pytest.mark.parametrize(
    "targets", ["to_q|to_k|to_v|to_out.0|ffn.net.0.proj|ffn.net.2", "reference_time_proj"]
)
def test_lora_changes_and_restores(
    pipeline: ConcatIDWanPipeline, pictures: list[Image.Image], tmp_path: Path, targets: str
) -> None:
    exact = sample(pipeline, pictures)
    trained = ConcatIDWanPipeline.from_pretrained(pipeline.config._name_or_path).transformer
    trained.add_adapter(LoraConfig(r=2, init_lora_weights=False, target_modules=targets.split("|")))
    layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(trained))
    ConcatIDWanPipeline.save_lora_weights(tmp_path, transformer_lora_layers=layers)

    pipeline.load_lora_weights(tmp_path)
    changed = sample(pipeline, pictures)
    assert not torch.allclose(changed, exact, atol=1e-4)
    torch.testing.assert_close(sample(pipeline, pictures, attention_kwargs={"scale": 0.0}), exact)
    halved = sample(pipeline, pictures, attention_kwargs={"scale": 0.5})
    pipeline.set_adapters("default_0", 0.5)
    torch.testing.assert_close(sample(pipeline, pictures), halved, atol=1e-5, rtol=1e-5)
    pipeline.set_adapters("default_0", 0.0)
    torch.testing.assert_close(sample(pipeline, pictures), exact)
    pipeline.set_adapters("default_0", 1.0)
    pipeline.fuse_lora()
    torch.testing.assert_close(sample(pipeline, pictures), changed, atol=1e-4, rtol=1e-4)
    pipeline.unfuse_lora()
    pipeline.unload_lora_weights()
    torch.testing.assert_close(sample(pipeline, pictures), exact)


def test_group_offload_of_all_components(pipeline: ConcatIDWanPipeline, pictures: list[Image.Image]) -> None:
    exact = sample(pipeline, pictures)
    pipeline.enable_group_offload(
        onload_device=torch.device("cpu"), offload_device=torch.device("cpu"), offload_type="leaf_level"
    )
    assert torch.equal(sample(pipeline, pictures), exact)


@pytest.mark.requires_gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("method", ["enable_model_cpu_offload", "enable_sequential_cpu_offload"])
def test_cpu_offload(pipeline: ConcatIDWanPipeline, pictures: list[Image.Image], method: str) -> None:
    exact = sample(pipeline, pictures)
    getattr(pipeline, method)()
    found = sample(pipeline, pictures)
    assert pipeline.transformer.device.type in ("cpu", "meta")
    torch.testing.assert_close(found.cpu(), exact, atol=1e-3, rtol=1e-3)
