"""The pipeline: exact sampling, what goes in, what comes out, saving and loading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel
from diffusers.callbacks import SDCFGCutoffCallback
from parity.figures import VARIANTS, load_figures
from PIL import Image
from torch import Tensor
from toys import TEXT_DIM

from concat_id import ConcatIDWanPipeline, ConcatIDWanTransformer3DModel, Step
from concat_id.errors import InputError
from concat_id.loading.convert import convert_state_dict
from concat_id.pipelines.guidance import GuidanceMixin

SMALL = {"height": 32, "width": 48, "num_frames": 5, "num_inference_steps": 3}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sample(pipeline: ConcatIDWanPipeline, *args: Any, seed: int = 0, **options: Any) -> Tensor:
    """Latents of a small video."""
    options = {"generator": seeded(seed), "output_type": "latent", **SMALL, **options}
    return pipeline(*(args or ("A person laughs.",)), **options).frames


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("is_batched", [True, False])
def test_sampling_is_the_authors(variant: str, is_batched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not is_batched:
        monkeypatch.setattr(GuidanceMixin, "max_batched_tokens", 0)
    figures = load_figures(variant)
    transformer = ConcatIDWanTransformer3DModel(**figures.config()).eval()
    transformer.load_state_dict(convert_state_dict(figures.state_dict, "wan"), strict=True)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=float(figures.metadata["shift"]))
    pipeline = ConcatIDWanPipeline(transformer, scheduler)
    latents = pipeline(
        prompt_embeds=figures.tensors["input.prompt_embeds"],
        negative_prompt_embeds=figures.tensors["input.negative_prompt_embeds"],
        latents=figures.tensors["input.noise"],
        reference_latents=figures.tensors["input.reference_latents"],
        num_inference_steps=int(figures.metadata["num_inference_steps"]),
        guidance_scale=float(figures.metadata["guidance_scale"]),
        output_type="latent",
    ).frames
    torch.testing.assert_close(latents, figures.tensors["output.sampled_latents"], atol=1e-4, rtol=0)
    torch.testing.assert_close(scheduler.timesteps, figures.tensors["output.timesteps"])
    torch.testing.assert_close(scheduler.sigmas[:-1], figures.tensors["output.sigmas"])


class LinearSigmas(FlowMatchEulerDiscreteScheduler):
    """Our noise schedule for the stock pipeline, which asks for a number of steps only."""

    def set_timesteps(self, num_inference_steps: int, device: torch.device | None = None) -> None:
        super().set_timesteps(sigmas=np.linspace(1, 0, num_inference_steps + 1)[:-1], device=device)


def test_without_references_equals_stock_pipeline(pipeline: ConcatIDWanPipeline) -> None:
    config = {k: v for k, v in pipeline.transformer.config.items() if k != "reference_adaln"}
    stock = WanTransformer3DModel.from_config(config).eval()
    stock.load_state_dict({name: pipeline.transformer.state_dict()[name] for name in stock.state_dict()})
    wan = WanPipeline(
        tokenizer=pipeline.tokenizer,
        text_encoder=pipeline.text_encoder,
        vae=pipeline.vae,
        transformer=stock,
        scheduler=LinearSigmas.from_config(pipeline.scheduler.config),
    )
    prompt, options = "Ein  Mensch &amp; ein Hund.", {"negative_prompt": "blurred", "output_type": "np"}
    options |= {"guidance_scale": 4.0, "max_sequence_length": 64, **SMALL}
    expected = wan(prompt, generator=seeded(), **options).frames
    found = pipeline(prompt, generator=seeded(), **options).frames
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_seed_and_references_decide_the_video(
    pipeline: ConcatIDWanPipeline, pictures: list[Image.Image]
) -> None:
    first, second, _ = pictures
    video = sample(pipeline, "A person.", [first])
    assert torch.equal(sample(pipeline, "A person.", [first]), video)
    for other in (
        sample(pipeline, "A person.", [first], seed=1),
        sample(pipeline, "A person.", [second]),
        sample(pipeline, "A person.", [first, second]),
        sample(pipeline, "A person."),
        sample(pipeline, "A dog.", [first]),
        sample(pipeline, "A person.", [first], negative_prompt="a dog"),
    ):
        assert not torch.allclose(other, video)


def test_references_may_be_given_as_latents(
    pipeline: ConcatIDWanPipeline, pictures: list[Image.Image]
) -> None:
    reference_latents = pipeline.encode_references([pictures], SMALL["height"], SMALL["width"])
    assert reference_latents.shape == (1, 4, 3, 4, 6)
    expected = sample(pipeline, "A person.", pictures)
    assert torch.equal(sample(pipeline, "A person.", reference_latents=reference_latents), expected)
    assert torch.equal(sample(pipeline, "A person.", []), sample(pipeline, "A person."))


def test_references_are_fitted_and_centred_on_black(
    pipeline: ConcatIDWanPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    encode = pipeline.vae.encode
    monkeypatch.setattr(pipeline.vae, "encode", lambda pixels: seen.append(pixels) or encode(pixels))
    pipeline.encode_references([[Image.new("RGB", (64, 64), "white")]], height=32, width=48)
    (pixels,) = seen
    assert pixels.shape == (1, 3, 1, 32, 48)
    assert (pixels[..., 8:40] == 1).all()
    assert (pixels[..., :8] == -1).all() and (pixels[..., 40:] == -1).all()


def test_guided_passes_run_alike_in_one_batch_and_one_by_one(
    pipeline: ConcatIDWanPipeline, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    batched = sample(pipeline, "A person.", pictures, reference_guidance_scale=2.0)
    monkeypatch.setattr(GuidanceMixin, "max_batched_tokens", 0)
    one_by_one = sample(pipeline, "A person.", pictures, reference_guidance_scale=2.0)
    torch.testing.assert_close(one_by_one, batched, atol=1e-5, rtol=1e-5)


def test_reference_guidance(pipeline: ConcatIDWanPipeline, pictures: list[Image.Image]) -> None:
    off = sample(pipeline, "A person.", pictures)
    assert torch.equal(sample(pipeline, "A person.", pictures, reference_guidance_scale=1.0), off)
    assert not torch.allclose(sample(pipeline, "A person.", pictures, reference_guidance_scale=2.0), off)

    # With no text guidance and strength 0, the references are as if they were blank.
    blank = torch.zeros(1, 4, 3, 4, 6)
    expected = sample(pipeline, "A person.", reference_latents=blank, guidance_scale=1.0)
    found = sample(pipeline, "A person.", pictures, guidance_scale=1.0, reference_guidance_scale=0.0)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_negative_pass_skips_layers_and_has_no_references_then(
    pipeline: ConcatIDWanPipeline, pictures: list[Image.Image]
) -> None:
    def guide(strength: float, skipped: list[int] | None) -> Tensor:
        return sample(pipeline, "A person.", pictures, guidance_scale=strength, skip_guidance_layers=skipped)

    for strength in (0.5, 1.0):
        with pytest.raises(InputError, match=f"act where guidance_scale is above 1, got {strength}"):
            guide(strength, [1])
    assert not torch.allclose(guide(2.0, [1]), guide(2.0, None))

    seen = []
    pipeline.transformer.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs), with_kwargs=True
    )
    guide(2.0, [1])
    blank = [bool((inputs["reference_latents"] == 0).all()) for inputs in seen]
    assert [inputs["skip_layers"] for inputs in seen] == [(1,) if is_blank else () for is_blank in blank]
    assert blank == [True, False] * (len(seen) // 2)


@pytest.mark.parametrize(("guidance_scale", "passes"), [(0.0, 1), (1.0, 1), (1.5, 2)])
def test_low_guidance_leaves_out_the_negative_pass(
    pipeline: ConcatIDWanPipeline, guidance_scale: float, passes: int
) -> None:
    batches = []
    pipeline.transformer.register_forward_pre_hook(
        lambda _, args, kwargs: batches.append(len(kwargs["hidden_states"])), with_kwargs=True
    )
    sample(pipeline, "A person.", guidance_scale=guidance_scale)
    assert batches == [passes] * SMALL["num_inference_steps"]


def test_batch_equals_single_runs(pipeline: ConcatIDWanPipeline, pictures: list[Image.Image]) -> None:
    prompts, references = ["A person.", "A dog."], [[pictures[0]], [pictures[1]]]
    together = sample(
        pipeline,
        prompts,
        references,
        negative_prompt=["a", "b"],
        num_videos_per_prompt=2,
        generator=[seeded(seed) for seed in range(4)],
    )
    for index in range(4):
        alone = sample(
            pipeline,
            prompts[index // 2],
            references[index // 2],
            negative_prompt="ab"[index // 2],
            seed=index,
        )
        torch.testing.assert_close(together[index : index + 1], alone, atol=1e-5, rtol=1e-5)


def test_output_types(pipeline: ConcatIDWanPipeline) -> None:
    options = {**SMALL, "prompt": ["A person.", "A dog."]}
    latents = pipeline(**options, generator=seeded(), output_type="latent").frames
    assert latents.shape == (2, 4, 2, 4, 6) and latents.dtype == torch.float32
    tensors = pipeline(**options, generator=seeded(), output_type="pt").frames
    assert tensors.shape == (2, 5, 3, 32, 48)
    assert 0 <= tensors.min() < tensors.max() <= 1
    assert torch.equal(pipeline.decode_latents(latents), tensors)
    (arrays,) = pipeline(**options, generator=seeded(), output_type="np", return_dict=False)
    np.testing.assert_array_equal(arrays, tensors.permute(0, 1, 3, 4, 2).numpy())
    videos = pipeline(**options, generator=seeded()).frames
    assert [len(video) for video in videos] == [5, 5]
    np.testing.assert_array_equal(np.asarray(videos[1][4]), (arrays[1, 4] * 255).round().astype(np.uint8))


def test_text_embeddings_end_in_zeros(pipeline: ConcatIDWanPipeline) -> None:
    embeds = pipeline.encode_prompt(["One.", "A longer one."])
    assert embeds.shape == (2, 64, TEXT_DIM)
    lengths = embeds.abs().sum(-1).gt(0).sum(-1)
    assert lengths.tolist() == [len("One.") + 1, len("A longer one.") + 1]
    expected = sample(pipeline, "One.", negative_prompt="A longer one.")
    given = {"prompt_embeds": embeds[:1], "negative_prompt_embeds": embeds[1:]}
    torch.testing.assert_close(sample(pipeline, None, **given), expected, atol=1e-5, rtol=1e-5)


def test_size_follows_the_latents(pipeline: ConcatIDWanPipeline) -> None:
    noise = torch.randn(1, 4, 2, 4, 6, generator=seeded())
    found = pipeline("A person.", latents=noise, num_inference_steps=3, output_type="latent").frames
    torch.testing.assert_close(found, sample(pipeline, "A person.", latents=noise))


def test_steps_predict_the_clean_latents(pipeline: ConcatIDWanPipeline, pictures: list[Image.Image]) -> None:
    steps = list(pipeline.stream("A person.", pictures, generator=seeded(), **SMALL))
    assert [(step.index, step.total) for step in steps] == [(0, 3), (1, 3), (2, 3)]
    assert all(isinstance(step, Step) and step.latents.dtype == torch.float32 for step in steps)
    torch.testing.assert_close(steps[-1].clean_latents, steps[-1].latents)
    assert torch.equal(steps[-1].latents, sample(pipeline, "A person.", pictures))
    # x_t = (1 - sigma) x0 + sigma noise, with the same velocity before and after an Euler step.
    sigma, before = pipeline.scheduler.sigmas[2], steps[1].latents
    noise = (before - (1 - sigma) * steps[2].clean_latents) / sigma
    torch.testing.assert_close(before + (0 - sigma) * (noise - steps[2].clean_latents), steps[2].latents)


def test_callback_sees_and_replaces_tensors(pipeline: ConcatIDWanPipeline) -> None:
    calls = []

    def blank_the_end(pipe: ConcatIDWanPipeline, index: int, timestep: Tensor, tensors: dict[str, Tensor]):
        calls.append((index, float(timestep), sorted(tensors)))
        assert pipe.current_timestep == timestep and pipe.num_timesteps == 3
        return {"latents": torch.zeros_like(tensors["latents"])} if index == 2 else {}

    names = ["latents", "prompt_embeds"]
    latents = sample(
        pipeline,
        "A person.",
        callback_on_step_end=blank_the_end,
        callback_on_step_end_tensor_inputs=names,
    )
    assert not latents.any()
    assert calls == [(i, float(t), names) for i, t in enumerate(pipeline.scheduler.timesteps)]


def test_callback_may_interrupt(pipeline: ConcatIDWanPipeline) -> None:
    def interrupt(pipe: ConcatIDWanPipeline, index: int, timestep: Tensor, tensors: dict[str, Tensor]):
        pipe._interrupt = index == 1
        return tensors

    steps = list(pipeline.stream("A person.", generator=seeded(), callback_on_step_end=interrupt, **SMALL))
    assert [step.index for step in steps] == [0, 1]
    assert len(list(pipeline.stream("A person.", generator=seeded(), **SMALL))) == 3


def test_official_callback_cuts_guidance_off(pipeline: ConcatIDWanPipeline) -> None:
    class Cutoff(SDCFGCutoffCallback):
        tensor_inputs = ["prompt_embeds"]

        def callback_fn(self, pipeline, step_index, timestep, callback_kwargs):  # noqa: ANN001, ANN201
            pipeline._guidance_scale = 0.0 if step_index == 0 else pipeline._guidance_scale
            return callback_kwargs

    batches = []
    pipeline.transformer.register_forward_pre_hook(
        lambda _, args, kwargs: batches.append(len(kwargs["hidden_states"])), with_kwargs=True
    )
    sample(pipeline, "A person.", callback_on_step_end=Cutoff(cutoff_step_ratio=None, cutoff_step_index=0))
    assert batches == [2, 1, 1]


def test_stream_may_be_abandoned(
    pipeline: ConcatIDWanPipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = sample(pipeline, "A person.")
    bars, make_bar = [], pipeline.progress_bar
    monkeypatch.setattr(
        pipeline, "progress_bar", lambda total: bars.append(make_bar(total=total)) or bars[-1]
    )
    pipeline.set_progress_bar_config(disable=False)
    stream = pipeline.stream("A person.", generator=seeded(1), **SMALL)
    next(stream)
    assert torch.is_grad_enabled(), "gradients are off between the steps"
    assert pipeline.current_timestep is not None
    stream.close()
    assert pipeline.current_timestep is None
    assert bars[0].n == 1 and bars[0] not in bars[0]._instances
    assert torch.equal(sample(pipeline, "A person."), expected)


def test_save_and_load(pipeline: ConcatIDWanPipeline, pictures: list[Image.Image], tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path)
    expected = sample(pipeline, "A person.", pictures)
    loaded = ConcatIDWanPipeline.from_pretrained(tmp_path)
    # as a program does that has never heard of Concat-ID
    found = DiffusionPipeline.from_pretrained(tmp_path, custom_pipeline="pipeline", trust_remote_code=True)
    assert type(found) is ConcatIDWanPipeline
    for pipe in (loaded, found):
        assert pipe.transformer.config.reference_adaln and pipe.scheduler.config.shift == 2.0
        assert torch.equal(sample(pipe, "A person.", pictures), expected)


def test_half_precision(pipeline: ConcatIDWanPipeline, pictures: list[Image.Image]) -> None:
    expected = sample(pipeline, "A person.", pictures)
    latents = sample(pipeline.to(torch.bfloat16), "A person.", pictures)
    assert latents.dtype == torch.float32
    torch.testing.assert_close(latents, expected, atol=0.1, rtol=0.1)
    assert pipeline.decode_latents(latents).dtype == torch.float32
