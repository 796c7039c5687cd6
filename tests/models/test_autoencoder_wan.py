"""Wan's autoencoder on a processor: the faster layers compute what diffusers' own do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import WanCausalConv3d
from toys import toy_preset

from concat_id.loading import load
from concat_id.loading.presets import EMBEDDED, PRESETS
from concat_id.models.autoencoder_wan import FastCausalConv3d, FastRMSNorm, speed_up
from train.autoencoder.autoencoder import decode


@pytest.fixture
def pair(request: pytest.FixtureRequest, toy_folder: Path) -> tuple[AutoencoderKLWan, AutoencoderKLWan]:
    """An autoencoder as diffusers has it, and with the faster layers."""
    folder = {"toy": toy_folder, "embedded": EMBEDDED}[request.param] / "vae"
    plain, fast = (AutoencoderKLWan.from_pretrained(folder, dtype=torch.float32) for _ in range(2))
    speed_up(fast)
    return plain, fast


@pytest.mark.parametrize("pair", ["toy", "embedded"], indirect=True)
@pytest.mark.parametrize("frames", [1, 9])
def test_results_stay_the_same(pair: tuple[AutoencoderKLWan, AutoencoderKLWan], frames: int) -> None:
    plain, fast = pair
    video = torch.rand(1, 3, frames, 64, 96) * 2 - 1
    with torch.inference_mode():
        latents = plain.encode(video).latent_dist.mode()
        assert torch.allclose(fast.encode(video).latent_dist.mode(), latents, atol=1e-4)
        expected = plain.decode(latents).sample
        assert torch.allclose(fast.decode(latents).sample, expected, atol=1e-4)
        assert expected.std() > 0.01


@pytest.mark.parametrize("pair", ["embedded"], indirect=True)
def test_gradients_stay_the_same(pair: tuple[AutoencoderKLWan, AutoencoderKLWan]) -> None:
    latents = torch.randn(1, 24, 2, 2, 2)
    gradients = []
    for vae in pair:
        decode(vae, latents).square().sum().backward()
        gradients.append(vae.decoder.conv_in.weight.grad)
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-4 * gradients[0].abs().max())


def test_a_preset_on_a_processor_has_the_faster_layers(
    toy_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "toy", toy_preset(toy_folder))
    kinds = {type(module) for module in load.load_pipeline("toy", "cpu").vae.modules()}
    assert {FastCausalConv3d, FastRMSNorm} <= kinds and WanCausalConv3d not in kinds
    load._load_pipeline.cache_clear()
