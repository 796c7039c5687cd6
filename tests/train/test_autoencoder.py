"""The video autoencoder: its sizes, its recipes, and the stage that makes its pictures crisp."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLWan

from train.__main__ import main as run_recipe
from train.autoencoder.autoencoder import EMBEDDED_CONFIG, build_autoencoder, decode
from train.autoencoder.finishing import AutoencoderFinish
from train.autoencoder.resizing import double_size, halve_size, widen_decoder
from train.export.pipeline import load_autoencoder_checkpoint

CONFIGS = Path("train/configs")


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


def test_an_autoencoder_of_twice_the_size_has_the_same_latents() -> None:
    small = build_autoencoder().eval()
    large = double_size(small).eval()
    video = torch.rand(1, 3, 5, 64, 64) * 2 - 1
    pooled = torch.nn.functional.avg_pool3d(video, (1, 2, 2))
    with torch.no_grad():
        latents = small.encode(pooled).latent_dist.mode()
        assert torch.allclose(large.encode(video).latent_dist.mode(), latents, atol=1e-5)
        decoded = decode(large, latents)
        assert decoded.shape == video.shape
        assert torch.allclose(
            torch.nn.functional.avg_pool3d(decoded, (1, 2, 2)), decode(small, latents), atol=1e-5
        )
    halved = halve_size(large).state_dict()
    for name, value in small.state_dict().items():
        assert torch.allclose(halved[name], value, atol=1e-6), name


@pytest.mark.parametrize(("base_dim", "most"), [(64, 1e-5), (48, 0.1)])
def test_a_wider_decoder_begins_with_the_same_pictures(base_dim: int, most: float) -> None:
    torch.manual_seed(0)
    vae = build_autoencoder().eval()
    wide = widen_decoder(vae, base_dim)
    latents = torch.randn(1, 24, 3, 4, 4)
    decoded, copied = decode(wide, latents), decode(vae, latents)
    assert (decoded - copied).abs().mean() < most * copied.abs().mean()
    # Copies of a channel come apart: what reads them has another part of the weight for each.
    decoded.square().mean().backward()
    first = wide.decoder.conv_in.weight.grad
    assert not torch.allclose(first[: len(first) // 2], first[len(first) // 2 :], rtol=1e-2)


def test_each_of_the_two_learns_from_its_own_loss() -> None:
    module = AutoencoderFinish(decoder_only=True)
    made, true = torch.rand(2, 3, 64, 64, requires_grad=True), torch.rand(2, 3, 64, 64)
    module.persuade(made).backward()
    assert made.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in module.discriminator.parameters())
    made.grad = None
    module.tell_apart(made, true).backward()
    assert made.grad is None
    assert all(parameter.grad is not None for parameter in module.discriminator.parameters())
    module.compare_features(made, true).backward()
    assert made.grad.abs().sum() > 0 and module.compare_features(true, true) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["autoencoder", "autoencoder_finish"])
def test_recipe_trains_and_its_checkpoint_loads(name: str, tmp_path: Path) -> None:
    run_recipe(
        [
            *("fit", "--config", str(CONFIGS / f"{name}.yaml"), "--trainer.max_steps", "3"),
            *("--data.init_args.crops", "[{frames: 1, size: 64, batch_size: 3, share: 1}]"),
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
    side = vae.config.scale_factor_spatial
    assert vae.decode(torch.randn(1, 24, 2, 2, 2)).sample.shape == (1, 3, 5, 2 * side, 2 * side)
    if name == "autoencoder_finish":
        shipped = AutoencoderKLWan.from_pretrained("assets/embedded/vae", dtype=torch.float32).state_dict()
        weights = vae.state_dict().items()
        changed = {key.split(".")[0] for key, value in weights if not value.equal(shipped[key])}
        assert changed <= {"decoder", "post_quant_conv"} and "decoder" in changed
