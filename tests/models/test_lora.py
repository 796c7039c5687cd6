"""LoRAs do the same in whatever naming they come, and what does not fit is refused whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from diffusers.loaders import WanLoraLoaderMixin
from safetensors.torch import save_file
from torch import Tensor
from toys import make_transformer

from concat_id.errors import InvalidWeights
from concat_id.models.checkpoint_wan import original_name
from concat_id.models.lora import merge_lora, read_lora

RANK, ALPHA = 4, 2.0
MODULES = (
    *("blocks.0.attn1.to_q", "blocks.1.attn1.to_out.0", "blocks.1.attn2.to_v", "blocks.2.ffn.net.0.proj"),
    *("blocks.0.ffn.net.2",),
)
TensorDict = dict[str, Tensor]


def matrices() -> dict[str, tuple[Tensor, Tensor]]:
    """Down and up of each module, the same every time."""
    torch.manual_seed(0)
    transformer = make_transformer()
    shapes = {name: transformer.get_submodule(name).weight.shape for name in MODULES}
    return {
        name: (torch.randn(RANK, inputs), torch.randn(outputs, RANK))
        for name, (outputs, inputs) in shapes.items()
    }


def name_all(form: Callable[[str, str], str], down: str, up: str, alpha: bool) -> TensorDict:
    """A file's tensors.

    Args:
        form: of a module's name, ours and the authors'.
    """
    tensors = {}
    for name, (first, second) in matrices().items():
        module = form(name, original_name(name))
        tensors |= {f"{module}.{down}": first, f"{module}.{up}": second}
        if alpha:
            tensors[f"{module}.alpha"] = torch.tensor(ALPHA)
    return tensors


def flat(name: str) -> str:
    return name.replace(".", "_")


AB = ("lora_A.weight", "lora_B.weight")
DOWN_UP = ("lora_down.weight", "lora_up.weight")
NAMINGS: dict[str, TensorDict] = {
    "diffusers": name_all(lambda ours, _: f"transformer.{ours}", *AB, False),
    "ComfyUI": name_all(lambda _, theirs: f"diffusion_model.{theirs}", *AB, False),
    "ComfyUI with alpha": name_all(lambda _, theirs: f"diffusion_model.{theirs}", *DOWN_UP, True),
    "ComfyUI, whole model": name_all(lambda _, theirs: f"model.diffusion_model.{theirs}", *DOWN_UP, True),
    "kohya": name_all(lambda _, theirs: f"lora_unet_{flat(theirs)}", *DOWN_UP, True),
    "kohya without alpha": name_all(lambda _, theirs: f"lora_unet_{flat(theirs)}", *DOWN_UP, False),
    "kohya, our names": name_all(lambda ours, _: f"lora_transformer_{flat(ours)}", *DOWN_UP, True),
    "DiffSynth": name_all(lambda _, theirs: theirs, "lora_A.default.weight", "lora_B.default.weight", False),
    "DiffSynth, pipeline": name_all(
        lambda _, theirs: f"pipe.dit.{theirs}", "lora_A.default.weight", "lora_B.default.weight", False
    ),
    "PEFT": name_all(lambda ours, _: f"base_model.model.{ours}", *AB, False),
    "old diffusers": name_all(
        lambda ours, _: f"transformer.{ours}", "lora.down.weight", "lora.up.weight", False
    ),
    "half precision": {
        name: tensor.to(torch.bfloat16)
        for name, tensor in name_all(lambda _, theirs: f"diffusion_model.{theirs}", *AB, False).items()
    },
}


def merged(path: Path, strength: float = 1.0) -> TensorDict:
    """The toy transformer's weights with a LoRA."""
    transformer = make_transformer()
    merge_lora(transformer, read_lora(path), strength)
    return transformer.state_dict()


@pytest.mark.parametrize("naming", NAMINGS)
def test_every_naming_does_the_same(naming: str, tmp_path: Path) -> None:
    tensors = NAMINGS[naming]
    save_file(tensors, tmp_path / "x.safetensors")
    found, before = merged(tmp_path / "x.safetensors"), make_transformer().state_dict()
    scale = ALPHA / RANK if any(name.endswith(".alpha") for name in tensors) else 1.0
    tolerance = {"atol": 0.2, "rtol": 0.05} if naming == "half precision" else {}
    for name, (down, up) in matrices().items():
        right = before[f"{name}.weight"] + scale * up @ down
        torch.testing.assert_close(found[f"{name}.weight"], right, **tolerance)
    untouched = found.keys() - {f"{name}.weight" for name in MODULES}
    assert all(torch.equal(found[name], before[name]) for name in untouched)


