"""Presets are complete and consistent; loading picks a device, caches, and says what is missing."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
import weakref
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from parity.figures import load_figures
from toys import toy_preset, write_toy_adapter, write_toy_pipeline

from concat_id import ConcatIDWanPipeline, ConcatIDWanTransformer3DModel
from concat_id.errors import InvalidJob, WeightsUnavailable
from concat_id.loading import load, presets, weights
from concat_id.loading.devices import Precision, choose_device, choose_dtype, choose_precision
from concat_id.loading.load import list_missing, load_face_tools, load_pipeline
from concat_id.loading.presets import DEFAULT_PRESET, PRESETS

HEAVY = {"torch", "diffusers", "transformers", "insightface", "onnxruntime", "gradio", "cv2", "numpy", "PIL"}


@pytest.fixture(autouse=True)
def _empty_caches() -> Iterator[None]:
    """What one test loads, no other test finds."""
    yield
    for cached in (load._load_pipeline, load._load_face_tools, load.weights_digest):
        cached.cache_clear()


def test_the_default_needs_no_network() -> None:
    preset = PRESETS[DEFAULT_PRESET]
    assert preset.checkpoint is None
    faces = (preset.face_pack, preset.score_pack, preset.face_parser, preset.clip)
    for source in (preset.base, *faces, preset.clothes_parser):
        assert isinstance(source, Path) and source.is_relative_to(presets.EMBEDDED)


@pytest.mark.parametrize("name", PRESETS)
def test_sizes_fit_the_model(name: str) -> None:
    preset = PRESETS[name]
    assert preset.num_frames % preset.frame_stride == 1
    assert preset.height % 16 == preset.width % 16 == 0
    assert preset.tasks and preset.max_references >= 1


def test_importing_is_light_and_has_no_effects(tmp_path: Path) -> None:
    code = (
        "import sys, concat_id, concat_id.loading.presets, concat_id.job, concat_id.__main__\n"
        f"sys.exit(', '.join({HEAVY} & set(sys.modules)) or 0)"
    )
    environment = {"CONCAT_ID_CACHE": str(tmp_path / "cache"), "PATH": "", "HOME": str(tmp_path)}
    root = Path(presets.__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, env=environment)
    assert not list(tmp_path.iterdir())


def test_the_best_device_is_chosen() -> None:
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert choose_device(None) == best
    assert choose_device("cpu") == "cpu"


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "", "cuda:x"])
def test_devices_that_are_not_there_are_refused(device: str) -> None:
    with pytest.raises(InvalidJob, match=f"device '{device}' is not on this machine; choose .*'cpu'"):
        choose_device(device)


def test_the_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONCAT_ID_CACHE", str(tmp_path))
    assert weights.cache_folder() == tmp_path
    monkeypatch.delenv("CONCAT_ID_CACHE")
    assert weights.cache_folder() == Path.home() / ".cache" / "concat-id"


def test_without_network_and_cache_the_error_says_what_to_fetch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def offline(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("offline")

    monkeypatch.setenv("CONCAT_ID_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(WeightsUnavailable, match="hf download yongzhong/Concat-ID-Wan"):
        load_pipeline("wan-1.3b-adaln", "cpu")
    with pytest.raises(WeightsUnavailable, match="hf download yongzhong/Concat-ID-Wan"):
        load_face_tools("wan-1.3b-adaln")
    assert not list(tmp_path.iterdir())


def test_parts_of_hub_repositories_are_located(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def fetch(repository: str, allow_patterns: list[str] | None, local_files_only: bool) -> str:
        asked.append((repository, allow_patterns))
        return str(tmp_path)

    (tmp_path / "pack").mkdir()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    assert weights.locate("hub:somebody/things/pack") == tmp_path / "pack"
    assert weights.locate("hub:somebody/things", patterns=["*.json"]) == tmp_path
    assert asked == [("somebody/things", ["pack", "pack/*"]), ("somebody/things", ["*.json"])]
    with pytest.raises(WeightsUnavailable, match="'somebody/things/other' is not on this machine"):
        weights.locate("hub:somebody/things/other")


def test_what_is_on_this_machine_is_found_and_nothing_is_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub, cache = tmp_path / "hub", tmp_path / "cache"
    snapshot = hub / "models--somebody--things" / "snapshots" / "1"
    (snapshot / "vae").mkdir(parents=True)
    (snapshot / "vae" / "config.json").touch()
    (hub / "models--somebody--things" / "refs").mkdir()
    (hub / "models--somebody--things" / "refs" / "main").write_text("1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))
    monkeypatch.setenv("CONCAT_ID_CACHE", str(cache))
    find = partial(weights.find, "hub:somebody/things")
    assert find() == find(patterns=["vae/*"]) == snapshot and find(patterns=["vae/*", "*.json"]) is None
    assert weights.find("hub:somebody/things/vae") == snapshot / "vae"
    assert weights.find("hub:somebody/things/other.bin") is weights.find("hub:nobody/things") is None
    assert weights.find("insightface:buffalo_l") is weights.find(tmp_path / "other") is None
    (cache / "insightface" / "models" / "buffalo_l").mkdir(parents=True)
    assert weights.find("insightface:buffalo_l") and weights.find(tmp_path) == tmp_path


def test_what_a_preset_lacks_is_listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("CONCAT_ID_CACHE", str(tmp_path))
    assert list_missing("embedded") == []
    preset = PRESETS["wan-1.3b-adaln"]
    all_of_it = {preset.base, preset.checkpoint, preset.face_pack, preset.face_parser, preset.clip}
    assert set(list_missing("wan-1.3b-adaln")) == all_of_it | {preset.score_pack}
    # Converted once, neither the base nor the checkpoint is needed again.
    folder = tmp_path / "presets" / "wan-1.3b-adaln"
    folder.mkdir(parents=True)
    (folder / "model_index.json").touch()
    assert not {preset.base, preset.checkpoint} & set(list_missing("wan-1.3b-adaln"))


def test_a_pack_that_insightface_fetched_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CONCAT_ID_CACHE", str(tmp_path))
    folder = tmp_path / "insightface" / "models" / "buffalo_l"
    folder.mkdir(parents=True)
    assert weights.locate("insightface:buffalo_l") == folder


def test_missing_embedded_weights_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(
        PRESETS, "empty", replace(PRESETS["embedded"], base=tmp_path, face_pack=tmp_path / "pack")
    )
    with pytest.raises(WeightsUnavailable, match="model_index.json' is missing"):
        load_pipeline("empty", "cpu")
    with pytest.raises(WeightsUnavailable, match="pack' is missing"):
        load_face_tools("empty")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setitem(PRESETS, "toy", toy_preset(write_toy_pipeline(tmp_path / "toy")))
    return "toy"


def denoise(pipeline: ConcatIDWanPipeline) -> torch.Tensor:
    """What two steps of a pipeline make of a prompt, without references."""
    generator = torch.Generator().manual_seed(0)
    options = {"height": 64, "width": 64, "num_frames": 5, "num_inference_steps": 2, "output_type": "pt"}
    return pipeline("A person waves.", generator=generator, max_sequence_length=16, **options).frames


def test_a_pipeline_is_loaded_once_and_then_kept(toy: str) -> None:
    pipeline = load_pipeline(toy, "cpu")
    assert load_pipeline(toy, "cpu") is pipeline
    assert load_pipeline(toy, "cpu", torch.float64) is not pipeline


def test_the_presets_shift_and_precision_are_applied(toy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, toy, replace(PRESETS[toy], shift=3.5))
    pipeline = load_pipeline(toy, "cpu", torch.bfloat16)
    assert pipeline.scheduler.shift == 3.5
    assert pipeline.transformer.dtype == pipeline.vae.dtype == torch.bfloat16


def test_bfloat16_only_where_the_processor_computes_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False, "amx_bf16": False})
    assert choose_dtype("cpu") == torch.float32
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert choose_dtype("cpu") == torch.bfloat16


def test_cards_without_bfloat16_compute_in_what_does_not_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    half, brain, full = torch.float16, torch.bfloat16, torch.float32
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))  # a T4
    assert choose_precision("cuda", "wan") == Precision(half, half, brain, full)
    assert choose_precision("cuda", "cogvideox") == Precision(brain, full, brain, full)
    assert choose_precision("cuda", "wan", full) == Precision(full, full, full, full)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 9))
    assert choose_precision("cuda", "wan") == Precision(brain, brain, brain, full)
    assert choose_precision("cuda", "cogvideox") == Precision(brain, brain, brain, brain)


def test_an_authors_checkpoint_is_converted_once_and_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, toy_folder: Path
) -> None:
    figures = load_figures("adaln")
    base, checkpoint = tmp_path / "base", tmp_path / "second_stage_adaln.pt"
    shutil.copytree(toy_folder, base, ignore=shutil.ignore_patterns("transformer"))
    ConcatIDWanTransformer3DModel(**figures.config()).save_config(base / "transformer")
    torch.save(figures.state_dict, checkpoint)
    monkeypatch.setenv("CONCAT_ID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(
        PRESETS, "released", replace(PRESETS["wan-1.3b-adaln"], base=base, checkpoint=checkpoint)
    )
    pipeline = load_pipeline("released", "cpu")
    assert pipeline.transformer.config.reference_adaln and pipeline.scheduler.shift == 5.0
    checkpoint.unlink()
    load._load_pipeline.cache_clear()
    assert load_pipeline("released", "cpu") is not pipeline
    assert (tmp_path / "cache" / "presets" / "released" / "model_index.json").is_file()


@pytest.mark.parametrize("part", ["transformer", "text_encoder", "vae"])
def test_weights_are_told_apart(toy: str, part: str, tmp_path: Path) -> None:
    digest = load.weights_digest(toy)
    assert len(digest) == 64
    load.weights_digest.cache_clear()
    weights_file = next((tmp_path / "toy" / part).glob("*.safetensors"))
    data = bytearray(weights_file.read_bytes())
    data[-1] ^= 1
    weights_file.write_bytes(data)
    assert load.weights_digest(toy) != digest


@pytest.fixture
def adapted(toy: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The toy preset with a LoRA that changes its transformer."""
    adapter = write_toy_adapter(tmp_path / "adapter.safetensors")
    monkeypatch.setitem(PRESETS, "adapted", replace(PRESETS[toy], adapter=adapter))
    return "adapted"


