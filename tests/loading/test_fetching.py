"""Fetching weights: file by file, nothing twice, and a way out where it fails; with the hub's own client."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hub import Hub, serve_hub
from parity.figures import load_figures

from concat_id import ConcatIDWanTransformer3DModel
from concat_id.errors import WeightsUnavailable
from concat_id.loading import load
from concat_id.loading.load import Loading, list_missing, load_pipeline, make_ready
from concat_id.loading.presets import PRESETS
from concat_id.loading.weights import Fetching, fetch, find

THINGS = {"a.json": b"1", "vae/b.json": b"22", "vae/c.bin": b"333", "other/d.bin": b"4444"}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with two repositories."""
    monkeypatch.setenv("CONCAT_ID_CACHE", str(tmp_path / "cache"))
    with serve_hub(tmp_path / "hub") as hub:
        hub.repositories = {"some/things": dict(THINGS), "some/more": {"e.bin": b"55555"}}
        yield hub


def test_each_file_is_told_of_before_it_is_fetched(hub: Hub) -> None:
    told = []
    for fetching in fetch({"hub:some/things/vae": None, "hub:some/more": None}):
        assert len(hub.given) == fetching.index
        told.append(fetching)
    assert told == [
        Fetching("some/things/vae", 0, 3, bytes_done=0, bytes_total=10),
        Fetching("some/things/vae", 1, 3, bytes_done=2, bytes_total=10),
        Fetching("some/more", 2, 3, bytes_done=5, bytes_total=10),
    ]
    assert hub.given == ["vae/b.json", "vae/c.bin", "e.bin"]
    assert (find("hub:some/things/vae") / "c.bin").read_bytes() == b"333"


def test_only_files_of_the_patterns_are_fetched(hub: Hub) -> None:
    patterns = ("*.json", "other/*")
    list(fetch({"hub:some/things": patterns}))
    assert hub.given == ["a.json", "vae/b.json", "other/d.bin"]
    assert find("hub:some/things", patterns=patterns) and not find("hub:some/things")


def test_what_was_stopped_is_not_there_yet_and_goes_on_where_it_was(hub: Hub) -> None:
    wanted = {"hub:some/things": None}
    fetching = fetch(wanted)
    next(fetching), next(fetching), next(fetching)
    fetching.close()
    assert hub.given == ["a.json", "vae/b.json"] and find("hub:some/things") is None
    assert [(left.total, left.bytes_total) for left in fetch(wanted)] == [(2, 7), (2, 7)]
    assert hub.given == list(THINGS) and find("hub:some/things")
    assert list(fetch(wanted)) == [] and len(hub.given) == 4


def test_what_cannot_be_fetched_is_named_with_a_way_out(hub: Hub) -> None:
    with pytest.raises(WeightsUnavailable, match="'no/such' is not on this machine .* `hf download no/such`"):
        list(fetch({"hub:some/more": None, "hub:no/such": None}))
    assert hub.given == []
    fetching = fetch({"hub:some/things": None})
    next(fetching)
    del hub.repositories["some/things"]["a.json"]
    with pytest.raises(WeightsUnavailable, match="`hf download some/things` where there is a network"):
        next(fetching)


@pytest.mark.parametrize("error", [ConnectionError("reset"), RuntimeError("CAS service error: timed out")])
def test_a_broken_connection_has_a_way_out(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def break_off(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("huggingface_hub.hf_hub_download", break_off)
    with pytest.raises(WeightsUnavailable, match="'some/more' is not on this machine"):
        list(fetch({"hub:some/more": None}))


def test_what_does_not_fit_is_not_begun(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=9))
    list(fetch({"hub:some/more": None}))
    with pytest.raises(WeightsUnavailable, match="0.0 GB are to be fetched, .* HF_HOME"):
        list(fetch({"hub:some/things": None}))
    assert hub.given == ["e.bin"]


def test_a_face_pack_is_one_file_of_unknown_size(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "insightface.utils.ensure_available",
        lambda kind, name, root: (Path(root) / kind / name).mkdir(parents=True, exist_ok=True),
    )
    told = list(fetch({"insightface:buffalo_l": None, "hub:some/more": None}))
    assert [(fetching.name, fetching.bytes_done, fetching.bytes_total) for fetching in told] == [
        ("buffalo_l", 0, 5),
        ("some/more", 0, 5),
    ]
    assert find("insightface:buffalo_l")


def test_a_preset_is_fetched_converted_and_then_loaded_without_a_network(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, toy_folder: Path
) -> None:
    figures = load_figures("adaln")
    base = tmp_path / "base"
    shutil.copytree(toy_folder, base, ignore=shutil.ignore_patterns("transformer"))
    ConcatIDWanTransformer3DModel(**figures.config()).save_config(base / "transformer")
    torch.save(figures.state_dict, tmp_path / "second.pt")
    files = {str(path.relative_to(base)): path.read_bytes() for path in base.rglob("*") if path.is_file()}
    hub.repositories["some/base"] = files
    hub.repositories["some/authors"] = {"second.pt": (tmp_path / "second.pt").read_bytes()}
    sources = {"base": "hub:some/base", "checkpoint": "hub:some/authors/second.pt", "clip": "hub:some/more"}
    preset = replace(PRESETS["embedded"], title="Released", **sources)
    monkeypatch.setitem(PRESETS, "released", preset)
    assert set(list_missing("released")) == set(sources.values())
    *told, last = make_ready("released")
    assert last == Loading("Released") and len(told) == told[0].total == len(hub.given)
    assert list_missing("released") == [] and list(make_ready("released")) == [last]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert load_pipeline("released", "cpu").transformer.config.reference_adaln
    load._load_pipeline.cache_clear()
