"""Training from a curated dataset: what a batch holds, and a few steps of the recipe."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from toys import TEXT_DIM

from concat_id.output.video import read_video
from train.__main__ import main as run_recipe
from train.curation.training_clips import (
    Format,
    InvalidFormat,
    NothingToTrainOn,
    Span,
    decode_clip,
    load_reference,
    read_examples,
)
from train.transformer.curated_data import PairBatches, PairsDataModule

SHAPE = Format(num_frames=5, fps=4, height=64, width=64)
SMALL = Format(num_frames=5, fps=4, height=32, width=32)


def test_frames_are_those_that_a_player_shows_at_their_times(footage: Path) -> None:
    path = footage / "videos/film-00001.mp4"
    video = read_video(path)
    height, width = video.frames.shape[1:3]
    whole = Format(num_frames=5, fps=2.5, height=height, width=width)
    span = Span("", str(path), 0.13, 1.93)
    clip = decode_clip(span, whole, offset=0.5)
    times = 0.23 + np.arange(5) / 2.5
    shown = np.stack([video.frames[int(time * video.fps)] for time in times])
    decoded = ((clip.permute(1, 2, 3, 0) + 1) * 127.5).round().byte().numpy()
    assert np.abs(decoded.astype(int) - shown).mean() < 2


def test_a_clip_covers_the_format_and_is_cut_at_its_middle(footage: Path) -> None:
    span = Span("", str(footage / "videos/film-00001.mp4"), 0.0, 2.0)
    clip = decode_clip(span, SHAPE, offset=0.0)
    assert clip.shape == (3, 5, 64, 64) and -1 <= clip.min() < clip.max() <= 1


def test_a_reference_is_masked_and_fitted_on_black(dataset: Path) -> None:
    row = pq.read_table(dataset / "tables/references.parquet").to_pylist()[0]
    plain = load_reference(dataset, row["picture"], None, SHAPE)
    masked = load_reference(dataset, row["picture"], row["mask"], SHAPE)
    black = (masked == -1).all(0).float().mean()
    assert black == pytest.approx(1 - row["kept_share"], abs=0.05)
    assert (plain == -1).all(0).float().mean() < black
    wide = load_reference(dataset, row["picture"], None, Format(height=64, width=128))
    assert wide.shape == (3, 64, 128) and (wide[:, :, :30] == -1).all()


def test_batches_hold_what_training_takes_with_references_of_other_videos(
    dataset: Path, toy_folder: Path
) -> None:
    module = PairsDataModule(str(dataset), str(toy_folder), "cross_video", batch_size=2, shape=SMALL)
    batches = PairBatches(module)
    for people, group in batches.groups.items():
        batch = batches.draw(group[:2], torch.Generator().manual_seed(0))
        count = len(group[:2])
        assert batch["latents"].shape == (count, 4, 2, 4, 4)
        assert batch["reference_latents"].shape == (count, 4, people, 4, 4)
        assert batch["reference_mask"].shape == (count, people) and batch["reference_mask"].sum() >= count
        there = batch["reference_latents"].abs().amax((1, 3, 4)) > 0
        assert torch.equal(there, batch["reference_mask"].bool())
        assert batch["captions"] == [example.caption for example in group[:2]]
        assert batch["prompt_embeds"].shape == batch["negative_prompt_embeds"].shape == (count, 64, TEXT_DIM)
        assert batch["task"] == "+".join(["face"] * people)
    clips = pq.read_table(dataset / "tables/clips.parquet").to_pylist()
    video_of = {row["clip"]: row["video"] for row in clips}
    for example in read_examples(dataset, "cross_video", SMALL):
        for picture, _ in sum(example.references, ()):
            assert video_of[Path(picture).name.split("-p")[0]] != Path(example.span.path).name


def test_datasets_without_what_is_asked_for_are_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(NothingToTrainOn, match="no clips of 20 s or more with cross_video pairs"):
        read_examples(dataset, "cross_video", Format(num_frames=81, fps=4))
    with pytest.raises(NothingToTrainOn, match="no pairs called 'crossed'; choose from pre_training"):
        read_examples(dataset, "crossed", SHAPE)
    with pytest.raises(NothingToTrainOn, match="no finished dataset"):
        read_examples(tmp_path, "cross_video", SHAPE)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"num_frames": 16}, "num_frames is 16, but must be 4k"),
        ({"fps": 0}, "fps is 0, but must be more than 0"),
        ({"width": 100}, "width is 100, but must be a multiple of 8"),
    ],
)
def test_formats_that_no_model_takes_are_refused(values: dict, said: str) -> None:
    with pytest.raises(InvalidFormat, match=said):
        Format(**values)


def test_the_recipe_trains_a_lora_for_a_few_steps(dataset: Path, toy_folder: Path, tmp_path: Path) -> None:
    text = Path("train/configs/footage.yaml").read_text()
    text = text.replace(".train/footage/dataset", str(dataset)).replace(".train/footage", str(tmp_path))
    text = text.replace("assets/embedded", str(toy_folder))
    text = re.sub(r"every_n_train_steps: \d+", "every_n_train_steps: 1", text)
    config = tmp_path / "recipe.yaml"
    config.write_text(text)
    shape = "{num_frames: 5, fps: 4, height: 32, width: 32}"
    arguments = ["--data.init_args.batch_size", "2", "--data.init_args.shape", shape]
    limits = [
        "--trainer.max_steps",
        "2",
        "--trainer.val_check_interval",
        "2",
        "--trainer.log_every_n_steps",
        "1",
    ]
    run_recipe(["fit", "--config", str(config), *arguments, *limits])
    (metrics,) = (tmp_path / "logs").rglob("metrics.csv")
    rows = list(csv.DictReader(metrics.open()))
    losses = [float(row[name]) for row in rows for name in row if name.startswith("train/loss") and row[name]]
    assert len(losses) == 2 and all(np.isfinite(losses))
    weights = torch.load(tmp_path / "last.ckpt", weights_only=False)["state_dict"]
    assert any("lora_B" in name and value.abs().sum() > 0 for name, value in weights.items())
