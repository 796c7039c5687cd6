"""Retakes: nothing but the expression changes, and what changes is weighed by itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from toy_latents import CLIPS, write_toy_shard, write_toy_text

import train.footage.retakes
import train.footage.synthetic_footage
from concat_id.people import render, sample_scenes
from train.autoencoder.autoencoder import build_autoencoder
from train.curation.recognition import FaceEmbedder
from train.footage.retakes import draw_expressions, make_shard
from train.transformer.flow_matching import velocity
from train.transformer.latent_data import LatentData, LatentFolder, LatentPairs, Source
from train.transformer.training import ConcatIDTraining, differ_from_scene, weigh_retakes

FACE_PACK = Path("assets/embedded/face_pack")


@pytest.fixture
def toy_retakes(tmp_path: Path) -> Path:
    """A folder of four clips, which are two scenes of two takes."""
    write_toy_shard(tmp_path / "00000.safetensors", people=1, latent_frames=1, takes=2)
    return tmp_path


def test_a_shard_holds_takes_that_differ_in_the_face_and_in_the_caption(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(train.footage.retakes, "SHARD_SCENES", 5)
    monkeypatch.setattr(train.footage.retakes, "SCENES_AT_ONCE", 3)
    monkeypatch.setattr(train.footage.synthetic_footage, "SHARP_SIZES", {1: 96})
    torch.manual_seed(0)
    path = tmp_path / "00000.safetensors"
    make_shard(build_autoencoder(), FaceEmbedder(FACE_PACK), path, seed=8, frames=1, split="train")
    shard = load_file(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    captions = json.loads(metadata["captions"])[""]
    num_scenes = len(shard["latents"]) // 2
    assert metadata["takes"] == "2" and 3 <= num_scenes <= 5 and len(captions) == 2 * num_scenes
    assert json.loads(metadata["people"])
    first, second = shard["latents"].unflatten(0, (-1, 2)).float().unbind(1)
    near_faces = shard["faces"].unflatten(0, (-1, 2)).amax((1, 2)) > 0
    near_faces = torch.nn.functional.max_pool2d(near_faces.float(), 7, 1, 3) > 0
    change = (first - second).abs().amax((1, 2))
    assert (change[near_faces].mean() > 5 * change[~near_faces].mean()) and near_faces.any()
    assert all(one != other for one, other in zip(captions[::2], captions[1::2], strict=True))
    tables = shard["pairs.cross_video"].unflatten(0, (-1, 2))
    assert torch.equal(tables[:, 0], tables[:, 1]) and (tables >= 0).any(3).all()
    assert (shard["pairs.pre_training"] == -1).all()


def test_scenes_of_one_seed_differ_by_the_expression_asked_for() -> None:
    smiling, angry = (sample_scenes(3, 2, num_frames=1, expressions=name) for name in ("smiling", "angry"))
    changed = (render(smiling, 64, 64).frames != render(angry, 64, 64).frames).any(2)[:, 0]
    assert changed.flatten(1).any(1).all() and not changed[:, :8].any()
    names = draw_expressions(50, 3, torch.Generator().manual_seed(0))
    assert all(len({*takes}) == 3 for takes in zip(*names, strict=True))


def test_takes_of_a_scene_are_drawn_together_with_the_same_references(toy_retakes: Path) -> None:
    source = Source(str(toy_retakes), 6)
    pairs = LatentPairs(source, LatentFolder(toy_retakes))
    assert len(pairs) == CLIPS // 2 and pairs.rows.tolist() == [[0, 1], [2, 3]]
    batch = pairs.draw(torch.tensor([1, 0, 1]), torch.Generator().manual_seed(0))
    assert batch["captions"] == [" 2", " 3", " 0", " 1", " 2", " 3"] and batch["takes"] == 2
    references = batch["reference_latents"].unflatten(0, (-1, 2))
    assert torch.equal(references[:, 0], references[:, 1])


def test_a_batch_counts_clips_and_not_scenes(toy_retakes: Path) -> None:
    for batch_size, clips in ((2, 2), (3, 2), (4, 4), (1, 2)):  # a scene is never torn apart
        data = LatentData([Source(str(toy_retakes), batch_size)], [Source(str(toy_retakes), batch_size)])
        assert len(next(iter(data.train_dataloader()))["captions"]) == clips
        batches = list(data.val_dataloader())
        assert [len(batch["captions"]) for batch in batches] == [clips] * (CLIPS // clips)


def test_what_takes_have_in_common_counts_once_and_their_difference_more() -> None:
    errors = torch.randn(6, 2, 1, 3, 3)
    kept = torch.tensor([True, True, True, True, False, False])
    assert torch.equal(weigh_retakes(errors, 1, kept, 10.0), errors)
    weighed = weigh_retakes(errors, 2, kept, 9.0).unflatten(0, (-1, 2))
    plain = errors.unflatten(0, (-1, 2))
    torch.testing.assert_close(weighed.mean(1), plain.mean(1))
    torch.testing.assert_close((weighed[:, 0] - weighed[:, 1])[:2], 3 * (plain[:, 0] - plain[:, 1])[:2])
    # Without the words nothing says which take is which.
    torch.testing.assert_close(weighed[2], plain[2])


def test_words_are_heard_as_far_as_the_prediction_follows_them(toy_retakes: Path) -> None:
    torch.manual_seed(0)
    training = ConcatIDTraining(text=str(write_toy_text(toy_retakes / "text")))
    pairs = LatentPairs(Source(str(toy_retakes), 4), LatentFolder(toy_retakes))
    batch = pairs.draw(torch.arange(2), torch.Generator().manual_seed(0))
    noise = torch.randn(2, *batch["latents"].shape[1:]).repeat_interleave(2, 0)
    assert training.hear_words(batch, noise) == 0
    own = differ_from_scene(velocity(batch["latents"], noise), 2)
    for share in (1.0, 0.5):
        training.predict = lambda *_, share=share: 7 + share * own
        assert training.hear_words(batch, noise).item() == pytest.approx(share, abs=1e-4)
