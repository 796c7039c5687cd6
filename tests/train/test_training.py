"""The recipes' parts and, for a few real steps each, the recipes themselves."""

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLWan
from PIL import Image

from concat_id import ConcatIDWanPipeline, ConcatIDWanTransformer3DModel
from train.__main__ import main as run_recipe
from train.autoencoder import EMBEDDED_CONFIG, build_autoencoder, decode
from train.concat_id import ConcatIDTraining, build_transformer, with_reference_adaln
from train.export import export_pipeline, load_autoencoder_checkpoint
from train.flow_matching import interpolate, sample_sigmas, velocity
from train.latents import LatentShards, make_shard, pool_faces
from train.optimizer import MuonAdamW, orthogonalize, warmup_stable_decay
from train.text import build_text_encoder, encode_text, train_tokenizer

CONFIGS = Path("train/configs")
CAPTIONS = ["a woman laughing on a beach", "someone nodding in the snow", "a man waves in a library"] * 20


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an untrained autoencoder, a tokenizer and a few latents, as the recipes expect them."""
    folder = tmp_path_factory.mktemp("workshop")
    torch.manual_seed(0)
    vae = build_autoencoder()
    AutoencoderKLWan.from_config(vae.config).save_pretrained(folder / "vae")
    train_tokenizer(CAPTIONS).save_pretrained(folder / "tokenizer")
    for name, frames, split in (
        ("stills", 1, "train"),
        ("clips", 5, "train"),
        ("validation", 5, "validation"),
    ):
        (folder / name).mkdir()
        path = folder / name / "00000.safetensors"
        make_shard(vae, path, seed=0, clips=3, frames=frames, references=2, split=split)
    return folder


def concat_id_arguments(workshop: Path, run: Path, max_steps: int, *more: str) -> list[str]:
    """Command line of stage I on the workshop's data, in a folder of its own."""
    sources = [{"folder": str(workshop / name), "batch_size": 2} for name in ("stills", "clips")]
    validation = {"folder": str(workshop / "validation"), "batch_size": 3}
    return [
        *("fit", "--config", str(CONFIGS / "stage1.yaml")),
        *("--model.init_args.init_from", "null", "--model.init_args.tokenizer", str(workshop / "tokenizer")),
        *("--data.init_args.sources", str(sources), "--data.init_args.validation", str(validation)),
        *("--trainer.max_steps", str(max_steps), "--trainer.val_check_interval", "2"),
        *("--trainer.default_root_dir", str(run), "--trainer.logger.init_args.save_dir", str(run)),
        *("--trainer.callbacks.init_args.dirpath", str(run)),
        *more,
    ]


def recipe_callbacks(workshop: Path, run: Path) -> str:
    """The recipe's own callbacks, pointed at the test's folders and made frequent."""
    return str(
        [
            {
                "class_path": "train.gallery.Gallery",
                "init_args": {
                    "vae": str(workshop / "vae"),
                    "latents": str(workshop / "validation"),
                    "output": str(run / "gallery"),
                    "count": 2,
                    "num_inference_steps": 2,
                },
            },
            {
                "class_path": "lightning.pytorch.callbacks.EMAWeightAveraging",
                "init_args": {"decay": 0.9},
            },
            {
                "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
                "init_args": {
                    "dirpath": str(run),
                    "every_n_train_steps": 1,
                    "save_last": True,
                    "save_top_k": 0,
                },
            },
        ]
    )


def test_interpolation_runs_from_the_sample_to_the_noise() -> None:
    x0, noise = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    assert torch.equal(interpolate(x0, noise, torch.zeros(2)), x0)
    assert torch.equal(interpolate(x0, noise, torch.ones(2)), noise)
    step = interpolate(x0, noise, torch.full((2,), 0.75)) - interpolate(x0, noise, torch.full((2,), 0.5))
    torch.testing.assert_close(step, 0.25 * velocity(x0, noise))


