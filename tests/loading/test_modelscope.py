"""Fetching from ModelScope: what is wanted, nothing twice, and a way out where it fails."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from diffusers import CogVideoXDPMScheduler
from hub import serve_hub
from modelscope_hub import ModelScope, serve_modelscope
from sat import FILE, write_sat
from toys import make_cogvideox_transformer

from concat_id import ConcatIDCogVideoXPipeline
from concat_id.errors import WeightsUnavailable
from concat_id.loading import load
from concat_id.loading.load import Loading, list_missing, load_pipeline, make_ready
from concat_id.loading.presets import PRESETS
from concat_id.loading.weights import Fetching, fetch, find, locate

TWO = f"two/1000/{FILE}"
FILES = {"README.md": b"1", "two/latest": b"1000", TWO: b"55555", f"single/1/{FILE}": b"7777777"}
WANTED = (f"**/{FILE}",)
SOURCE = "modelscope:some/model/two"


@pytest.fixture
def modelscope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelScope]:
    """A ModelScope with one model."""
    monkeypatch.setenv("CONCAT_ID_CACHE", str(tmp_path / "cache"))
    with serve_modelscope() as there:
        there.repositories = {"some/model": dict(FILES)}
        yield there


def test_only_what_is_wanted_of_a_folder_is_fetched_and_once(modelscope: ModelScope) -> None:
    assert find(SOURCE, patterns=WANTED) is None
    told = list(fetch({SOURCE: WANTED}))
    assert told == [Fetching("some/model/two", 0, 1, bytes_done=0, bytes_total=5)]
    folder = find(SOURCE, patterns=WANTED)
    assert (folder / "1000" / FILE).read_bytes() == b"55555"
    assert list(fetch({SOURCE: WANTED})) == [] and locate(SOURCE, patterns=WANTED) == folder
    assert modelscope.given == [(TWO, 0)]
    assert sorted(path.name for path in locate(SOURCE).rglob("*")) == ["1000", "latest", FILE]
    assert modelscope.given == [(TWO, 0), ("two/latest", 0)]


def test_a_connection_that_breaks_is_taken_up_where_it_broke(modelscope: ModelScope) -> None:
    modelscope.breaks_after = 2
    with pytest.raises(WeightsUnavailable, match="'some/model/two' is not on this machine .* `git clone"):
        locate(SOURCE, patterns=WANTED)
    assert find(SOURCE, patterns=WANTED) is None
    modelscope.breaks_after = None
    assert (locate(SOURCE, patterns=WANTED) / "1000" / FILE).read_bytes() == b"55555"
    assert modelscope.given == [(TWO, 0), (TWO, 2)]


def test_what_arrived_damaged_is_not_kept(modelscope: ModelScope, tmp_path: Path) -> None:
    part = tmp_path / "cache" / "modelscope" / "some" / "model" / f"{TWO}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"66")
    with pytest.raises(WeightsUnavailable):
        locate(SOURCE, patterns=WANTED)
    assert not part.exists()
    assert (locate(SOURCE, patterns=WANTED) / "1000" / FILE).read_bytes() == b"55555"


@pytest.mark.parametrize("source", ["modelscope:some/model/three", "modelscope:no/such/two"])
def test_what_is_not_there_is_named_with_a_way_out(modelscope: ModelScope, source: str) -> None:
    with pytest.raises(WeightsUnavailable, match=r"`git clone https://www.modelscope.cn/\w+/\w+.git`"):
        list(fetch({source: WANTED}))


def test_a_clone_in_the_cache_needs_no_network(modelscope: ModelScope, tmp_path: Path) -> None:
    clone = tmp_path / "cache" / "modelscope" / "some" / "model" / "two" / "1"
    clone.mkdir(parents=True)
    (clone / FILE).touch()
    modelscope.repositories = {}
    assert locate(SOURCE, patterns=WANTED) == clone.parent and modelscope.given == []


def test_a_preset_is_fetched_converted_and_then_loaded_without_a_network(
    modelscope: ModelScope, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, toy_cogvideox_folder: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(toy_cogvideox_folder, base, ignore=shutil.ignore_patterns("*.safetensors"))
    shutil.copytree(toy_cogvideox_folder / "vae", base / "vae", dirs_exist_ok=True)
    shutil.copytree(toy_cogvideox_folder / "text_encoder", base / "text_encoder", dirs_exist_ok=True)
    checkpoint = write_sat(tmp_path / "two-identities", make_cogvideox_transformer().state_dict())
    path = f"1000/{FILE}"
    modelscope.repositories["yongzhong/Concat-ID"] = {
        f"two-identities/{path}": (checkpoint / path).read_bytes()
    }
    faces = dict.fromkeys(("face_pack", "score_pack", "face_parser", "clip"), toy_cogvideox_folder)
    preset = replace(PRESETS["cogvideox-5b-two"], base="hub:some/base", **faces)
    monkeypatch.setitem(PRESETS, "released", preset)
    with serve_hub(tmp_path / "hub") as hub:
        hub.repositories["some/base"] = {
            str(path.relative_to(base)): path.read_bytes() for path in base.rglob("*") if path.is_file()
        }
        assert list_missing("released") == [preset.base, preset.checkpoint]
        *told, last = make_ready("released")
    assert last == Loading(preset.title) and {fetching.name for fetching in told} == {
        "some/base",
        "yongzhong/Concat-ID/two-identities",
    }
    modelscope.repositories = {}
    assert list_missing("released") == []
    pipeline = load_pipeline("released", "cpu")
    assert type(pipeline) is ConcatIDCogVideoXPipeline
    assert isinstance(pipeline.scheduler, CogVideoXDPMScheduler)
    load._load_pipeline.cache_clear()
