"""The text encoder's own training: what it is asked, that its recipe runs, and what becomes of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from toy_latents import CAPTIONS

from concat_id.people import GARMENTS, PLACES
from train.__main__ import main as run_recipe
from train.export.pipeline import export_text
from train.text.caption_reading import TOPICS, CaptionReading, take_captions
from train.text.encoder import train_tokenizer
from train.transformer.training import ConcatIDTraining


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    folder = tmp_path / "tokenizer"
    train_tokenizer(CAPTIONS).save_pretrained(folder)
    return folder


def test_truth_is_that_of_the_people_from_left_to_right() -> None:
    batch = take_captions(3, 40, 2, (), "train")
    assert len(batch["captions"]) == 40 and all(batch[topic].shape == (40, 3) for topic in TOPICS)
    assert (batch["expression"][:, :2] >= 0).all() and (batch["expression"][:, 2] == -1).all()
    assert (batch["place"][:, 0] >= 0).all() and (batch["place"][:, 1:] == -1).all()
    firsts = [re.split(r"(?: and|,) (?:an?|the|some\w+) ", caption)[0] for caption in batch["captions"]]
    in_hoodies = [number for number, first in enumerate(firsts) if "hoodie" in first]
    assert in_hoodies
    assert all(GARMENTS[batch["garment"][number, 0]] == "hoodie" for number in in_hoodies)


def test_what_a_picture_gives_is_a_category_of_its_own() -> None:
    batch = take_captions(3, 20, 1, ("garment", "background"), "train")
    assert (batch["garment"][:, 0] == len(GARMENTS)).all() and (batch["place"][:, 0] == len(PLACES)).all()
    assert all("garment" in caption for caption in batch["captions"])
    assert (batch["expression"][:, 0] < TOPICS["expression"]).all()


def test_a_few_steps_teach_it_where_a_caption_plays(tokenizer: Path) -> None:
    torch.manual_seed(0)
    module = CaptionReading(str(tokenizer))
    optimizer = torch.optim.AdamW(module.parameters(), 3e-3)
    batch = take_captions(5, 12, 1, (), "train")
    losses = []
    for _ in range(10):
        loss = torch.nn.functional.cross_entropy(
            module.read(batch["captions"])["place"], batch["place"], ignore_index=-1
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_recipe_trains_and_the_transformer_starts_from_its_export(tokenizer: Path, tmp_path: Path) -> None:
    text = Path("train/configs/text_encoder.yaml").read_text()
    text = text.replace(".train/text_encoder", str(tmp_path / "run"))
    text = text.replace(".train/text/tokenizer", str(tokenizer)).replace("batch_size: 64", "batch_size: 4")
    text = text.replace("every_n_train_steps: 100", "every_n_train_steps: 1")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text)
    run_recipe(
        ["fit", "--config", str(recipe), "--trainer.max_steps", "2", "--trainer.val_check_interval", "2"]
    )
    export_text(tmp_path / "run" / "last.ckpt", tmp_path / "text")
    module = ConcatIDTraining(text=str(tmp_path / "text"))
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["state_dict"]
    name = "shared.weight"
    torch.testing.assert_close(module.text_encoder.state_dict()[name], state[f"text_encoder.{name}"])
    assert not any(value.requires_grad for value in module.text_encoder.parameters())


def test_a_fresh_transformer_without_a_text_encoder_is_refused() -> None:
    with pytest.raises(ValueError, match="text must name"):
        ConcatIDTraining()
