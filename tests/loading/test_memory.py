"""Memory modes: what each does on which GPU, and what that does to results."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from diffusers import DiffusionPipeline
from safetensors.torch import load_file, save_file
from toys import toy_cogvideox_preset, toy_preset, write_toy_adapter

from concat_id.errors import DamagedWeights, InvalidJob
from concat_id.loading import compiling, load, memory
from concat_id.loading.devices import Precision
from concat_id.loading.load import load_pipeline
from concat_id.loading.memory import GB, VARIABLE, MemoryPlan, measure_weights, place, plan_memory
from concat_id.loading.own_weights import register_weights
from concat_id.loading.presets import PRESETS

# Bytes in bfloat16 of the released transformers and text encoders.
SIZES = {"wan": (2_840_000_000, 11_360_000_000), "cogvideox": (11_140_000_000, 9_520_000_000)}
SHORT = MemoryPlan("layers", is_tiled=True)
STREAMED = replace(SHORT, stream_transformer=True)
FLOAT8 = MemoryPlan(is_tiled=True, store_float8=True)


@pytest.fixture
def released(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a pipeline whose weights seem to have the released sizes, on a machine of 64 GB."""
    sizes = dict(zip(("transformer", "text_encoder"), SIZES[request.param], strict=True))
    monkeypatch.setattr(memory, "measure_weights", lambda folder: sizes[folder.name])
    monkeypatch.setattr(memory, "read_system_bytes", lambda: 64 * GB)
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("released", "mode", "plan"),
    [
        *(("wan", mode, SHORT) for mode in ("8gb", "12gb", "16gb", "24gb")),
        *(("cogvideox", mode, STREAMED) for mode in ("8gb", "12gb", "16gb")),
        ("cogvideox", "24gb", SHORT),
        ("wan", "12gb-4bit", replace(SHORT, text_encoder="4bit")),
        ("cogvideox", "16gb-8bit", replace(FLOAT8, text_encoder="8bit")),
        ("cogvideox", "12gb-4bit", replace(FLOAT8, text_encoder="4bit")),
        ("cogvideox", "8gb-4bit", replace(STREAMED, text_encoder="4bit")),
    ],
    indirect=["released"],
)
def test_a_mode_does_what_fits(released: Path, mode: str, plan: MemoryPlan) -> None:
    found = plan_memory(mode, "cuda", released)
    assert found == replace(plan, gpu_bytes=int(mode.split("gb")[0]) * GB)


@pytest.mark.parametrize("released", ["cogvideox"], indirect=True)
@pytest.mark.parametrize(("gigabytes", "plan"), [(80, MemoryPlan()), (24, SHORT), (16, STREAMED)])
def test_by_default_the_gpu_decides(
    released: Path, monkeypatch: pytest.MonkeyPatch, gigabytes: int, plan: MemoryPlan
) -> None:
    properties = SimpleNamespace(total_memory=gigabytes * GB)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    plan = replace(plan, gpu_bytes=gigabytes * GB)
    assert plan_memory(None, "cuda", released) == plan_memory("auto", "cuda:0", released) == plan
    monkeypatch.setenv(VARIABLE, "8gb")
    assert plan_memory(None, "cuda", released) == replace(STREAMED, gpu_bytes=8 * GB)


@pytest.mark.parametrize("released", ["wan"], indirect=True)
@pytest.mark.parametrize(("gigabytes", "fits"), [(12.7, False), (24, True)])
def test_a_text_encoder_larger_than_system_memory_stays_on_file(
    released: Path, monkeypatch: pytest.MonkeyPatch, gigabytes: float, fits: bool
) -> None:
    monkeypatch.setattr(memory, "read_system_bytes", lambda: gigabytes * GB)
    assert plan_memory("16gb", "cuda", released).text_encoder == ("layers" if fits else "files")
    assert plan_memory("16gb-8bit", "cuda", released).text_encoder == "8bit"
    assert plan_memory("auto", "cpu", released) == MemoryPlan("whole" if fits else "files")


def test_weights_are_measured_in_16_bits(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3, 5), "b": torch.zeros(2)}, tmp_path / "1.safetensors")
    save_file({"c": torch.zeros(7, dtype=torch.bfloat16)}, tmp_path / "2.safetensors")
    assert measure_weights(tmp_path) == 2 * (15 + 2 + 7)


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


def sample_under(monkeypatch: pytest.MonkeyPatch, plan: MemoryPlan) -> tuple[torch.Tensor, DiffusionPipeline]:
    """Pixels of the toy preset under a plan, and its pipeline."""
    monkeypatch.setattr(load, "plan_memory", lambda *_: plan)
    pipeline = load_pipeline("toy", "cpu", torch.float32)
    return sample(pipeline), pipeline


