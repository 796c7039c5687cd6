"""A benchmark of three people at toy size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from toys import landscape, portrait, toy_preset, write_toy_pipeline

from concat_id.evaluation.benchmark import Benchmark, load_benchmark
from concat_id.evaluation.judges import Judges, load_judges
from concat_id.loading import load
from concat_id.loading.presets import PRESETS
from concat_id.people import SEED_RANGES, sample_scenes

PROMPTS = {
    "single": {
        "joy": [
            {"text": "a person laughing on a beach", "truth": {"expression": "laughing", "place": "beach"}}
        ],
        "moves": [
            {"text": "a person waving in the snow", "truth": {"motion": "waving"}},
            {"text": "a person nodding in a park", "truth": {"motion": "nodding"}},
        ],
    },
    "two": {
        "together": [
            {
                "text": "two people on a beach: a person winking playfully and a person waving hello",
                "truth": {"place": "beach"},
            }
        ]
    },
    "background": {"there": [{"text": "a person smiling", "truth": {"expression": "smiling"}}]},
}


@pytest.fixture(scope="session")
def benchmark_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark's folder: three people and a place; nobody may change it."""
    folder = tmp_path_factory.mktemp("benchmark")
    people = []
    for seed in (3, 5, 9):
        portrait(seed, identity_seed=seed).save(folder / f"p{seed}.png")
        identity = SEED_RANGES["test"][0] + seed
        people.append({"name": f"p{seed}", "picture": f"p{seed}.png", "truth": {}, "seed": identity})
    landscape().save(folder / "beach.png")
    place = int(sample_scenes(0, 1, split="test", num_frames=1, places="beach").place_seed)
    places = [{"name": "beach", "picture": "beach.png", "truth": {"place": "beach"}, "seed": place}]
    data = {"people": people, "garments": [], "places": places, "prompts": PROMPTS}
    (folder / "benchmark.json").write_text(json.dumps(data))
    return folder


@pytest.fixture(scope="session")
def toy_benchmark(benchmark_folder: Path) -> Benchmark:
    return load_benchmark(benchmark_folder)


@pytest.fixture(scope="session")
def judges() -> Judges:
    """The embedded ones."""
    return load_judges("embedded")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a preset with random weights that can do one task."""
    with pytest.MonkeyPatch.context() as patch:
        preset = toy_preset(write_toy_pipeline(tmp_path_factory.mktemp("toy")))
        patch.setitem(PRESETS, "toy", replace(preset, tasks=("single",)))
        yield "toy"
    for cached in (load._load_pipeline, load._load_face_tools, load.weights_digest, load_judges):
        cached.cache_clear()
