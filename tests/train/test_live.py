"""Live training: footage of two takes, batches of it, and weights that lead to a pipeline."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

import pytest
import torch
from transformers import UMT5EncoderModel

from concat_id import ConcatIDWanPipeline
from concat_id.loading.presets import EMBEDDED
from concat_id.people import EXPRESSIONS, MOTIONS
from train.export.pipeline import export_live
from train.footage.latents import load_autoencoder
from train.live.fit import TASKS, LiveTraining, Plan, Task, load_weights
from train.live.pools import TAKES, Kind, Studio, cast_scenes, collect, join, write_tokens
from train.transformer.training import build_transformer, with_reference_adaln

PEOPLE = 4
SCENES = 3


class Writers:
    """Writes captions at once instead of in processes aside."""

    def submit(self, function, *arguments):
        """A future that is done."""
        future = Future()
        future.set_result(function(*arguments))
        return future


@pytest.fixture(scope="module")
def studio():
    """With the shipped autoencoder and tokenizer."""
    return Studio(load_autoencoder(EMBEDDED / "vae"), EMBEDDED / "tokenizer", Writers())


@pytest.fixture(scope="module")
def people(studio):
    """Drawn people with their pictures."""
    return studio.portray(5, PEOPLE, "validation")


@pytest.fixture(scope="module")
def stills(studio, people):
    """By number of people, a pool of stills."""
    return {
        count: collect([studio.film(Kind(count, 1), 7, people, "validation", SCENES)]) for count in (1, 2, 3)
    }


@pytest.fixture
def training():
    """A transformer of the embedded shape in two blocks, with batches of some scenes."""
    torch.manual_seed(0)
    transformer = build_transformer()
    transformer.blocks = transformer.blocks[:2]
    transformer.register_to_config(num_layers=2)
    text_encoder = UMT5EncoderModel.from_pretrained(EMBEDDED / "text_encoder", dtype=torch.float32).eval()
    plan = Plan(tokens=4 * 64 * TAKES, warmup_steps=1, lr=1e-3)
    return LiveTraining(with_reference_adaln(transformer), text_encoder, plan, compiled=False)


def test_takes_differ_in_what_their_captions_say():
    casting = cast_scenes(3, "train", torch.arange(80).view(40, 2), Kind(2, 17))
    assert (casting.expressions[0] != casting.expressions[1]).any(1).all()
    assert (casting.motions[0] != casting.motions[1]).float().mean().item() == pytest.approx(0.5, abs=0.2)
    first, second = casting.scenes(0), casting.scenes(1)
    assert first.expression_names == [
        [EXPRESSIONS[n] for n in row] for row in casting.expressions[0].tolist()
    ]
    assert second.motion_names == [[MOTIONS[n] for n in row] for row in casting.motions[1].tolist()]
    assert torch.equal(first.place_seed, second.place_seed) and torch.equal(first.spot, second.spot)
    still = cast_scenes(3, "train", torch.arange(40).view(40, 1), Kind(1, 1))
    assert torch.equal(still.motions[0], still.motions[1])


def test_tokens_belong_to_their_takes():
    casting = cast_scenes(3, "train", torch.arange(6).view(6, 1), Kind(1, 17))
    tokens = write_tokens(casting, EMBEDDED / "tokenizer")
    assert tokens.shape == (6, TAKES, 4, 64) and tokens.dtype == torch.int16
    assert (tokens[:, 0] != tokens[:, 1]).any(-1).all()


def test_people_are_given_by_pictures_that_show_their_faces(people):
    assert people["pictures"].shape == (len(people["seeds"]), 4, 24, 16, 16)
    assert people["usable"].any(1).all()
    assert len(join([people, people])["seeds"]) == 2 * len(people["seeds"])


@pytest.mark.parametrize("task", TASKS, ids=lambda task: "+".join(task.roles))
def test_batches_hold_what_the_task_gives(training, stills, people, task):
    batch = training.draw(stills[task.people], people, task)
    count = 4 * 64 * TAKES // (64 * (1 + len(task.roles))) // TAKES * TAKES
    assert batch["latents"].shape == (count, 24, 1, 16, 16)
    assert batch["reference_latents"].shape == (count, 24, len(task.roles), 16, 16)
    assert torch.equal(batch["reference_latents"][0], batch["reference_latents"][1])
    assert not torch.equal(batch["latents"][0], batch["latents"][1])


def test_loss_falls_and_the_average_follows(training, stills, people):
    before = [average.clone() for average in training.average]
    losses = [training.step(stills[1], people, TASKS[0], done=0.6).item() for _ in range(12)]
    assert sum(losses[-4:]) < sum(losses[:4])
    assert any(not torch.equal(old, new) for old, new in zip(before, training.average, strict=True))
    assert training.steps == 12 and training.samples == 12 * 4


def test_watching_changes_nothing(training, stills, people):
    before = [p.detach().clone() for p in training.parameters]
    first = training.watch(stills[1], people, Task(("face",), 1.0))
    assert first == training.watch(stills[1], people, Task(("face",), 1.0))
    assert all(torch.equal(old, new) for old, new in zip(before, training.parameters, strict=True))


def test_weights_become_a_pipeline(training, stills, people, tmp_path: Path):
    training.step(stills[1], people, TASKS[0], done=0.0)
    training.save(tmp_path / "live")
    export_live(tmp_path / "live", EMBEDDED, EMBEDDED / "vae", tmp_path / "pipeline")
    pipeline = ConcatIDWanPipeline.from_pretrained(tmp_path / "pipeline")
    shipped = dict(pipeline.transformer.named_parameters())
    for (name, _), average in zip(training.transformer.named_parameters(), training.average, strict=True):
        assert torch.allclose(shipped[name].float(), average, atol=1e-2, rtol=1e-2)
    # Both are what another run goes on from.
    training.transformer.load_state_dict(load_weights(tmp_path / "live"))
    training.transformer.load_state_dict(load_weights(tmp_path / "pipeline"))
