"""Weights that were fetched in part end in one sentence that names what to remove."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from toys import portrait, toy_preset

from concat_id.__main__ import main
from concat_id.errors import DamagedWeights
from concat_id.loading import load
from concat_id.loading.damaged_weights import find_damaged, name_removable
from concat_id.loading.presets import EMBEDDED, PRESETS

# Where a preset's weights are, and the file that is cut off.
FILES = {
    "face_pack": ("face_pack", "det.onnx"),
    "score_pack": ("face_pack", "rec.onnx"),
    "face_parser": ("face_parser", "model.safetensors"),
    "clip": ("clip", "model.safetensors"),
    "video_clip tokenizer": ("evaluation/video_clip", "tokenizer.json"),
    "curricular": ("evaluation/cur.onnx", ""),
    "video_clip": ("evaluation/video_clip", "model.safetensors"),
    "adapter": ("adapters/draft.safetensors", ""),
}
BASE = (
    *("transformer/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors"),
    *("text_encoder/model.safetensors", "tokenizer/tokenizer.json"),
    *("transformer/config.json", "model_index.json"),
)


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """What was loaded for one test, no other test finds."""
    yield
    caches = ("_load_pipeline", "_adapt", "_load_face_tools", "_load_curricular", "_load_video_text")
    for name in caches:
        getattr(load, name).cache_clear()
    load.weights_digest.cache_clear()


def cut(path: Path) -> Path:
    """Keep the first third of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    return path


def check_sentence(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Generating with the preset "cut" says which file it is."""
    portrait(3).save(tmp_path / "face.png")
    line = ["generate", "--preset", "cut", "--device", "cpu", "--steps", "1", "--prompt", "waving"]
    files = ["--reference", str(tmp_path / "face.png"), "--output", str(tmp_path / "out")]
    capsys.readouterr()
    assert main([*line, *files]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"concat_id: '{file}' is damaged or was fetched in part; remove '{file}'"), said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", FILES)
def test_what_looks_at_pictures_and_videos(
    name: str,
    toy_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, inside = FILES[name]
    whole = EMBEDDED / source
    copy = tmp_path / "weights" / whole.name
    (shutil.copytree if whole.is_dir() else shutil.copyfile)(whole, _make_parent(copy))
    file = cut(copy / inside if inside else copy)
    preset = replace(toy_preset(toy_folder), **{name.split()[0]: copy})
    monkeypatch.setitem(PRESETS, "cut", preset)
    check_sentence(file, tmp_path, capsys)


@pytest.mark.parametrize("name", BASE)
def test_the_pipeline(
    name: str,
    toy_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = shutil.copytree(toy_folder, tmp_path / "pipeline")
    file = cut(folder / name)
    monkeypatch.setitem(PRESETS, "cut", toy_preset(folder))
    check_sentence(file, tmp_path, capsys)


def _make_parent(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def drop(file: Path) -> None:
    """Leave one tensor out."""
    tensors = load_file(file)
    tensors.pop(min(name for name, tensor in tensors.items() if tensor.ndim > 1))
    save_file(tensors, file, {"format": "pt"})


def reshape(file: Path) -> None:
    """Give one tensor another size."""
    tensors = load_file(file)
    tensors[min(name for name, tensor in tensors.items() if tensor.ndim > 1)] = torch.ones(3, 3)
    save_file(tensors, file, {"format": "pt"})


@pytest.mark.parametrize("change", [drop, reshape, Path.unlink])
@pytest.mark.parametrize("name", BASE[:3])
def test_what_is_incomplete_or_of_another_model_is_refused(
    name: str,
    change: Callable[[Path], None],
    toy_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = shutil.copytree(toy_folder, tmp_path / "pipeline")
    change(folder / name)
    monkeypatch.setitem(PRESETS, "cut", toy_preset(folder))
    with pytest.raises(DamagedWeights, match="incomplete, or of another model") as error:
        load.load_pipeline("cut", "cpu")
    assert "\n" not in str(error.value) and str(folder) in str(error.value)


def test_whole_weights_are_not_blamed(toy_folder: Path) -> None:
    assert find_damaged(EMBEDDED) is None and find_damaged(toy_folder) is None
    assert load.load_pipeline("embedded", "cpu")


def test_what_was_fetched_as_a_whole_is_removed_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONCAT_ID_CACHE", str(tmp_path / "cache"))
    converted = tmp_path / "cache" / "presets" / "wan" / "transformer" / "a.safetensors"
    assert name_removable(converted) == tmp_path / "cache" / "presets" / "wan"
    pack = tmp_path / "cache" / "insightface" / "models" / "buffalo_l" / "det.onnx"
    assert name_removable(pack) == pack.parent
    (tmp_path / "blob").write_text("content")
    (tmp_path / "model.bin").symlink_to(tmp_path / "blob")
    assert name_removable(tmp_path / "model.bin") == tmp_path / "blob"
