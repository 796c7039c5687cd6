"""The few-step student, and LoRA training in general."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from toy_latents import write_toy_workshop

from concat_id import ConcatIDWanPipeline
from train.export.pipeline import export_adapter, export_pipeline
from train.transformer.distillation import Distillation
from train.transformer.latent_data import Batch, Source, load_pairs
from train.transformer.training import ConcatIDTraining


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy model and toy latents."""
    folder = tmp_path_factory.mktemp("workshop")
    write_toy_workshop(folder)
    return folder


@pytest.fixture
def batch(workshop: Path) -> Batch:
    """Two clips with a reference each."""
    source = Source(str(workshop / "latents" / "takes"), 2)
    return load_pairs([source])[0].draw(torch.arange(2), torch.Generator().manual_seed(0))


def save_checkpoint(module: ConcatIDTraining, path: Path) -> Path:
    torch.save({"hyper_parameters": dict(module.hparams), "state_dict": module.state_dict()}, path)
    return path


def shake_adapter(module: ConcatIDTraining) -> None:
    """As after some training: a fresh LoRA changes nothing."""
    torch.manual_seed(1)
    for name, value in module.transformer.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.3)


def test_target_is_where_the_teacher_s_guided_steps_lead(workshop: Path, batch: Batch) -> None:
    folder = workshop / "unified" / "pipeline"
    student = Distillation(
        str(folder),
        num_inference_steps=2,
        teacher_steps=3,
        guidance_scale=2.0,
        reference_guidance_scale=1.5,
        skip_guidance_layers=(1,),
        shift=1.0,
    )
    shake_adapter(student)  # which the teacher must not notice
    noise = torch.randn(batch["latents"].shape)
    given = {
        "encoder_hidden_states": student.encode_captions(batch["captions"], torch.tensor([True, True])),
        "reference_latents": batch["reference_latents"],
    }
    target = student.find_target(noise, torch.ones(2), torch.zeros_like(noise), given)

    teacher = ConcatIDTraining(init_from=str(folder))
    pipeline = ConcatIDWanPipeline(
        transformer=teacher.transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0),
        tokenizer=teacher.tokenizer,
        text_encoder=teacher.text_encoder,
    )
    steps = pipeline.stream(
        batch["captions"],
        reference_latents=batch["reference_latents"],
        latents=noise,
        num_inference_steps=6,
        guidance_scale=2.0,
        reference_guidance_scale=1.5,
        skip_guidance_layers=[1],
    )
    halfway = [next(steps) for _ in range(3)][-1].latents
    steps.close()
    torch.testing.assert_close(noise - 0.5 * target, halfway, atol=1e-4, rtol=1e-3)


def test_student_trains_on_the_noise_levels_that_it_is_used_at(workshop: Path) -> None:
    student = Distillation(str(workshop / "unified" / "pipeline"), num_inference_steps=4, shift=2.0)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=2.0)
    scheduler.set_timesteps(sigmas=[1.0, 0.75, 0.5, 0.25])
    drawn = student.draw_sigmas(200).unique().flip(0)
    torch.testing.assert_close(drawn, scheduler.sigmas[:-1])
    torch.testing.assert_close(student.spread_sigmas(4), scheduler.sigmas[:-1])


def test_only_the_adapter_learns(workshop: Path, batch: Batch) -> None:
    student = Distillation(str(workshop / "unified" / "pipeline"))
    learning = {name for name, value in student.named_parameters() if value.requires_grad}
    assert learning and all("lora_" in name for name in learning)
    keep = torch.tensor([True, True])
    student.loss(batch, torch.ones(2), torch.randn(batch["latents"].shape), keep_text=keep,
                 keep_references=keep).backward()  # fmt: skip
    assert {name for name, value in student.named_parameters() if value.grad is not None} == learning


def test_exported_adapter_makes_the_pipeline_the_student(
    workshop: Path, batch: Batch, tmp_path: Path
) -> None:
    folder = workshop / "unified" / "pipeline"
    student = Distillation(str(folder), lora_rank=4)
    shake_adapter(student)
    checkpoint = save_checkpoint(student, tmp_path / "last.ckpt")
    export_adapter(checkpoint, tmp_path / "draft.safetensors")
    with pytest.raises(ValueError, match="export it as an adapter"):
        export_pipeline(checkpoint, workshop / "vae", tmp_path / "never")

    plain = ConcatIDTraining(init_from=str(folder))
    pipeline = ConcatIDWanPipeline(plain.transformer, FlowMatchEulerDiscreteScheduler())
    inputs = batch["latents"], torch.full((2,), 500.0), torch.randn(2, 5, 192), batch["reference_latents"]
    with torch.no_grad():
        expected, before = student.transformer(*inputs).sample, pipeline.transformer(*inputs).sample
        pipeline.load_lora_weights(tmp_path / "draft.safetensors")
        pipeline.fuse_lora()
        pipeline.unload_lora_weights()
        after = pipeline.transformer(*inputs).sample
    assert not torch.allclose(expected, before, atol=0.1)
    torch.testing.assert_close(after, expected, atol=0.05, rtol=0.05)
