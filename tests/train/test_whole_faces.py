"""How the judge of whole faces learns: damage is where it is meant to be, and the network tells it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from toys import clip_of

from concat_id.evaluation.judges import WHOLENESS
from concat_id.evaluation.wholeness import CROP_PX, WholenessJudge
from train.measure import whole_faces as measure
from train.measure.whole_faces import HELD_OUT, split_held_out, write_threshold
from train.pictures.alignment import ARCFACE_POINTS
from train.scoring.damage import LATENT_OPERATIONS, PIXEL_OPERATIONS, Operation, break_faces
from train.scoring.whole_face_crops import BROKEN, WHOLE, are_faces_kept, break_crops, with_broken_pixels
from train.scoring.whole_face_data import WholeFaceBatches, read_judged
from train.scoring.whole_faces import WholeFaces


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def crops() -> torch.Tensor:
    """(8, 3, 112, 112) in [0, 1]."""
    frames = np.concatenate([clip_of(seed, size=CROP_PX, num_frames=1) for seed in range(8)])
    return torch.from_numpy(frames).permute(0, 3, 1, 2) / 255


@pytest.mark.parametrize("operation", list(dict.fromkeys(LATENT_OPERATIONS + PIXEL_OPERATIONS)))
def test_every_damage_changes_its_part_and_nothing_else(
    operation: Operation, crops: torch.Tensor, generator: torch.Generator
) -> None:
    landmarks = torch.tensor(ARCFACE_POINTS).expand(8, -1, -1)
    broken, mask = break_faces(crops, crops.roll(1, 0), landmarks, (operation,), generator)
    change = (broken - crops).abs()
    assert change[(mask == 0).expand_as(change)].max() == 0
    assert (change * mask).amax((1, 2, 3)).min() > 0.05
    assert 0.005 < mask.mean() < 0.6


def test_damage_that_does_not_show_does_not_count(generator: torch.Generator) -> None:
    plain = torch.full((4, 3, CROP_PX, CROP_PX), 0.5)
    assert not break_crops(plain, generator)[1].any()


def test_what_is_broken_in_its_pixels_knows_what_it_was(
    crops: torch.Tensor, generator: torch.Generator
) -> None:
    chunk = {"crops": (crops * 255).byte(), "whole": torch.tensor([1] * 6 + [0] * 2, dtype=torch.uint8)}
    grown = with_broken_pixels(chunk, generator)
    added = grown["source"] >= 0
    assert 1 <= added.sum() <= 6 and grown["source"][added].max() < 6 and not grown["whole"][added].any()
    before, after = grown["crops"][grown["source"][added]], grown["crops"][added]
    change = (before.float() - after.float()).abs().mean((1, 2, 3))
    assert change.min() > 0.5 and change.max() < 60


def test_batches_hold_both_kinds_in_their_shares(generator: torch.Generator) -> None:
    stored = {
        "crops": torch.randint(0, 256, (12, 3, CROP_PX, CROP_PX), generator=generator).byte(),
        "whole": torch.tensor([WHOLE, BROKEN] * 6, dtype=torch.uint8),
        "source": torch.tensor([-1] * 11 + [0]),
    }
    batch = next(iter(WholeFaceBatches(stored, stored, 16, (0.25, 0.25, 0.25, 0.25), seed=0)))
    assert batch["crops"].shape == (16, 3, CROP_PX, CROP_PX) and 0 <= batch["crops"].min()
    assert batch["whole"].tolist() == [1] * 4 + [0] * 4 + [0] * 2 + [1] * 2 + [1] * 2 + [0] * 2


def test_it_learns_to_tell_noise_from_nothing() -> None:
    module = WholeFaces(warmup_steps=1, decay_steps=1)
    module.log_dict = lambda *args, **kwargs: None
    module._trainer = type("Trainer", (), {"max_steps": 40})()
    optimizer = module.configure_optimizers()["optimizer"]
    crops = torch.full((8, 3, CROP_PX, CROP_PX), 0.5)
    crops[4:] = torch.rand(4, 3, CROP_PX, CROP_PX)
    batch = {"crops": crops, "whole": torch.tensor([1.0] * 4 + [0.0] * 4)}
    losses = []
    for step in range(12):
        loss = module.training_step(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_judged_faces_have_their_labels() -> None:
    judged, true, chosen = split_held_out()
    assert judged["crops"].shape == (160, 3, CROP_PX, CROP_PX) and len(true) == len(chosen) == 160
    # A viewer who did not know them called most true faces whole, and few of the model's.
    whole = judged["whole"].bool()
    assert whole[true].float().mean() > 0.8 and whole[~true].float().mean() < 0.3
    training = read_judged(Path("train/scoring/judged_faces/training.webp"))
    assert len(training["crops"]) == len(training["whole"]) == 497
    for name in ("held_out", "training"):
        assert HELD_OUT.with_stem(name).stat().st_size < 800_000


def test_a_threshold_is_chosen_anew_and_kept_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "whole.onnx"
    shutil.copyfile(WHOLENESS, path)
    write_threshold(path, 0.01)
    assert WholenessJudge(path).threshold == 0.01
    measure.main(["--judge", str(path), "--choose-threshold"])
    chosen = WholenessJudge(path).threshold
    assert chosen == pytest.approx(WholenessJudge(WHOLENESS).threshold, abs=1e-3)
    assert f"{chosen:.4f}" in capsys.readouterr().out and list(tmp_path.iterdir()) == [path]


def test_smeared_faces_are_not_kept() -> None:
    frames = torch.from_numpy(clip_of(3, size=128, num_frames=4)).permute(0, 3, 1, 2)[None] / 255
    landmarks = (torch.tensor(ARCFACE_POINTS) + 8).expand(1, 4, 5, 2)
    coded = frames.clone()
    coded[:, 1, :, 30:100, 30:100] = 0.5
    coded[:, 2, :, :10] = 0.5
    assert are_faces_kept(frames, coded, landmarks).tolist() == [[True, False, True, True]]
