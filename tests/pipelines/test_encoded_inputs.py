"""Prompts and references are encoded once, and videos stay what they were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from toys import toy_cogvideox_preset, toy_preset

from concat_id.loading import load
from concat_id.loading.load import load_pipeline
from concat_id.loading.presets import PRESETS
from concat_id.pipelines import encoded_inputs
from concat_id.pipelines.encoded_inputs import encode_inputs
from concat_id.pipelines.pipeline import ConcatIDPipeline
from concat_id.settings import Settings

SETTINGS = Settings(
    height=64, width=64, guidance_scale=3.0, negative_prompt="blurred", max_sequence_length=32
)
PICTURE = Image.new("RGB", (64, 64), "orange")


@pytest.fixture(params=["wan", "cogvideox"])
def pipeline(
    request: pytest.FixtureRequest,
    toy_folder: Path,
    toy_cogvideox_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[ConcatIDPipeline]:
    """One with random weights, loaded anew."""
    wan, cogvideox = toy_preset(toy_folder), toy_cogvideox_preset(toy_cogvideox_folder)
    monkeypatch.setitem(PRESETS, "toy", {"wan": wan, "cogvideox": cogvideox}[request.param])
    load._load_pipeline.cache_clear()
    yield load_pipeline("toy", "cpu", torch.float32)
    load._load_pipeline.cache_clear()


def count(pipeline: ConcatIDPipeline, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that grows by the name of what is encoded."""
    calls = []
    for name in ("encode_prompt", "encode_negative_prompt", "encode_references"):

        def encode(*args: object, name: str = name) -> torch.Tensor:
            calls.append(name)
            return getattr(type(pipeline), name)(pipeline, *args)

        monkeypatch.setattr(pipeline, name, encode)
    return calls


def test_only_what_is_new_is_encoded(pipeline: ConcatIDPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = count(pipeline, monkeypatch)
    first = encode_inputs(pipeline, "a person waving", [PICTURE], SETTINGS)
    assert {"encode_prompt", "encode_negative_prompt", "encode_references"} == set(calls)
    calls.clear()
    again = encode_inputs(pipeline, "a person waving", [PICTURE.copy()], replace(SETTINGS, seed=5))
    assert calls == [] and all(again[name] is first[name] for name in first)
    other = encode_inputs(pipeline, "a person nodding", [PICTURE], replace(SETTINGS, guidance_scale=1.0))
    assert calls == ["encode_prompt"] and "negative_prompt_embeds" not in other
    assert not torch.equal(other["prompt_embeds"], first["prompt_embeds"])
    calls.clear()
    for change in ({"height": 96}, {"max_sequence_length": 16}):
        encode_inputs(pipeline, "a person waving", [PICTURE], replace(SETTINGS, **change))
    for pictures in ([Image.new("RGB", (64, 64), "red")], [PICTURE, PICTURE]):
        encode_inputs(pipeline, "a person waving", pictures, SETTINGS)
    assert calls.count("encode_references") == 3 and "encode_prompt" in calls


def test_the_oldest_is_forgotten(pipeline: ConcatIDPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded_inputs, "KEPT", 2)
    settings = replace(SETTINGS, guidance_scale=1.0)
    calls = count(pipeline, monkeypatch)
    for prompt in ("a", "b", "a", "c", "a", "b"):
        encode_inputs(pipeline, prompt, [], settings)
    assert len(calls) == 4  # a, b, c, and b once more


def test_videos_stay_the_same(pipeline: ConcatIDPipeline) -> None:
    options = {"height": 64, "width": 64, "num_frames": 9, "num_inference_steps": 2, "guidance_scale": 3.0}
    options |= {"output_type": "pt", "max_sequence_length": 32}
    made = [
        pipeline(**inputs, **options, generator=torch.Generator().manual_seed(0)).frames
        for inputs in (
            {"prompt": "a person waving", "references": [PICTURE], "negative_prompt": "blurred"},
            *(encode_inputs(pipeline, "a person waving", [PICTURE], SETTINGS) for _ in range(2)),
        )
    ]
    assert torch.equal(made[0], made[1]) and torch.equal(made[0], made[2])
