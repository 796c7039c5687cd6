"""The real models' recipes as they are, but on toy models: parsed, two steps, videos, weights to load."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import pytest
import torch
import yaml
from toys import make_cogvideox_transformer, make_transformer

from concat_id import ConcatIDCogVideoXTransformer3DModel, ConcatIDWanTransformer3DModel
from concat_id.loading.presets import PRESETS
from concat_id.output.video import read_video
from train.__main__ import main as run_recipe
from train.export.pipeline import export_adapter, export_pipeline

CONFIGS = Path("train/configs")
SHAPES = {
    "wan_1.3b": "{num_frames: 5, fps: 4, height: 32, width: 32}",
    "wan_1.3b_lora": "{num_frames: 5, fps: 4, height: 32, width: 32}",
    "cogvideox_5b": "{num_frames: 9, fps: 8, height: 32, width: 32}",
}


def train(name: str, dataset: Path, start: Path, run: Path) -> None:
    """Two steps of a recipe on a toy model, on this processor."""
    text = (CONFIGS / f"{name}.yaml").read_text()
    text = text.replace(f".train/{name}", str(run)).replace(".train/footage/dataset", str(dataset))
    text = re.sub(r"\.train/(wan|cogvideox)/start", str(start), text)
    text = re.sub(r"shape: \{.*?\}", f"shape: {SHAPES[name]}", text)
    text = re.sub(r"every_n_train_steps: \d+", "every_n_train_steps: 1", text)
    text = re.sub(r"(output: .*/videos)", r"\1, count: 1, num_inference_steps: 1", text)
    text = text.replace("data_parallel_size: 8", "data_parallel_size: 1")
    (run / "recipe.yaml").write_text(text)
    options = {"accelerator": "cpu", "devices": "1", "max_steps": "2", "log_every_n_steps": "1"}
    options |= {"accumulate_grad_batches": "1", "val_check_interval": "2", "precision": "32-true"}
    run_recipe(
        ["fit", "--config", str(run / "recipe.yaml"), "--data.init_args.validation_batches", "1"]
        + [word for name, value in options.items() for word in (f"--trainer.{name}", value)]
    )


def check(name: str, run: Path) -> None:
    """That both steps were made, and a video of the right size written."""
    (metrics,) = run.rglob("metrics.csv")
    rows = list(csv.DictReader(metrics.open()))
    losses = [float(row[column]) for row in rows for column in row if row[column] and "train/loss" in column]
    assert len(losses) == 2 and all(map(math.isfinite, losses))
    video = read_video(run / "videos/000002/0.mp4")
    frames, fps, *sides = map(int, re.findall(r": (\d+)", SHAPES[name]))
    assert video.frames.shape == (frames, *sides, 3) and video.fps == pytest.approx(fps)
    assert (run / "videos/000002/captions.txt").read_text().strip()


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("wan_1.3b", "wan-1.3b-adaln"),
        ("wan_1.3b_lora", "wan-1.3b-adaln"),
        ("cogvideox_5b", "cogvideox-5b-two"),
    ],
)
def test_recipes_train_at_the_size_that_the_presets_generate_at(name: str, preset: str) -> None:
    recipe = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    for key, value in recipe["data"]["init_args"]["shape"].items():
        assert value == getattr(PRESETS[preset], key), key
    assert recipe["model"]["init_args"]["shift"] == (PRESETS[preset].shift or 1.0)


def test_wan_trains_whole_and_is_exported(dataset: Path, toy_folder: Path, tmp_path: Path) -> None:
    train("wan_1.3b", dataset, toy_folder, tmp_path)
    check("wan_1.3b", tmp_path)
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert not any(name.startswith("text_encoder") for name in saved["state_dict"])
    assert saved["averaging_state"]["n_averaged"] > 0
    export_pipeline(tmp_path / "last.ckpt", toy_folder / "vae", tmp_path / "exported")
    exported = ConcatIDWanTransformer3DModel.from_pretrained(tmp_path / "exported/transformer")
    name = "blocks.0.attn1.to_q.weight"
    assert not torch.equal(exported.state_dict()[name].float(), make_transformer().state_dict()[name])
    assert (tmp_path / "exported/text_encoder/config.json").is_file()


def test_wan_trains_a_lora_for_the_app(dataset: Path, toy_folder: Path, tmp_path: Path) -> None:
    train("wan_1.3b_lora", dataset, toy_folder, tmp_path)
    check("wan_1.3b_lora", tmp_path)
    export_adapter(tmp_path / "last.ckpt", tmp_path / "mine.safetensors")
    transformer = make_transformer()
    transformer.load_lora_adapter(tmp_path, weight_name="mine.safetensors", prefix="transformer")
    assert transformer.peft_config["default_0"].r == 64


def test_cogvideox_trains_with_its_weights_split(
    dataset: Path, toy_cogvideox_folder: Path, tmp_path: Path
) -> None:
    train("cogvideox_5b", dataset, toy_cogvideox_folder, tmp_path)
    check("cogvideox_5b", tmp_path)
    weights = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    whole = ConcatIDCogVideoXTransformer3DModel.from_pretrained(toy_cogvideox_folder / "transformer")
    assert {f"transformer.{name}": value.shape for name, value in whole.state_dict().items()} == {
        name: value.shape for name, value in weights.items()
    }
    name = "transformer_blocks.0.attn1.to_q.weight"
    before = make_cogvideox_transformer().state_dict()[name]
    assert not torch.equal(weights[f"transformer.{name}"], before)
