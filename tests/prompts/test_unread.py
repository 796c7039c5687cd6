"""A prompt that is longer than a model reads is read to a word that is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from toys import run

from concat_id.generation import Progress, generate
from concat_id.job import Job
from concat_id.prompts.unread import describe_unread, find_unread
from concat_id.settings import Settings

FILLER = "a person waves and smiles and nods and laughs on a beach in the snow at sunset "


@pytest.mark.parametrize("preset", ["embedded", "embedded-stage2"])
def test_what_is_not_read_begins_with_a_whole_word(preset: str) -> None:
    prompt = FILLER * 8
    unread = find_unread(prompt, preset)
    assert unread and prompt.strip().endswith(unread)
    assert unread.split()[0] in FILLER.split()
    read = prompt.strip().removesuffix(unread)
    assert find_unread(read, preset) == ""
    assert find_unread(f"{read} {unread.split()[0]} x", preset) != ""


def test_short_prompts_and_unknown_models_are_passed_over() -> None:
    assert find_unread(FILLER, "embedded") == ""
    assert find_unread("", "embedded") == ""
    assert find_unread(FILLER * 99, "wan-1.3b-adaln") == ""  # not on this machine


def test_a_word_of_many_tokens_is_not_read_in_part() -> None:
    assert find_unread(FILLER * 2 + "supercalifragilistic" * 40, "embedded").startswith("super")


def test_both_prompts_are_looked_at() -> None:
    notes = describe_unread(FILLER, Settings(negative_prompt=FILLER * 9), "embedded")
    assert len(notes) == 1 and notes[0].startswith("The negative prompt is longer than the model reads")


@pytest.mark.usefixtures("known_toy")
def test_a_run_says_it_before_and_after(job: Job, tmp_path: Path) -> None:
    long = Job(job.task, job.references, FILLER * 2, Settings(seed=7, num_inference_steps=1), job.preset)
    first = next(event for event in generate(long, tmp_path, device="cpu") if isinstance(event, Progress))
    assert any("nothing is read from \u201c" in note for note in first.notes)
    _, result = run(long, tmp_path / "again")
    assert result.notes == first.notes