@pytest.mark.parametrize("logit_normal", [True, False])
def test_shift_moves_noise_levels_up_and_keeps_them_in_range(logit_normal: bool) -> None:
    def draw(shift: float) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        return sample_sigmas(500, shift=shift, logit_normal=logit_normal, generator=generator)

    plain, shifted = draw(1.0), draw(5.0)
    assert (shifted > plain).all() and shifted.max() < 1 and plain.min() > 0


def test_orthogonalize_flattens_the_spectrum() -> None:
    values = torch.linalg.svdvals(orthogonalize(torch.randn(20, 50) @ torch.diag(torch.logspace(0, 1, 50))))
    assert 0.5 < values.min() and values.max() < 1.4


def test_optimizer_fits_matrices_kernels_and_biases_together() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(72, 1)
    )
    x, y = torch.randn(64, 1, 5, 5), torch.randn(64, 1) + 3
    optimizer = MuonAdamW(model.parameters(), lr=3e-3)
    schedule = warmup_stable_decay(optimizer, warmup_steps=5, decay_steps=50, max_steps=100)
    losses, rates = [], []
    for _ in range(100):
        loss = (model(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    assert rates[0] < rates[20] == rates[40] > rates[99] > 0


def test_faster_convolutions_and_unclamped_decoding_change_nothing() -> None:
    torch.manual_seed(0)
    fast = build_autoencoder()
    stock = AutoencoderKLWan(**EMBEDDED_CONFIG)
    stock.load_state_dict(fast.state_dict())
    video = torch.rand(1, 3, 9, 32, 32) * 2 - 1
    with torch.no_grad():
        latents = stock.encode(video).latent_dist.mode()
        torch.testing.assert_close(fast.encode(video).latent_dist.mode(), latents, atol=1e-5, rtol=1e-4)
        decoded = decode(fast, latents)
        torch.testing.assert_close(decoded.clamp(-1, 1), stock.decode(latents).sample, atol=1e-4, rtol=1e-3)
    assert decoded.shape == video.shape


def test_tokenizer_takes_any_text_and_ends_every_one() -> None:
    tokenizer = train_tokenizer(CAPTIONS)
    for text in ("A woman laughing on a BEACH", "Zürich, 雪 und 🎬", ""):
        ids = tokenizer(text).input_ids
        assert ids[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text.lower()
    assert len(tokenizer("a woman laughing on a beach").input_ids) < 10


def test_text_embeddings_are_zero_behind_the_text_and_differ_by_it() -> None:
    tokenizer, encoder = train_tokenizer(CAPTIONS), build_text_encoder()
    one, other = encode_text(tokenizer, encoder, ["a woman laughing", "a man waves in a library"])
    assert one[5:].abs().max() == 0 and not torch.allclose(one[0], other[0])


def test_reference_adaln_starts_as_the_video_s_modulation() -> None:
    torch.manual_seed(0)
    transformer = build_transformer()
    torch.nn.init.normal_(transformer.condition_embedder.time_proj.weight, std=0.02)
    torch.nn.init.normal_(transformer.proj_out.weight, std=0.02)
    grown = with_reference_adaln(transformer)
    assert grown.config.reference_adaln and with_reference_adaln(grown) is grown
    for block in grown.blocks:
        assert torch.equal(block.reference_scale_shift_table, block.scale_shift_table)
    inputs = torch.randn(1, 24, 1, 4, 4), torch.tensor([500.0]), torch.randn(1, 3, 192)
    with torch.no_grad():
        torch.testing.assert_close(grown(*inputs).sample, transformer(*inputs).sample)


def test_dropout_is_per_sample_and_takes_all_of_a_sample(workshop: Path) -> None:
    module = ConcatIDTraining(tokenizer=str(workshop / "tokenizer"))
    keep = torch.tensor([True, False, True])
    latents = torch.rand(3, 24, 2, 4, 4) + 1
    dropped = module.drop_references(latents, keep)
    assert torch.equal(dropped[keep], latents[keep]) and dropped[1].abs().max() == 0
    embeddings = module.encode_captions(["a woman", "a man", "a dog"], keep)
    empty = module.encode_captions([""], torch.tensor([True]))[0]
    torch.testing.assert_close(embeddings[1], empty)
    assert not torch.allclose(embeddings[0], empty) and not torch.allclose(embeddings[2], empty)


def test_latents_are_deterministic_and_draw_among_a_clip_s_references(workshop: Path) -> None:
    shards = LatentShards(workshop / "clips")
    assert shards.columns["latents"].shape == (3, 24, 2, 16, 16)
    assert shards.columns["references"].shape == (3, 2, 24, 16, 16)
    rows = torch.zeros(32, dtype=torch.long)
    batch = shards.draw(rows, torch.Generator().manual_seed(0))
    assert batch["reference_latents"].shape == (32, 24, 1, 16, 16)
    assert len(torch.unique(batch["reference_latents"].flatten(1), dim=0)) == 2
    assert batch["captions"] == [shards.captions[0]] * 32
    again = workshop / "again.safetensors"
    vae = AutoencoderKLWan.from_pretrained(workshop / "vae")
    assert vae.config.z_dim == 24
    make_shard(vae, again, seed=0, clips=1, frames=5, references=1)
    assert not list(workshop.glob("*.partial"))


def test_face_share_is_pooled_over_the_frames_of_each_latent_frame() -> None:
    masks = torch.zeros(1, 5, 16, 16, dtype=torch.bool)
    masks[:, 0] = True
    masks[:, 1:3, :8] = True
    pooled = pool_faces(masks, 2, 8)
    assert torch.equal(pooled[0, 0], torch.ones(2, 2))
    assert torch.equal(pooled[0, 1], torch.tensor([[0.5, 0.5], [0.0, 0.0]]))


@pytest.mark.slow
def test_stage_one_trains_resumes_samples_and_exports(workshop: Path, tmp_path: Path) -> None:
    callbacks = recipe_callbacks(workshop, tmp_path)
    arguments = concat_id_arguments(workshop, tmp_path, 2)
    at = arguments.index("--trainer.callbacks.init_args.dirpath")
    arguments[at : at + 2] = ["--trainer.callbacks", callbacks]
    run_recipe(arguments)
    first = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert first["global_step"] == 2
    arguments[arguments.index("--trainer.max_steps") + 1] = "4"
    run_recipe([*arguments, "--ckpt_path", str(tmp_path / "last.ckpt")])
    second = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert second["global_step"] == 4
    name = "transformer.blocks.0.attn1.to_q.weight"
    assert not torch.equal(first["current_model_state"][name], second["current_model_state"][name])
    assert Image.open(tmp_path / "gallery" / "000004.png").size == (6 * 128, 2 * 128)

    export_pipeline(tmp_path / "last.ckpt", workshop / "vae", tmp_path / "exported")
    pipeline = ConcatIDWanPipeline.from_pretrained(tmp_path / "exported")
    assert isinstance(pipeline.transformer, ConcatIDWanTransformer3DModel)
    exported = pipeline.transformer.state_dict()["blocks.0.attn1.to_q.weight"].float()
    torch.testing.assert_close(exported, second["state_dict"][name], atol=1e-2, rtol=1e-2)


@pytest.mark.slow
def test_autoencoder_recipe_trains_and_its_checkpoint_loads(tmp_path: Path) -> None:
    run_recipe(
        [
            *("fit", "--config", str(CONFIGS / "autoencoder.yaml"), "--trainer.max_steps", "3"),
            *("--data.init_args.crops", "[{frames: 1, size: 32, batch_size: 3, share: 1}]"),
            *("--data.init_args.size", "64", "--data.init_args.validation_clips", "1"),
            *("--trainer.val_check_interval", "3", "--trainer.default_root_dir", str(tmp_path)),
            *("--trainer.logger.init_args.save_dir", str(tmp_path)),
            "--trainer.callbacks",
            str(
                [
                    {
                        "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
                        "init_args": {"dirpath": str(tmp_path), "save_last": True, "every_n_train_steps": 3},
                    }
                ]
            ),
        ]
    )
    vae = load_autoencoder_checkpoint(tmp_path / "last.ckpt")
    assert vae.decode(torch.randn(1, 24, 2, 2, 2)).sample.shape == (1, 3, 5, 16, 16)
