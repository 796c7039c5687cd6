"""CogVideoX's pipeline: the stock one without references, and what references, text and steps do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    CogVideoXDDIMScheduler,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    DiffusionPipeline,
    FirstBlockCacheConfig,
)
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from PIL import Image
from torch import Tensor
from transformers import T5EncoderModel

from concat_id import ConcatIDCogVideoXPipeline, Step
from concat_id.errors import InputError
from concat_id.pipelines.guidance import GuidanceMixin

SMALL = {"height": 32, "width": 48, "num_frames": 9, "num_inference_steps": 3}
SCHEDULERS = ["dpm", "ddim"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sample(pipeline: ConcatIDCogVideoXPipeline, *args: Any, seed: int = 0, **options: Any) -> Tensor:
    """Latents of a small video."""
    options = {"generator": seeded(seed), "output_type": "latent", **SMALL, **options}
    return pipeline(*(args or ("A person laughs.",)), **options).frames


@pytest.fixture(params=SCHEDULERS)
def pipeline(
    request: pytest.FixtureRequest, cogvideox_pipeline: ConcatIDCogVideoXPipeline
) -> ConcatIDCogVideoXPipeline:
    """The toy pipeline with either of CogVideoX's schedulers."""
    if request.param == "ddim":
        config = cogvideox_pipeline.scheduler.config
        cogvideox_pipeline.register_modules(scheduler=CogVideoXDDIMScheduler.from_config(config))
    return cogvideox_pipeline


def test_without_references_equals_stock_pipeline(pipeline: ConcatIDCogVideoXPipeline) -> None:
    stock = CogVideoXTransformer3DModel.from_config(pipeline.transformer.config).eval()
    stock.load_state_dict(pipeline.transformer.state_dict())
    cogvideox = CogVideoXPipeline(
        tokenizer=pipeline.tokenizer,
        text_encoder=pipeline.text_encoder,
        vae=pipeline.vae,
        transformer=stock,
        scheduler=type(pipeline.scheduler).from_config(pipeline.scheduler.config),
    )
    options = {"negative_prompt": "blurred", "guidance_scale": 6.0, "max_sequence_length": 32, **SMALL}
    for size in ({}, {"height": 64, "width": 32}):  # as trained, and with other positions
        for output_type in ("latent", "np"):
            asked = options | size | {"output_type": output_type}
            expected = cogvideox("A person &amp; a dog.", generator=seeded(), **asked).frames
            found = pipeline("A person &amp; a dog.", generator=seeded(), **asked).frames
            if output_type == "latent":
                found, expected = found.transpose(1, 2).numpy(), expected.numpy()
            np.testing.assert_allclose(found, expected, atol=1e-5)


def test_by_default_the_negative_is_zeros_with_the_references(
    pipeline: ConcatIDCogVideoXPipeline, pictures: list[Image.Image]
) -> None:
    seen: list[dict[str, Tensor]] = []
    pipeline.transformer.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs), with_kwargs=True
    )
    found = sample(pipeline, "A person.", pictures[:2])
    assert len(seen) == SMALL["num_inference_steps"] and pipeline.guidance_scale == 6.0
    for inputs in seen:
        negative, positive = inputs["encoder_hidden_states"]
        assert not negative.any() and positive.any()
        assert torch.equal(*inputs["reference_latents"]) and inputs["reference_latents"].any()
    for none in (None, ""):
        assert torch.equal(sample(pipeline, "A person.", pictures[:2], negative_prompt=none), found)
    assert not torch.allclose(sample(pipeline, "A person.", pictures[:2], negative_prompt="a dog"), found)

    both = pipeline.encode_negative_prompt(["", "a dog"], pipeline.encode_prompt(["one", "two"]))
    assert not both[0].any() and torch.equal(both[1:], pipeline.encode_prompt("a dog"))


