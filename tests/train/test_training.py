"""The recipes' parts and, for a few real steps each, the recipes themselves."""

from __future__ import annotations

import contextlib
import csv
import os
import re
import signal
import subprocess
import sys
from collections import defaultdict
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from toy_latents import CAPTIONS, write_toy_workshop

from concat_id import ConcatIDWanPipeline, ConcatIDWanTransformer3DModel
from concat_id.errors import CheckpointInTheWay
from train.__main__ import main as run_recipe
from train.export.pipeline import export_pipeline
from train.optimizer import MuonAdamW, orthogonalize, warmup_stable_decay
from train.text.encoder import build_text_encoder, encode_text, train_tokenizer
from train.transformer.draws import batch_generators
from train.transformer.flow_matching import interpolate, sample_sigmas, velocity
from train.transformer.latent_data import Source, load_pairs
from train.transformer.training import ConcatIDTraining, build_transformer, with_reference_adaln

CONFIGS = Path("train/configs")
RECIPES = (
    "base", "stage1", "stage2", "stage3", "interleaved", "multi_identity_stage1", "multi_identity_stage2",
    "multi_identity_scratch", "try_on", "background", "unified", "distillation",
)  # fmt: skip


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the recipes find in `.train`, at toy size; nobody may change it."""
    folder = tmp_path_factory.mktemp("workshop")
    write_toy_workshop(folder)
    return folder


def toy_recipe(name: str, workshop: Path, run: Path, *more: str) -> list[str]:
    """Command line of a recipe as it is, but on the workshop's files and with small batches."""
    text = (CONFIGS / f"{name}.yaml").read_text()
    text = text.replace(f".train/{name}", str(run)).replace(".train/", f"{workshop}/")
    text = re.sub(r"batch_size: \d+", "batch_size: 2", text)
    text = re.sub(r"/gallery(, count: \d)?}", "/gallery, count: 2, num_inference_steps: 1}", text)
    text = text.replace("every_n_train_steps: 50", "every_n_train_steps: 1")
    config = run / "recipe.yaml"
    config.write_text(text)
    return ["fit", "--config", str(config), "--trainer.val_check_interval", "2", *more]


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
    module = ConcatIDTraining(text=str(workshop / "text"))
    keep = torch.tensor([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    latents = torch.rand(3, 24, 2, 4, 4) + 1
    dropped = module.drop_references(latents, keep)
    assert torch.equal(dropped[0], latents[0]) and dropped[1].abs().max() == 0
    assert torch.equal(dropped[2, :, 0], latents[2, :, 0]) and dropped[2, :, 1].abs().max() == 0
    keep = torch.tensor([True, False, True])
    embeddings = module.encode_captions(["a woman", "a man", "a dog"], keep)
    empty = module.encode_captions([""], torch.tensor([True]))[0]
    torch.testing.assert_close(embeddings[1], empty)
    assert not torch.allclose(embeddings[0], empty) and not torch.allclose(embeddings[2], empty)


def test_a_missing_reference_counts_as_a_dropped_one(workshop: Path) -> None:
    torch.manual_seed(0)
    module = ConcatIDTraining(init_from=str(workshop / "stage1" / "pipeline"))
    source = Source(str(workshop / "latents" / "two"), 2, roles=("face", "face"))
    batch = load_pairs([source])[0].draw(torch.arange(2), torch.Generator().manual_seed(0))
    noise, keep = torch.randn(batch["latents"].shape), torch.tensor([True, True])

    def loss(mask: list[list[float]], change: float) -> float:
        latents = batch["reference_latents"].clone()
        latents[0, :, 1] += change
        changed = batch | {"reference_latents": latents, "reference_mask": torch.tensor(mask)}
        return module.loss(changed, torch.full((2,), 0.5), noise, keep_text=keep, keep_references=keep).item()

    assert loss([[1.0, 0.0], [1.0, 1.0]], 0.0) == loss([[1.0, 0.0], [1.0, 1.0]], 3.0)
    assert loss([[1.0, 1.0], [1.0, 1.0]], 0.0) != loss([[1.0, 1.0], [1.0, 1.0]], 3.0)


def test_draws_depend_on_the_batch_s_number_through_processes_and_resumptions() -> None:
    def draw(
        count: int, *, step: int = 0, rank: int = 0, world: int = 1, accumulated: int = 1
    ) -> list[float]:
        trainer = SimpleNamespace(
            global_step=step, global_rank=rank, world_size=world, accumulate_grad_batches=accumulated
        )
        torch.manual_seed(7)
        generators = islice(batch_generators(trainer), count)
        return [torch.rand((), generator=generator).item() for generator in generators]

    alone = draw(6)
    assert len(set(alone)) == 6
    assert draw(2, step=2, accumulated=2) == draw(2, step=4) == alone[4:]
    assert [draw(2, step=1, rank=rank, world=2) for rank in (0, 1)] == [alone[2::2], alone[3::2]]


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_trains_validates_and_samples(name: str, workshop: Path, tmp_path: Path) -> None:
    run_recipe(toy_recipe(name, workshop, tmp_path, "--trainer.max_steps", "2"))
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 2
    tasks = [path.stem.removeprefix("000002_") for path in (tmp_path / "gallery").glob("000002_*.png")]
    with (tmp_path / "logs" / "version_0" / "metrics.csv").open() as file:
        (row,) = (row for row in csv.DictReader(file) if row.get("val/loss"))
    assert tasks and all(float(row[f"val/loss_{task}"]) > 0 for task in tasks)
    if name == "unified":
        assert len(tasks) == 7 and "face+garment+background" in tasks and "face+face+face" in tasks


def test_a_run_never_hides_its_checkpoint_behind_an_earlier_one(workshop: Path, tmp_path: Path) -> None:
    arguments = toy_recipe("base", workshop, tmp_path)
    run_recipe([*arguments, "--trainer.max_steps", "1"])
    with pytest.raises(CheckpointInTheWay, match=r"go on from it by --ckpt_path .*last.ckpt, or move"):
        run_recipe([*arguments, "--trainer.max_steps", "2"])
    # A folder that was moved is another one to Lightning, and its checkpoint's name taken.
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    tmp_path.mkdir()
    arguments = toy_recipe("base", workshop, moved)
    run_recipe([*arguments, "--trainer.max_steps", "2", "--ckpt_path", str(moved / "last.ckpt")])
    assert [path.name for path in moved.glob("*.ckpt")] == ["last.ckpt"]
    assert torch.load(moved / "last.ckpt", weights_only=True)["global_step"] == 2


@pytest.mark.slow
def test_stage_one_resumes_and_exports(workshop: Path, tmp_path: Path) -> None:
    arguments = toy_recipe("stage1", workshop, tmp_path)
    fresh = (
        "--model.init_args.init_from",
        "null",
        "--model.init_args.text",
        str(workshop / "text"),
    )
    run_recipe([*arguments, *fresh, "--trainer.max_steps", "2"])
    first = torch.load(tmp_path / "last.ckpt", weights_only=True)
    last = ("--trainer.max_steps", "4", "--ckpt_path", str(tmp_path / "last.ckpt"))
    run_recipe([*arguments, *fresh, *last])
    second = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert first["global_step"] == 2 and second["global_step"] == 4
    name = "transformer.blocks.0.attn1.to_q.weight"
    assert not torch.equal(first["current_model_state"][name], second["current_model_state"][name])
    assert Image.open(tmp_path / "gallery" / "000004_face.png").size == (6 * 32, 2 * 32)

    export_pipeline(tmp_path / "last.ckpt", workshop / "vae", tmp_path / "exported")
    pipeline = ConcatIDWanPipeline.from_pretrained(tmp_path / "exported")
    assert isinstance(pipeline.transformer, ConcatIDWanTransformer3DModel)
    exported = pipeline.transformer.state_dict()["blocks.0.attn1.to_q.weight"].float()
    torch.testing.assert_close(exported, second["state_dict"][name], atol=1e-2, rtol=1e-2)


def test_a_model_is_exported_with_the_tokenizer_that_it_started_with(workshop: Path, tmp_path: Path) -> None:
    start = workshop / "stage1" / "pipeline"
    module = ConcatIDTraining(init_from=str(start))
    checkpoint = {"hyper_parameters": dict(module.hparams), "state_dict": module.state_dict()}
    torch.save(checkpoint, tmp_path / "last.ckpt")
    export_pipeline(tmp_path / "last.ckpt", workshop / "vae", tmp_path / "exported")
    exported, expected = (folder / "tokenizer/tokenizer.json" for folder in (tmp_path / "exported", start))
    assert exported.read_bytes() == expected.read_bytes()


def test_an_export_replaces_the_pipeline_and_nothing_else(workshop: Path, tmp_path: Path) -> None:
    module = ConcatIDTraining(init_from=str(workshop / "stage1" / "pipeline"))
    checkpoint = {"hyper_parameters": dict(module.hparams), "state_dict": module.state_dict()}
    torch.save(checkpoint, tmp_path / "last.ckpt")
    output = tmp_path / "embedded"
    others = {
        "clip/config.json": '{"_name_or_path": "x"}',
        "results/embedded/report.json": "[1]",
        "MODEL_CARD.md": "#",
    }
    shard = "transformer/diffusion_pytorch_model-00001-of-00002.safetensors"
    for name, text in {**others, shard: "old"}.items():
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_text(text)
    export_pipeline(tmp_path / "last.ckpt", workshop / "vae", output)
    assert {name: (output / name).read_text() for name in others} == others
    assert not (output / shard).exists()
    assert isinstance(ConcatIDWanPipeline.from_pretrained(output), ConcatIDWanPipeline)
    assert "_name_or_path" not in (output / "vae" / "config.json").read_text()
    assert not list(output.glob(".*"))


def read_metrics(run: Path) -> dict[str, dict[int, float]]:
    """By figure, what the last of a run's logs says of each step."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    last = max(run.rglob("metrics.csv"), key=lambda path: path.stat().st_mtime)
    with last.open() as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                if value:
                    found[name][int(row["step"])] = float(value)
    return found


@pytest.mark.slow
def test_two_processes_train_the_model_that_one_does(workshop: Path, tmp_path: Path) -> None:
    runs = {name: tmp_path / name for name in ("two", "one")}
    for run in runs.values():
        run.mkdir()
    # With one validation batch of each source, no task is seen by both. Muon and bfloat16 amplify rounding.
    same = ("--trainer.max_steps", "3", "--data.validation_batches", "1", "--trainer.precision", "32-true")
    same += ("--model.init_args.muon", "false", "--trainer.val_check_interval")
    arguments = toy_recipe("unified", workshop, runs["two"], *same, "3")
    arguments += ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
    log = tmp_path / "log.txt"
    with log.open("w") as output:
        command = [sys.executable, "-m", "train", *arguments]
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        try:
            process.wait(timeout=280)
        finally:
            # Whatever happened, the second process must not outlive the test.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    # The verdict is the checkpoint: threads that are torn down at exit may abort a process that is done.
    text = log.read_text()
    assert "MEMBER: 2/2" in text and (runs["two"] / "last.ckpt").exists(), text
    accumulated = ("6", "--trainer.accumulate_grad_batches", "2")
    run_recipe(toy_recipe("unified", workshop, runs["one"], *same, *accumulated))
    two, one = (torch.load(run / "last.ckpt", weights_only=True) for run in runs.values())
    assert two["global_step"] == one["global_step"] == 3
    for name, value in one["current_model_state"].items():
        torch.testing.assert_close(two["current_model_state"][name], value, atol=1e-5, rtol=1e-4)
    assert sum(name.startswith("val/loss_face") for name in read_metrics(runs["two"])) == 7


KILLED = """
import os, signal, sys
from train.__main__ import main
from train.transformer.training import ConcatIDTraining

def die(self, batch, batch_idx):
    if self.global_step == 3:
        os.kill(os.getpid(), signal.SIGKILL)

ConcatIDTraining.on_train_batch_start = die
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_as_an_undisturbed_one(workshop: Path, tmp_path: Path) -> None:
    same = ("--trainer.max_steps", "6", "--trainer.log_every_n_steps", "1")
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    for run in (undisturbed, killed):
        run.mkdir()
    run_recipe(toy_recipe("stage2", workshop, undisturbed, *same))
    arguments = toy_recipe("stage2", workshop, killed, *same)
    ended = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert torch.load(killed / "last.ckpt", weights_only=True)["global_step"] == 3
    run_recipe([*arguments, "--ckpt_path", str(killed / "last.ckpt")])
    expected, found = read_metrics(undisturbed), read_metrics(killed)
    assert max(map(max, (found[name] for name in found if name.startswith("train/")))) == 5
    for name, values in found.items():
        for step, value in values.items():
            assert value == pytest.approx(expected[name][step], rel=1e-6), (name, step)
    ends = [torch.load(run / "last.ckpt", weights_only=True)["state_dict"] for run in (undisturbed, killed)]
    torch.testing.assert_close(*ends, rtol=1e-6, atol=1e-7)
