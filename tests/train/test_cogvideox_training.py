"""Training on CogVideoX: the schedule, the loss, a few steps, and a LoRA that the pipeline loads."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import pytest
import torch
from diffusers import CogVideoXDDIMScheduler
from toy_latents import CAPTIONS, write_toy_shard
from toys import TEXT_DIM, make_cogvideox_transformer
from transformers import T5Config, T5EncoderModel

from concat_id import ConcatIDCogVideoXPipeline
from concat_id.models.checkpoint_cogvideox import SCHEDULE
from train.export.pipeline import export_adapter, export_pipeline
from train.text.encoder import train_tokenizer
from train.transformer.cogvideox import CogVideoXTraining
from train.transformer.latent_data import LatentData, Source, load_pairs
from train.transformer.v_prediction import interpolate, timesteps, velocity

CHANNELS = 24  # of the toy shards' latents


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder on CogVideoX to start from, and latents beside it."""
    folder = tmp_path_factory.mktemp("cogvideox")
    make_cogvideox_transformer(in_channels=CHANNELS).save_pretrained(folder / "transformer")
    tokenizer = train_tokenizer(CAPTIONS)
    tokenizer.save_pretrained(folder / "tokenizer")
    config = T5Config(vocab_size=len(tokenizer), d_model=TEXT_DIM, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    T5EncoderModel(config).save_pretrained(folder / "text_encoder")
    write_toy_shard(folder / "latents" / "00000.safetensors", people=2, latent_frames=3)
    return folder


@pytest.fixture(scope="module")
def source(start: Path) -> Source:
    return Source(str(start / "latents"), 2, roles=("face", "face"))


def test_noise_and_velocity_are_the_scheduler_s() -> None:
    scheduler = CogVideoXDDIMScheduler(**SCHEDULE)
    x0, noise, sigmas = torch.randn(3, 2, 4), torch.randn(3, 2, 4), torch.tensor([0.0, 0.3004, 1.0])
    steps = timesteps(sigmas)
    assert steps.tolist() == [0, 300, 999]
    noisy = interpolate(x0, noise, sigmas)
    torch.testing.assert_close(noisy, scheduler.add_noise(x0, noise, steps))
    torch.testing.assert_close(velocity(x0, noise, sigmas), scheduler.get_velocity(x0, noise, steps))
    assert torch.equal(noisy[2], noise[2]) and torch.equal(velocity(x0, noise, sigmas)[2], -x0[2])


def test_the_loss_asks_for_the_video_s_velocity(start: Path, source: Source) -> None:
    module = CogVideoXTraining(init_from=str(start), face_weight=0.0)
    batch = load_pairs([source])[0].draw(torch.arange(2), torch.Generator().manual_seed(0))
    noise, sigmas, keep = (
        torch.randn(batch["latents"].shape),
        torch.tensor([0.2, 0.9]),
        torch.tensor([True, True]),
    )
    seen = {}

    def answer(hidden_states: torch.Tensor, **inputs: torch.Tensor) -> None:
        seen.update(inputs, hidden_states=hidden_states)

    module.transformer.register_forward_pre_hook(
        lambda _, args, kwargs: answer(*args, **kwargs), with_kwargs=True
    )
    with torch.no_grad():
        loss = module.loss(batch, sigmas, noise, keep_text=keep, keep_references=keep)
        predicted = module.transformer(**seen).sample
    assert seen["timestep"].tolist() == [200, 900] and seen["reference_latents"].shape[2] == 2
    target = velocity(batch["latents"], noise, sigmas)
    torch.testing.assert_close(loss, (predicted - target).square().mean())


def test_captions_are_encoded_as_by_the_pipeline_and_dropped_ones_are_zeros(start: Path) -> None:
    module = CogVideoXTraining(init_from=str(start))
    pipeline = ConcatIDCogVideoXPipeline(
        module.transformer, CogVideoXDDIMScheduler(**SCHEDULE), module.tokenizer, module.text_encoder
    )
    captions = ["a woman laughing", "a man waves"]
    embeds = module.encode_captions(captions, torch.tensor([True, False]))
    assert torch.equal(embeds[0], pipeline.encode_prompt(captions)[0]) and not embeds[1].any()


def train(module: CogVideoXTraining, source: Source, folder: Path, steps: int) -> Path:
    """Train for some steps, validate once, and save."""
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=steps,
        val_check_interval=steps,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    L.seed_everything(0, verbose=False)
    trainer.fit(module, LatentData([source], [source]))
    trainer.save_checkpoint(folder / "last.ckpt")
    assert trainer.global_step == steps
    return folder / "last.ckpt"


def test_a_few_steps_lower_the_loss(start: Path, source: Source, tmp_path: Path) -> None:
    module = CogVideoXTraining(init_from=str(start), shift=1.0, logit_normal=False, lr=1e-2, decay_steps=1)
    batch = load_pairs([source])[0].draw(torch.arange(4), torch.Generator().manual_seed(0))

    def measure() -> float:
        noise = torch.randn(batch["latents"].shape, generator=torch.Generator().manual_seed(0))
        keep = torch.ones(4, dtype=torch.bool)
        with torch.no_grad():
            spread = module.spread_sigmas(4)
            return module.loss(batch, spread, noise, keep_text=keep, keep_references=keep).item()

    before = measure()
    checkpoint = train(module, source, tmp_path, 30)
    assert measure() < 0.9 * before
    with pytest.raises(ValueError, match="only LoRAs are exported"):
        export_pipeline(checkpoint, tmp_path, tmp_path / "never")


def test_a_lora_is_exported_and_loaded(start: Path, source: Source, tmp_path: Path) -> None:
    module = CogVideoXTraining(init_from=str(start), lora_rank=2)
    checkpoint = train(module, source, tmp_path, 2)
    export_adapter(checkpoint, tmp_path / "mine.safetensors")
    pipeline = ConcatIDCogVideoXPipeline(
        make_cogvideox_transformer(in_channels=CHANNELS), CogVideoXDDIMScheduler(**SCHEDULE)
    )
    pipeline.load_lora_weights(tmp_path, weight_name="mine.safetensors")
    inputs = torch.randn(1, CHANNELS, 3, 4, 4), torch.tensor([500]), torch.randn(1, 32, TEXT_DIM)
    with torch.no_grad():
        expected, found = (
            model.eval()(*inputs).sample for model in (module.transformer, pipeline.transformer)
        )
    torch.testing.assert_close(found, expected, atol=1e-2, rtol=1e-2)