def test_an_adapter_makes_another_model_of_the_same_parts(toy: str, adapted: str) -> None:
    plain = load_pipeline(toy, "cpu", torch.float32)
    before = denoise(plain)
    pipeline = load_pipeline(adapted, "cpu", torch.float32)
    assert load_pipeline(adapted, "cpu", torch.float32) is pipeline
    assert pipeline.vae is plain.vae and pipeline.text_encoder is plain.text_encoder
    # Both stay loaded, and neither changes the other.
    after = denoise(pipeline)
    assert torch.equal(denoise(load_pipeline(toy, "cpu", torch.float32)), before)
    plain.load_lora_weights(PRESETS[adapted].adapter)
    assert not torch.allclose(after, before)
    torch.testing.assert_close(denoise(plain), after)
    assert load.weights_digest(adapted) != load.weights_digest(toy)


def test_an_adapted_model_is_let_go_when_another_is_asked_for(toy: str, adapted: str) -> None:
    transformer = weakref.ref(load_pipeline(adapted, "cpu").transformer)
    gc.collect()
    assert transformer() is load_pipeline(adapted, "cpu").transformer
    load_pipeline(toy, "cpu")
    gc.collect()
    assert transformer() is None


def test_a_missing_adapter_is_named(adapted: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing = tmp_path / "other.safetensors"
    monkeypatch.setitem(PRESETS, adapted, replace(PRESETS[adapted], adapter=missing))
    assert missing in list_missing(adapted)
    with pytest.raises(WeightsUnavailable, match="other.safetensors' is missing"):
        load_pipeline(adapted, "cpu")


def test_models_that_look_at_faces_are_shared_by_presets_that_name_the_same(toy: str, adapted: str) -> None:
    assert load_face_tools(toy) is load_face_tools(adapted)


@pytest.mark.parametrize("name", [name for name in PRESETS if name.startswith("embedded-")])
def test_the_embedded_models_adapters_fit_it(name: str) -> None:
    plain, adapted = load_pipeline("embedded", "cpu"), load_pipeline(name, "cpu")
    assert list_missing(name) == [] and adapted.text_encoder is plain.text_encoder
    before, after = plain.transformer.state_dict(), adapted.transformer.state_dict()
    assert before.keys() == after.keys()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert any("attn1" in name for name in changed) and any("ffn" in name for name in changed)
    assert not any("norm" in name or "embed" in name for name in changed)