@pytest.mark.parametrize("naming", ["diffusers", "ComfyUI", "ComfyUI with alpha"])
def test_it_does_what_diffusers_does(naming: str, tmp_path: Path) -> None:
    save_file(NAMINGS[naming], tmp_path / "x.safetensors")
    transformer = make_transformer()
    state = WanLoraLoaderMixin.lora_state_dict(tmp_path / "x.safetensors")
    transformer.load_lora_adapter(deepcopy(state), prefix="transformer")
    transformer.fuse_lora()
    transformer.unload_lora()
    for name, weight in merged(tmp_path / "x.safetensors").items():
        torch.testing.assert_close(weight, transformer.state_dict()[name])


def test_alpha_may_stand_in_a_header_or_beside_the_file(tmp_path: Path) -> None:
    header = {"lora_adapter_metadata": json.dumps({"transformer.lora_alpha": ALPHA, "transformer.r": RANK})}
    save_file(NAMINGS["diffusers"], tmp_path / "x.safetensors", header)
    (tmp_path / "peft").mkdir()
    save_file(NAMINGS["PEFT"], tmp_path / "peft" / "adapter_model.safetensors")
    (tmp_path / "peft" / "adapter_config.json").write_text(json.dumps({"lora_alpha": ALPHA, "r": RANK}))
    save_file(NAMINGS["kohya"], tmp_path / "kohya.safetensors")
    right = merged(tmp_path / "kohya.safetensors")
    for path in (tmp_path / "x.safetensors", tmp_path / "peft" / "adapter_model.safetensors"):
        for name, weight in merged(path).items():
            torch.testing.assert_close(weight, right[name])


def test_whole_differences_are_added_and_strength_scales_all(tmp_path: Path) -> None:
    before = make_transformer().state_dict()
    bias, norm = before["blocks.0.attn1.to_q.bias"], before["blocks.1.attn2.norm_k.weight"]
    tensors = {
        "diffusion_model.blocks.0.self_attn.q.diff_b": torch.ones_like(bias),
        "diffusion_model.blocks.1.cross_attn.norm_k.diff": torch.ones_like(norm),
    }
    save_file(tensors, tmp_path / "x.safetensors")
    found = merged(tmp_path / "x.safetensors", 0.5)
    torch.testing.assert_close(found["blocks.0.attn1.to_q.bias"], bias + 0.5)
    torch.testing.assert_close(found["blocks.1.attn2.norm_k.weight"], norm + 0.5)


def others() -> dict[str, TensorDict]:
    """Files that do not fit."""
    sound = NAMINGS["ComfyUI"]
    key = "diffusion_model.blocks.0.self_attn.q.lora_A.weight"
    image = {"diffusion_model.blocks.0.cross_attn.k_img.lora_A.weight": torch.ones(4, 24)}
    return {
        "larger": {name: torch.cat([tensor] * 2, 0) for name, tensor in sound.items()},
        "deeper": {name.replace("blocks.2", "blocks.29"): tensor for name, tensor in sound.items()},
        "with an image": sound | image,
        "half of a pair": {name: tensor for name, tensor in sound.items() if name != key},
        "of another family": {
            f"lora_unet_down_blocks_0_attentions_0_{end}": torch.ones(4, 4) for end in DOWN_UP
        },
        "the second of two": {name.replace("transformer.", "transformer_2."): tensor
                              for name, tensor in NAMINGS["diffusers"].items()},
        "no number": sound | {key: torch.full_like(sound[key], float("nan"))},
        "another method": sound | {"diffusion_model.blocks.0.self_attn.k.hada_w1_a": torch.ones(4, 4)},
        "weight-decomposed": sound | {"diffusion_model.blocks.0.self_attn.q.dora_scale": torch.ones(24)},
    }  # fmt: skip


@pytest.mark.parametrize("name", others())
def test_what_does_not_fit_is_refused_and_changes_nothing(name: str, tmp_path: Path) -> None:
    save_file(others()[name], tmp_path / "x.safetensors")
    transformer = make_transformer()
    with pytest.raises(InvalidWeights, match=r"another model|no part of a LoRA|not finite") as error:
        merge_lora(transformer, read_lora(tmp_path / "x.safetensors"))
    assert "\n" not in str(error.value)
    before = make_transformer().state_dict()
    assert all(torch.equal(weight, before[key]) for key, weight in transformer.state_dict().items())