def test_guidance_leads_from_zeroed_text(pipeline: ConcatIDCogVideoXPipeline) -> None:
    """x0 = sqrt(a) x - sqrt(1 - a) v with v = v0 + 6 (v1 - v0), and at pure noise a = 0."""
    step = next(pipeline.stream("A person.", generator=seeded(), **SMALL))
    noise = torch.randn(1, 3, 4, 4, 6, generator=seeded()).transpose(1, 2)
    embeds = pipeline.encode_prompt("A person.")
    with torch.no_grad():
        v0, v1 = (
            pipeline.transformer(noise, torch.tensor([999]), text).sample
            for text in (torch.zeros_like(embeds), embeds)
        )
    torch.testing.assert_close(step.clean_latents, -(v0 + 6 * (v1 - v0)), atol=1e-5, rtol=1e-5)


def test_seed_and_references_decide_the_video(
    pipeline: ConcatIDCogVideoXPipeline, pictures: list[Image.Image]
) -> None:
    first, second, _ = pictures
    video = sample(pipeline, "A person.", [first])
    assert video.shape == (1, 4, 3, 4, 6) and video.dtype == torch.float32
    assert torch.equal(sample(pipeline, "A person.", [first]), video)
    for other in (
        sample(pipeline, "A person.", [first], seed=1),
        sample(pipeline, "A person.", [second]),
        sample(pipeline, "A person.", [first, second]),
        sample(pipeline, "A person.", [second, first]),
        sample(pipeline, "A person."),
        sample(pipeline, "A dog.", [first]),
    ):
        assert not torch.allclose(other, video)


def test_references_are_scaled_one_frame_clips(
    pipeline: ConcatIDCogVideoXPipeline, pictures: list[Image.Image]
) -> None:
    reference_latents = pipeline.encode_references([pictures], SMALL["height"], SMALL["width"])
    assert reference_latents.shape == (1, 4, 3, 4, 6)
    expected = sample(pipeline, "A person.", pictures)
    assert torch.equal(sample(pipeline, "A person.", reference_latents=reference_latents), expected)
    white = Image.new("RGB", (48, 32), "white")
    with torch.no_grad():
        encoded = pipeline.vae.encode(torch.ones(1, 3, 1, 32, 48)).latent_dist.mode()
    torch.testing.assert_close(pipeline.encode_references([[white]], 32, 48), 0.7 * encoded)


