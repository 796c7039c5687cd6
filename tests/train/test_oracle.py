"""The oracle: little noise leaves the truth, all of it leaves nothing, and the table says what was seen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from toys import toy_preset, write_toy_pipeline

from concat_id.loading.presets import PRESETS
from concat_id.models.autoencoder_wan import speed_up
from train.measure import oracle
from train.measure.oracle import CODED, DRAWN, Reading, describe
from train.transformer.continuation import ContinuingPipeline, continue_from, draw_noise, film_truth


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> ContinuingPipeline:
    folder = write_toy_pipeline(tmp_path_factory.mktemp("toy"))
    made = ContinuingPipeline.from_pretrained(folder)
    made.set_progress_bar_config(disable=True)
    return made


def test_the_schedule_begins_at_the_level_and_goes_on_as_the_whole_one(pipeline: ContinuingPipeline) -> None:
    pipeline.start = 1.0
    whole = pipeline.prepare_timesteps(10)
    pipeline.start = 0.5
    rest = pipeline.prepare_timesteps(10)
    assert rest[0] == pytest.approx(500) and (rest.diff() < 0).all()
    assert torch.allclose(rest[1:], whole[whole < 500 - 1e-3])
    pipeline.start = float(whole[4]) / 1000
    assert torch.allclose(pipeline.prepare_timesteps(10), whole[4:], atol=1e-3)


def test_the_less_noise_the_more_of_the_truth_is_left(pipeline: ContinuingPipeline, tmp_path: Path) -> None:
    preset = toy_preset(tmp_path)
    truth = film_truth(pipeline, preset, 0, 2, split="validation", stills=True)
    assert truth.latents.shape == (2, 4, 1, 8, 8) and truth.reference_latents.shape == (2, 4, 1, 8, 8)
    assert truth.frames.shape == (2, 1, 3, 64, 64) and len(truth.captions) == 2
    noise = draw_noise(truth, 0)
    assert torch.equal(
        noise[:1], draw_noise(film_truth(pipeline, preset, 0, 1, split="validation", stills=True), 0)
    )
    errors = [
        (continue_from(pipeline, preset, truth, level, noise) - truth.latents).square().mean().item()
        for level in (0.02, 0.3, 1.0)
    ]
    assert errors[0] < 0.02 and errors == sorted(errors)
    blank = film_truth(pipeline, preset, 0, 2, split="validation", stills=True, references=False)
    assert not blank.reference_latents.any() and torch.equal(blank.latents, truth.latents)


def test_a_pipeline_in_half_precision_films_the_truth_too(tmp_path: Path) -> None:
    folder = write_toy_pipeline(tmp_path)
    half = ContinuingPipeline.from_pretrained(folder, dtype=torch.bfloat16)
    speed_up(half.vae)
    truth = film_truth(half, toy_preset(folder), 0, 2, split="validation")
    assert truth.latents.shape[:3] == (2, 4, 5) and truth.latents.isfinite().all()


def test_figures_stand_beside_their_share_of_the_ceiling() -> None:
    drawn = [Reading(1.0, 1.0, 0.2), Reading(1.0, 1.0, None)]
    coded = [Reading(1.0, 1.0, 0.16), Reading(0.6, 1.0, None)]
    made = [Reading(0.5, 1.0, 0.08), Reading(0.1, 0.0, 0.1)]
    assert describe(made, drawn, coded).split() == "30.0 % 38 % 50.0 % 50 % 0.400 50 %".split()
    assert describe(drawn, drawn, None).split() == "100.0 % 100.0 % 1.000".split()


def test_the_command_prints_a_row_for_every_level(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(PRESETS, "embedded", toy_preset(write_toy_pipeline(tmp_path)))
    oracle.main(["--noise", "1", "0.1", "--clips", "2", "--stills", "--sheet", str(tmp_path / "sheet.png")])
    printed = capsys.readouterr().out
    rows = [line for line in printed.splitlines() if "%" in line]
    assert [any(line.startswith(name) for line in rows) for name in ("noise 1", "noise 0.1", CODED, DRAWN)]
    assert "2 stills, validation split" in printed and (tmp_path / "sheet.png").stat().st_size > 0
    with pytest.raises(SystemExit):
        oracle.main(["--noise", "0"])
