"""SAT's checkpoints of CogVideoX: every name, every number, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import CogVideoXDPMScheduler, CogVideoXTransformer3DModel
from sat import FILE, to_sat, write_sat
from toys import make_cogvideox_transformer

from concat_id import ConcatIDCogVideoXPipeline, ConcatIDCogVideoXTransformer3DModel
from concat_id.__main__ import main
from concat_id.errors import InputError, WeightsUnavailable
from concat_id.loading.convert import convert_checkpoint, convert_state_dict


def test_the_way_back_is_one_to_one() -> None:
    ours = make_cogvideox_transformer().state_dict()
    theirs = to_sat(ours)
    assert len(theirs) < len(ours)  # three projections of a block are one there
    converted = convert_state_dict(theirs, "cogvideox")
    assert converted.keys() == ours.keys()
    assert all(torch.equal(converted[name], tensor) for name, tensor in ours.items())


def test_names_at_full_size_map_one_to_one() -> None:
    with torch.device("meta"):
        transformer = ConcatIDCogVideoXTransformer3DModel(
            num_attention_heads=48, num_layers=42, use_rotary_positional_embeddings=True
        )
    ours = {name: tensor.shape for name, tensor in transformer.state_dict().items()}
    theirs = to_sat(transformer.state_dict())
    joined = theirs["model.diffusion_model.mixins.adaln_layer.adaLN_modulations.41.1.weight"]
    assert joined.shape == (12 * 3072, 512) and len(theirs) == 42 * 18 + 16
    converted = convert_state_dict(theirs, "cogvideox")
    assert {name: tensor.shape for name, tensor in converted.items()} == ours


@pytest.mark.parametrize(
    "name",
    [
        "model.diffusion_model.transformer.layers.0.attention.query.weight",
        "model.diffusion_model.transformer.layers.x.input_layernorm.weight",
        "model.diffusion_model.mixins.adaln_layer.adaLN_modulations.0.0.weight",
        "model.diffusion_model.mixins.lora.matrix_A.0",
        "transformer.final_layernorm.weight",
    ],
)
def test_unknown_names_are_named(name: str) -> None:
    with pytest.raises(InputError, match=rf"1 parameters \({name}\) do not belong .* CogVideoX"):
        convert_state_dict({name: torch.zeros(3)}, "cogvideox")


@pytest.fixture
def base(toy_cogvideox_folder: Path, tmp_path: Path) -> Path:
    """A stock CogVideoX folder without the transformer's weights."""
    folder = tmp_path / "base"
    shutil.copytree(toy_cogvideox_folder, folder, ignore=shutil.ignore_patterns("transformer", "scheduler"))
    CogVideoXTransformer3DModel.from_config(make_cogvideox_transformer().config).save_config(
        folder / "transformer"
    )
    index = json.loads((folder / "model_index.json").read_text())
    index |= {"_class_name": "CogVideoXPipeline", "scheduler": ["diffusers", "CogVideoXDDIMScheduler"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_converted_folder_is_complete(base: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    transformer = make_cogvideox_transformer().to(dtype)
    checkpoint, output = write_sat(tmp_path / "two-identities", transformer.state_dict()), tmp_path / "new"
    options = ["--checkpoint", str(checkpoint), "--base", str(base), "--output", str(output)]
    main(["convert", "--backbone", "cogvideox", *options])

    pipeline = ConcatIDCogVideoXPipeline.from_pretrained(output, dtype=dtype)
    assert pipeline.text_encoder is not None and pipeline.vae.config.scaling_factor == 0.7
    scheduler = pipeline.scheduler
    assert isinstance(scheduler, CogVideoXDPMScheduler) and scheduler.alphas_cumprod[-1] == 0
    assert scheduler.config.prediction_type == "v_prediction"
    for name, tensor in pipeline.transformer.state_dict().items():
        assert torch.equal(tensor, transformer.state_dict()[name]), name


def test_refusals(base: Path, tmp_path: Path) -> None:
    state_dict, output = make_cogvideox_transformer().state_dict(), tmp_path / "output"

    def refuse(checkpoint: Path, message: str, error: type[InputError] = InputError) -> None:
        with pytest.raises(error, match=message):
            convert_checkpoint(checkpoint, base, output, "cogvideox")
        assert not output.exists()

    refuse(tmp_path / "nowhere", "There is no checkpoint", WeightsUnavailable)
    (tmp_path / "empty").mkdir()
    refuse(tmp_path / "empty", f"must hold one {FILE}, and holds none")
    several = write_sat(tmp_path / "several", state_dict)
    shutil.copytree(several / "1000", several / "2000")
    refuse(several, f"holds 1000/{FILE}, 2000/{FILE}; give the file itself")
    added = {"model.diffusion_model.mixins.lora.matrix_A.0": torch.zeros(3)}
    refuse(write_sat(tmp_path / "added", state_dict, **added), "1 parameters .* do not belong")
    short = {name: tensor for name, tensor in state_dict.items() if name != "proj_out.bias"}
    refuse(write_sat(tmp_path / "short", short), r"1 parameters \(proj_out.bias\) .* are missing")
    fused = "model.diffusion_model.transformer.layers.0.attention.query_key_value.bias"
    uneven = write_sat(tmp_path / "uneven", state_dict, **{fused: torch.zeros(5)})
    refuse(uneven, r"3 parameters \(transformer_blocks.0.attn1.to_k.bias, .* another size")
    fewer = make_cogvideox_transformer(num_layers=2).state_dict()
    refuse(write_sat(tmp_path / "fewer", fewer), "parameters .* are missing")
    with pytest.raises(InputError, match="do not belong to an original Wan 2.1 T2V transformer"):
        convert_checkpoint(several / "1000" / FILE, base, output)