def test_guided_passes_run_alike_in_one_batch_and_one_by_one(
    pipeline: ConcatIDCogVideoXPipeline, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"reference_guidance_scale": 2.0, "skip_guidance_layers": [1]}
    batched = sample(pipeline, "A person.", pictures, **options)
    monkeypatch.setattr(GuidanceMixin, "max_batched_tokens", 0)
    one_by_one = sample(pipeline, "A person.", pictures, **options)
    torch.testing.assert_close(one_by_one, batched, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(sample(pipeline, "A person.", pictures), batched)


def test_batch_equals_single_runs(pipeline: ConcatIDCogVideoXPipeline, pictures: list[Image.Image]) -> None:
    prompts, references = ["A person.", "A dog."], [[pictures[0]], [pictures[1]]]
    generators = [seeded(seed) for seed in range(4)]
    together = sample(pipeline, prompts, references, num_videos_per_prompt=2, generator=generators)
    for index in range(4):
        alone = sample(pipeline, prompts[index // 2], references[index // 2], seed=index)
        torch.testing.assert_close(together[index : index + 1], alone, atol=1e-4, rtol=1e-4)


def test_steps_predict_the_clean_latents(
    pipeline: ConcatIDCogVideoXPipeline, pictures: list[Image.Image]
) -> None:
    steps = list(pipeline.stream("A person.", pictures, generator=seeded(), **SMALL))
    assert all(isinstance(step, Step) and step.latents.shape == (1, 4, 3, 4, 6) for step in steps)
    torch.testing.assert_close(steps[-1].clean_latents, steps[-1].latents)
    assert torch.equal(steps[-1].latents, sample(pipeline, "A person.", pictures))
    assert pipeline.sigma(0) == 1 and pipeline.sigma(2) < pipeline.sigma(1) < 1


def test_a_run_knows_nothing_of_the_one_that_was_left(pipeline: ConcatIDCogVideoXPipeline) -> None:
    expected = sample(pipeline, "A person.")
    stream = pipeline.stream("A dog.", generator=seeded(1), **SMALL)
    next(stream), next(stream)
    stream.close()
    assert torch.equal(sample(pipeline, "A person."), expected)


def test_videos_have_the_frames_that_were_asked_for(pipeline: ConcatIDCogVideoXPipeline) -> None:
    for num_frames in (1, 9, 17):
        videos = sample(pipeline, "A dog.", num_frames=num_frames, output_type="pt")
        assert videos.shape == (1, num_frames, 3, 32, 48)
    latents = sample(pipeline, "A dog.", num_frames=17)
    whole, first = pipeline.decode_latents(latents), pipeline.decode_latents(latents[:, :, :3])
    torch.testing.assert_close(first, whole[:, :9])  # so are previews made


def test_save_and_load(
    cogvideox_pipeline: ConcatIDCogVideoXPipeline, pictures: list[Image.Image], tmp_path: Path
) -> None:
    cogvideox_pipeline.save_pretrained(tmp_path)
    expected = sample(cogvideox_pipeline, "A person.", pictures)
    # as a program does that has never heard of Concat-ID
    found = DiffusionPipeline.from_pretrained(tmp_path, custom_pipeline="pipeline", trust_remote_code=True)
    assert type(found) is ConcatIDCogVideoXPipeline
    assert torch.equal(sample(found, "A person.", pictures), expected)
    assert isinstance(found.text_encoder, T5EncoderModel)


def test_lora_changes_and_restores(
    cogvideox_pipeline: ConcatIDCogVideoXPipeline, pictures: list[Image.Image], tmp_path: Path
) -> None:
    pipeline = cogvideox_pipeline
    exact = sample(pipeline, "A person.", pictures)
    trained = ConcatIDCogVideoXPipeline.from_pretrained(pipeline.config._name_or_path).transformer
    targets = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2"]
    trained.add_adapter(LoraConfig(r=2, init_lora_weights=False, target_modules=targets))
    layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(trained))
    ConcatIDCogVideoXPipeline.save_lora_weights(tmp_path, transformer_lora_layers=layers)
    pipeline.load_lora_weights(tmp_path)
    assert not torch.allclose(sample(pipeline, "A person.", pictures), exact, atol=1e-4)
    pipeline.unload_lora_weights()
    torch.testing.assert_close(sample(pipeline, "A person.", pictures), exact)


def test_cache_saves_work(cogvideox_pipeline: ConcatIDCogVideoXPipeline, pictures: list[Image.Image]) -> None:
    pipeline, computed = cogvideox_pipeline, []
    to_q = pipeline.transformer.transformer_blocks[1].attn1.to_q
    to_q.register_forward_pre_hook(lambda *_: computed.append(1))
    exact, full = sample(pipeline, "A person.", pictures), len(computed)
    pipeline.transformer.enable_cache(FirstBlockCacheConfig(threshold=10.0))
    computed.clear()
    cached = sample(pipeline, "A person.", pictures)
    assert 0 < len(computed) < full and not torch.equal(cached, exact)
    pipeline.transformer.disable_cache()
    assert torch.equal(sample(pipeline, "A person.", pictures), exact)


def test_half_precision(cogvideox_pipeline: ConcatIDCogVideoXPipeline, pictures: list[Image.Image]) -> None:
    latents = sample(cogvideox_pipeline.to(torch.bfloat16), "A person.", pictures)
    assert latents.dtype == torch.float32 and latents.isfinite().all()
    assert cogvideox_pipeline.decode_latents(latents).isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_frames": 13}, r"num_frames must be 8k \+ 1, got 13; try"),
        ({"num_frames": None, "latents": torch.zeros(1, 4, 2, 4, 6)}, r"must be 8k \+ 1, got 5"),
        ({"height": 40}, "height must be a multiple of 16, got 40"),
        ({"references": [Image.new("RGB", (8, 8))] * 4}, "at most 3 references, got 4; leave some out"),
        ({"reference_latents": torch.zeros(1, 4, 4, 4, 6)}, "at most 3 references, got 4"),
        ({"skip_guidance_layers": [2]}, "skip_guidance_layers must be from 1 to 1, got 2"),
    ],
)
def test_refusals(
    cogvideox_pipeline: ConcatIDCogVideoXPipeline, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        sample(cogvideox_pipeline, "A person.", **options)