@pytest.mark.parametrize("plan", [SHORT, STREAMED, MemoryPlan("files"), MemoryPlan(gpu_bytes=24 * GB)])
def test_results_stay_the_same(toy: str, monkeypatch: pytest.MonkeyPatch, plan: MemoryPlan) -> None:
    exact, _ = sample_under(monkeypatch, MemoryPlan())
    found, pipeline = sample_under(monkeypatch, plan)
    assert torch.equal(found, exact) and pipeline.vae.use_tiling == plan.is_tiled
    children = pipeline.transformer.children()
    blocks = next(module for module in children if isinstance(module, torch.nn.ModuleList))
    assert hasattr(blocks[0], "_diffusers_hook") == plan.stream_transformer
    weights = pipeline.text_encoder.encoder.block.parameters()
    assert {weight.is_meta for weight in weights} == {plan.text_encoder == "files"}


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_a_text_encoder_in_fewer_bits_is_near(toy: str, monkeypatch: pytest.MonkeyPatch, bits: str) -> None:
    pytest.importorskip("bitsandbytes")
    _, exact = sample_under(monkeypatch, MemoryPlan())
    found, pipeline = sample_under(monkeypatch, MemoryPlan(bits))
    assert found.isfinite().all()
    expected, embeds = (one.encode_prompt("A person waves.") for one in (exact, pipeline))
    error = (embeds - expected).norm() / expected.norm()
    assert 0 < error < (0.1 if bits == "8bit" else 0.5)


def test_weights_in_float8_are_near(toy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    exact, _ = sample_under(monkeypatch, MemoryPlan(is_tiled=True))
    found, pipeline = sample_under(monkeypatch, FLOAT8)
    assert torch.float8_e4m3fn in {weight.dtype for weight in pipeline.transformer.parameters()}
    assert 0 < (found - exact).abs().mean() < 0.05


@pytest.mark.parametrize("plan", [SHORT, STREAMED])
def test_weights_in_bfloat16_can_be_computed_in_float32(toy_cogvideox_folder: Path, plan: MemoryPlan) -> None:
    pipeline = load._load_pipeline.__wrapped__(
        toy_cogvideox_folder,
        "cogvideox",
        "cpu",
        Precision(torch.bfloat16, torch.float32, torch.bfloat16, torch.float32),
        plan,
    )
    seen = []
    pipeline.transformer.transformer_blocks[0].ff.register_forward_hook(
        lambda module, inputs, output: seen.append(output.dtype)
    )
    assert sample(pipeline).isfinite().all() and set(seen) == {torch.float32}
    stored = [weight.dtype for weight in pipeline.transformer.transformer_blocks[0].ff.parameters()]
    assert set(stored) == {torch.bfloat16}


def test_a_text_encoder_on_file_that_lacks_weights_is_refused(
    toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(toy_folder, tmp_path / "toy")
    file = tmp_path / "toy" / "text_encoder" / "model.safetensors"
    weights = load_file(file)
    del weights["encoder.block.0.layer.0.SelfAttention.q.weight"]
    save_file(weights, file, {"format": "pt"})
    monkeypatch.setitem(PRESETS, "toy", toy_preset(tmp_path / "toy"))
    with pytest.raises(
        DamagedWeights, match=r"lack 1 tensors, such as 'encoder.block.0.layer.0.SelfAttention"
    ):
        sample_under(monkeypatch, MemoryPlan("files"))


def test_more_passes_run_as_one_batch_where_there_is_room(
    toy_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "toy", toy_preset(toy_folder))
    pipeline = load_pipeline("toy", "cpu", torch.float32)
    config = pipeline.transformer.config
    width = config.num_attention_heads * config.attention_head_dim
    plan = MemoryPlan(gpu_bytes=8 * GB)
    assert place(pipeline, "cpu", plan, torch.float32).max_batched_tokens == int(
        8 * GB * memory.BATCH_SHARE / (4 * (config.ffn_dim + 8 * width))
    )
    latents = torch.zeros(1, 4, 3, 64, 64)  # 3,072 tokens
    passes = dict.fromkeys(("uncond", "cond"))
    assert pipeline._fit_one_batch(latents, passes)
    pipeline.max_batched_tokens = 4096
    assert not pipeline._fit_one_batch(latents, passes)
    load._load_pipeline.cache_clear()


@pytest.mark.parametrize("toy", ["cogvideox"], indirect=True)  # the other's in tests/models
def test_blocks_are_compiled_where_they_stay(toy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    exact, plain = sample_under(monkeypatch, MemoryPlan())
    monkeypatch.setenv(compiling.VARIABLE, "eager")
    load._load_pipeline.cache_clear()
    found, pipeline = sample_under(monkeypatch, MemoryPlan())
    assert torch.allclose(found, exact, atol=1e-5)
    compiled = [module for module in pipeline.transformer.modules() if module._compiled_call_impl]
    assert len(compiled) == plain.transformer.config.num_layers
    monkeypatch.setattr(load, "plan_memory", lambda *_: STREAMED)
    streamed = load_pipeline("toy", "cpu", torch.float32)
    assert not any(module._compiled_call_impl for module in streamed.transformer.modules())
    monkeypatch.setattr(load, "plan_memory", lambda *_: MemoryPlan(is_tiled=True))
    monkeypatch.setenv(compiling.VARIABLE, "gcc")
    with pytest.raises(InvalidJob, match="CONCAT_ID_COMPILE is 'gcc'; choose "):
        load_pipeline("toy", "cpu", torch.float32)


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
