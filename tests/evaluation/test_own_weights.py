"""Weights of one's own are measured like a preset's, under a name of their own, or refused in a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import save_file
from toys import write_toy_adapter, write_toy_pipeline

from concat_id.__main__ import main
from concat_id.errors import InvalidWeights
from concat_id.evaluation import run
from concat_id.loading import load
from concat_id.loading.own_weights import register_weights
from concat_id.loading.presets import PRESETS


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """What one test registers, no other test finds."""
    known = dict(PRESETS)
    yield
    for name in PRESETS.keys() - known.keys():
        del PRESETS[name]
    load.weights_digest.cache_clear()


class TestRegistering:
    def test_a_folder_and_a_file_change_the_weights_and_nothing_else(self, toy: str, tmp_path: Path) -> None:
        folder, file = (
            write_toy_pipeline(tmp_path / "my model"),
            write_toy_adapter(tmp_path / "x.safetensors"),
        )
        whole, adapted = register_weights(folder, toy), register_weights(file, toy, "y")
        assert (whole.name, adapted.name) == ("my-model", "y")
        before, base = PRESETS[toy], PRESETS[toy].base
        title = "{} with the settings of toy"
        assert PRESETS["my-model"] == replace(before, base=folder, title=title.format("my-model"))
        assert PRESETS["y"] == replace(before, base=base, adapter=file, title=title.format("y"))
        assert len({load.weights_digest(name) for name in (toy, "y")}) == 2
        assert register_weights(file, toy, "y") == adapted

    def test_an_adapter_takes_the_place_of_the_preset_s(self, toy: str, tmp_path: Path) -> None:
        first, second = (write_toy_adapter(tmp_path / f"{name}.safetensors") for name in "ab")
        register_weights(second, register_weights(first, toy).name)
        assert PRESETS["b"].adapter == second and PRESETS["b"].base == PRESETS[toy].base

    def test_an_adapter_of_a_released_checkpoint_is_merged_into_what_was_converted(
        self, toy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CONCAT_ID_CACHE", str(tmp_path / "cache"))
        converted = write_toy_pipeline(tmp_path / "cache" / "presets" / "released")
        monkeypatch.setitem(PRESETS, "released", replace(PRESETS[toy], checkpoint="hub:nobody/nothing"))
        register_weights(write_toy_adapter(tmp_path / "x.safetensors"), "released")
        assert load.pipeline_folder("x") == converted

    def test_what_cannot_be_weights_is_refused(self, toy: str, tmp_path: Path) -> None:
        with pytest.raises(InvalidWeights, match="'.*nowhere' is missing"):
            register_weights(tmp_path / "nowhere", toy)
        (tmp_path / "text.txt").touch()
        (tmp_path / "broken.safetensors").write_bytes(b"no header")
        save_file({}, tmp_path / "other.safetensors")
        other = write_toy_pipeline(tmp_path / "other")
        index = other / "model_index.json"
        index.write_text(index.read_text().replace("ConcatIDWanPipeline", "WanPipeline"))
        for name in (".", "text.txt", "other.safetensors", "other"):
            with pytest.raises(
                InvalidWeights, match="is neither a diffusers folder of ConcatIDWanPipeline nor"
            ):
                register_weights(tmp_path / name, toy)
        with pytest.raises(InvalidWeights, match="broken.safetensors' is damaged"):
            register_weights(tmp_path / "broken.safetensors", toy)
        assert not {"text", "broken", "other"} & PRESETS.keys()

    @pytest.mark.parametrize("name", ["", "..", "../up", "-x", "a/b", "a b", "x" * 65])
    def test_names_that_are_no_names_of_folders_are_refused(
        self, name: str, toy: str, tmp_path: Path
    ) -> None:
        with pytest.raises(InvalidWeights, match="is no name for weights; give one of letters"):
            register_weights(write_toy_adapter(tmp_path / "x.safetensors"), toy, name)

    def test_a_preset_keeps_its_name(self, toy: str, tmp_path: Path) -> None:
        file, before = write_toy_adapter(tmp_path / "embedded.safetensors"), PRESETS["embedded"]
        with pytest.raises(
            InvalidWeights, match="'embedded' is the name of a preset; .* another one by --name"
        ):
            register_weights(file, toy)
        assert PRESETS["embedded"] is before


def test_they_are_evaluated_beside_the_presets(
    toy: str, benchmark_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, generate = [], run.generate
    monkeypatch.setattr(
        run, "generate", lambda job, *rest, **more: made.append(job) or generate(job, *rest, **more)
    )
    file, output = write_toy_adapter(tmp_path / "x.safetensors"), tmp_path / "out"
    shared = ["--preset", toy, "--device", "cpu", "--benchmark", str(benchmark_folder), "--videos", "1"]
    line = ["evaluate", *shared, "--output", str(output)]
    own = [*line, "--weights", str(file), "--name", "mine"]
    assert main(line) == main(own) == main(own) == 0
    # The second run finds what the first one made.
    assert [job.preset for job in made] == [toy, "mine"]
    page = (output / "report.md").read_text()
    assert "| `toy` | 1 | " in page and "| `mine` | 1 | " in page
    report = json.loads((output / "mine" / "report.json").read_text())
    assert report["title"] == "mine with the settings of toy" and f"({report['title']})" in page
    assert f"--preset toy --weights {file} --name mine --videos 1" in report["command"]
    # Other weights under the same name are measured anew.
    del PRESETS["mine"]
    load.weights_digest.cache_clear()
    folder = write_toy_pipeline(tmp_path / "folder")
    assert main([*line, "--weights", str(folder), "--name", "mine"]) == 0
    assert [job.preset for job in made] == [toy, "mine", "mine"]


def test_the_command_line_refuses_in_a_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["evaluate", "--name", "mine", "--output", str(tmp_path / "out")]) == 2
    assert "--name was given without --weights" in capsys.readouterr().err
    assert main(["evaluate", "--weights", str(tmp_path / "none"), "--output", str(tmp_path / "out")]) == 2
    assert "none' is missing" in capsys.readouterr().err and not (tmp_path / "out").exists()
