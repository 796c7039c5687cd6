"""Weights that hold NaN, or overflow, end a run with a sentence: no black video is written and signed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from toys import portrait, toy_preset

from concat_id.__main__ import main
from concat_id.errors import NotFinite
from concat_id.generation import decode_frames
from concat_id.loading import load, presets
from concat_id.loading.load import load_pipeline

DAMAGES = {
    "feed-forward": ("transformer/diffusion_pytorch_model.safetensors", "blocks.1.ffn.net.2.weight"),
    "first layer": ("transformer/diffusion_pytorch_model.safetensors", "patch_embedding.weight"),
    "text": ("text_encoder/model.safetensors", "encoder.final_layer_norm.weight"),
    "encoder": ("vae/diffusion_pytorch_model.safetensors", "encoder.conv_in.weight"),
    "decoder": ("vae/diffusion_pytorch_model.safetensors", "decoder.conv_in.weight"),
}


@pytest.fixture(params=DAMAGES)
def damaged(
    request: pytest.FixtureRequest, toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The name of a preset one of whose weights is no number."""
    folder = shutil.copytree(toy_folder, tmp_path / "damaged")
    file, name = DAMAGES[request.param]
    tensors = load_file(folder / file)
    # A still does not touch all of a kernel over time, only its last slice.
    place = -1 if file.startswith("vae") else 3
    tensors[name].view(-1)[place] = float("nan") if request.param != "first layer" else 1e38
    save_file(tensors, folder / file, {"format": "pt"})
    monkeypatch.setitem(presets.PRESETS, "damaged", toy_preset(folder))
    yield "damaged"
    load._load_pipeline.cache_clear()


def test_nothing_is_written(damaged: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    portrait(3).save(tmp_path / "face.png")
    line = ["generate", "--preset", damaged, "--device", "cpu", "--steps", "2", "--prompt", "waving"]
    files = ["--reference", str(tmp_path / "face.png"), "--output", str(tmp_path / "out" / "video.mp4")]
    assert main([*line, *files]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "no longer finite" in said and said.endswith("another precision.")
    assert not (tmp_path / "out").exists()


def test_latents_that_overflow_are_not_decoded_to_black(
    toy_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(presets.PRESETS, "small", replace(toy_preset(toy_folder), title="Small"))
    pipeline = load_pipeline("small", "cpu")
    latents = torch.full((1, 4, 3, 8, 8), float("inf"))
    with pytest.raises(NotFinite, match="in decoding"):
        decode_frames(pipeline, latents)
    load._load_pipeline.cache_clear()
