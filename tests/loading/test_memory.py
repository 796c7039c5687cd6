"""Memory modes: what each does on which GPU, and that results stay the same."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from diffusers import DiffusionPipeline
from toys import toy_cogvideox_preset, toy_preset, write_toy_adapter

from concat_id.errors import InvalidJob
from concat_id.loading import load
from concat_id.loading.load import load_pipeline
from concat_id.loading.memory import VARIABLE, MemoryPlan, place, plan_memory
from concat_id.loading.own_weights import register_weights
from concat_id.loading.presets import PRESETS

WAN, COGVIDEOX = 2_840_000_000, 11_140_000_000  # bytes of the released transformers in bfloat16
SHORT, STREAMED = MemoryPlan(is_short=True), MemoryPlan(is_short=True, stream_transformer=True)


def write_weights(folder: Path, size: int) -> Path:
    """A folder whose weights seem to have this size."""
    folder.mkdir()
    with (folder / "weights.safetensors").open("wb") as file:
        file.truncate(size)
    return folder


@pytest.mark.parametrize(
    ("mode", "size", "plan"),
    [
        *((mode, WAN, SHORT) for mode in ("8gb", "12gb", "16gb", "24gb")),
        *((mode, COGVIDEOX, STREAMED) for mode in ("8gb", "12gb", "16gb")),
        ("24gb", COGVIDEOX, SHORT),
    ],
)
def test_a_mode_streams_what_is_large_for_it(tmp_path: Path, mode: str, size: int, plan: MemoryPlan) -> None:
    assert plan_memory(mode, "cuda", write_weights(tmp_path / "transformer", size)) == plan


@pytest.mark.parametrize(("gigabytes", "plan"), [(80, MemoryPlan()), (24, SHORT), (16, STREAMED)])
def test_by_default_the_gpu_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gigabytes: int, plan: MemoryPlan
) -> None:
    properties = SimpleNamespace(total_memory=gigabytes * 10**9)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.delenv(VARIABLE, raising=False)
    transformer = write_weights(tmp_path / "transformer", COGVIDEOX)
    assert plan_memory(None, "cuda", transformer) == plan_memory("auto", "cuda:0", transformer) == plan
    monkeypatch.setenv(VARIABLE, "8gb")
    assert plan_memory(None, "cuda", transformer) == STREAMED


def test_what_cannot_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan_memory("auto", "cpu", tmp_path) == MemoryPlan()
    with pytest.raises(InvalidJob, match="memory is '8gb', which is about GPUs; leave it out on 'cpu'"):
        plan_memory("8gb", "cpu", tmp_path)
    monkeypatch.setenv(VARIABLE, "7gb")
    with pytest.raises(InvalidJob, match="memory is '7gb'; choose auto or 8gb"):
        plan_memory(None, "cuda", tmp_path)


@pytest.fixture(params=["wan", "cogvideox"])
def toy(
    request: pytest.FixtureRequest,
    toy_folder: Path,
    toy_cogvideox_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """The name of a preset with random weights; whatever was planned, its blocks pass through."""
    preset = toy_preset(toy_folder)
    if request.param == "cogvideox":
        preset = toy_cogvideox_preset(toy_cogvideox_folder)
    for cached in (load._load_pipeline, load._adapt):
        cached.cache_clear()
    monkeypatch.setitem(PRESETS, "toy", preset)
    return "toy"


def sample(pipeline: DiffusionPipeline) -> torch.Tensor:
    """Pixels of a small video."""
    picture = torch.zeros(1, 4, 1, 8, 8)
    options = {"height": 64, "width": 64, "num_frames": 9, "num_inference_steps": 2, "output_type": "pt"}
    generator = torch.Generator().manual_seed(0)
    return pipeline("A person.", reference_latents=picture, generator=generator, **options).frames


@pytest.mark.parametrize("plan", [SHORT, STREAMED])
def test_results_stay_the_same(toy: str, plan: MemoryPlan) -> None:
    folder = Path(PRESETS[toy].base)
    exact = load_pipeline(toy, "cpu", torch.float32)
    placed = place(type(exact).from_pretrained(folder), "cpu", plan)
    placed.scheduler = exact.scheduler
    assert torch.equal(sample(placed), sample(exact)) and placed.vae.use_tiling
    children = placed.transformer.children()
    blocks = next(module for module in children if isinstance(module, torch.nn.ModuleList))
    assert hasattr(blocks[0], "_diffusers_hook") == plan.stream_transformer


def test_a_lora_is_merged_into_what_passes_through(
    toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "toy", toy_preset(toy_folder))
    name = register_weights(write_toy_adapter(tmp_path / "x.safetensors"), "toy", "adapted").name
    expected = sample(load_pipeline(name, "cpu", torch.float32))
    for cached in (load._load_pipeline, load._adapt):
        cached.cache_clear()
    monkeypatch.setattr(load, "plan_memory", lambda *_: STREAMED)
    plain = sample(load_pipeline("toy", "cpu", torch.float32))
    found = sample(load_pipeline(name, "cpu", torch.float32))
    assert torch.equal(found, expected) and not torch.allclose(found, plain)
    del PRESETS[name]
    for cached in (load._load_pipeline, load._adapt):
        cached.cache_clear()
