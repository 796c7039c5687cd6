"""The authors' checkpoints: every name, every number, whole folders or none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from diffusers import WanTransformer3DModel
from parity.figures import VARIANTS, load_figures, load_shapes
from safetensors.torch import save_file

from concat_id import ConcatIDWanPipeline, ConcatIDWanTransformer3DModel
from concat_id.errors import InputError
from concat_id.loading.convert import convert_checkpoint, convert_state_dict


@pytest.mark.parametrize("variant", VARIANTS)
def test_velocity_is_the_authors(variant: str) -> None:
    figures = load_figures(variant)
    transformer = ConcatIDWanTransformer3DModel(**figures.config()).eval()
    transformer.load_state_dict(convert_state_dict(figures.state_dict, "wan"), strict=True)
    with torch.no_grad():
        velocity = transformer(
            figures.tensors["input.noise"],
            figures.tensors["input.timestep"],
            figures.tensors["input.prompt_embeds"],
            figures.tensors["input.reference_latents"],
        ).sample
    torch.testing.assert_close(velocity, figures.tensors["output.velocity"], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("release", "count"), [("first_stage", 825), ("second_stage_adaln", 857)])
def test_released_names_map_one_to_one(release: str, count: int) -> None:
    shapes = load_shapes()[release]
    theirs = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    ours = convert_state_dict(theirs, "wan")
    with torch.device("meta"):
        full_size = ConcatIDWanTransformer3DModel(reference_adaln=release == "second_stage_adaln")
    expected = {name: tensor.shape for name, tensor in full_size.state_dict().items()}
    assert len(theirs) == len(ours) == count
    assert {name: tensor.shape for name, tensor in ours.items()} == expected


@pytest.mark.slow
@torch.no_grad()
def test_full_size_model_runs() -> None:
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        transformer = ConcatIDWanTransformer3DModel(reference_adaln=True).eval()
    finally:
        torch.set_default_dtype(default)
    assert sum(parameter.numel() for parameter in transformer.parameters()) > 1.4e9
    latents = torch.randn(1, 16, 2, 8, 8, dtype=torch.bfloat16)
    text = torch.randn(1, 16, 4096, dtype=torch.bfloat16)
    sample = transformer(latents, torch.tensor([500.0]), text, latents[:, :, :1]).sample
    assert sample.shape == latents.shape and sample.isfinite().all()


@pytest.mark.parametrize(
    "name",
    [
        "blocks.0.self_attn.norm.weight",
        "blocks.x.modulation",
        "head.modulation_ref",
        "model.head.head.weight",
    ],
)
def test_unknown_names_are_named(name: str) -> None:
    with pytest.raises(InputError, match=rf"1 parameters \({name}\) do not belong"):
        convert_state_dict({"head.modulation": torch.zeros(1), name: torch.zeros(1)}, "wan")


@pytest.fixture
def base(toy_folder: Path, tmp_path: Path) -> Path:
    """A stock Wan folder with the transformer the figures were made with; it needs no weights."""
    folder = tmp_path / "base"
    folder.mkdir()
    for component in ("tokenizer", "text_encoder", "vae"):
        (folder / component).symlink_to(toy_folder / component)
    config = load_figures("plain").config()
    config.pop("reference_adaln")
    WanTransformer3DModel(**config).save_config(folder / "transformer")
    index = json.loads((toy_folder / "model_index.json").read_text())
    index |= {"_class_name": "WanPipeline", "scheduler": ["diffusers", "UniPCMultistepScheduler"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_converted_folder_is_complete(base: Path, tmp_path: Path, variant: str, suffix: str) -> None:
    figures = load_figures(variant)
    checkpoint, output = tmp_path / f"checkpoint{suffix}", tmp_path / "new" / "output"
    (torch.save if suffix == ".pt" else save_file)(figures.state_dict, checkpoint)
    convert_checkpoint(checkpoint, base, output)

    pipeline = ConcatIDWanPipeline.from_pretrained(output)
    assert pipeline.transformer.config.reference_adaln == (variant == "adaln")
    assert pipeline.scheduler.config.shift == 5.0
    assert pipeline.text_encoder is not None and pipeline.vae is not None
    state_dict = pipeline.transformer.state_dict()
    for name, tensor in convert_state_dict(figures.state_dict, "wan").items():
        assert torch.equal(state_dict[name], tensor), name
    assert os.listdir(output.parent) == ["output"]


def test_nothing_is_left_of_a_conversion_that_fails(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, output = tmp_path / "checkpoint.pt", tmp_path / "folder" / "output"
    torch.save(load_figures("plain").state_dict, checkpoint)

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(ConcatIDWanTransformer3DModel, "save_pretrained", fail)
    with pytest.raises(OSError, match="No space"):
        convert_checkpoint(checkpoint, base, output)
    assert os.listdir(output.parent) == []


def test_refusals(base: Path, tmp_path: Path) -> None:
    good, state_dict = tmp_path / "good.pt", load_figures("plain").state_dict
    torch.save(state_dict, good)
    broken = tmp_path / "broken.pt"
    broken.write_bytes(good.read_bytes()[:1000])
    nested = tmp_path / "nested.pt"
    torch.save({"model": state_dict}, nested)
    incomplete = tmp_path / "incomplete.pt"
    torch.save({name: t for name, t in state_dict.items() if name != "blocks.1.ffn.0.weight"}, incomplete)
    hostile = tmp_path / "hostile.pt"
    torch.save({"head.modulation": Path("/")}, hostile)
    for checkpoint, message in (
        (tmp_path / "absent.pt", "There is no checkpoint"),
        (broken, "damaged"),
        (hostile, "damaged"),
        (nested, "other things than named tensors"),
        (incomplete, r"1 parameters \(blocks.1.ffn.net.0.proj.weight\) of the checkpoint"),
    ):
        with pytest.raises(InputError, match=message):
            convert_checkpoint(checkpoint, base, tmp_path / "output")
    with pytest.raises(InputError, match="has no model_index.json, transformer/config.json"):
        convert_checkpoint(good, tmp_path / "nowhere", tmp_path / "output")
    with pytest.raises(InputError, match="exists already"):
        convert_checkpoint(good, base, base)
    assert not (tmp_path / "output").exists()
