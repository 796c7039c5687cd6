"""What training the real models takes of each GPU's memory, counted without one.

    python -m train.measure.memory

Weights, gradients and AdamW's two means are in float32 as in the recipes, with a copy of the weights in
bfloat16 to compute with. Activations, in bfloat16, are what gradient checkpointing keeps: the input of every
block, and of one block all that its backward pass needs. Averaged weights (EMA) lie in the processor's
memory. Not counted are torch's own gigabyte, the autoencoder at validation, and what is lost between the
pieces of memory in use: leave a tenth of it free.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from diffusers import ModelMixin
from peft import LoraConfig
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from concat_id import ConcatIDCogVideoXTransformer3DModel, ConcatIDWanTransformer3DModel
from train.transformer.training import LORA_TARGETS

CONFIGS = Path(__file__).parents[1] / "configs"
# By module of the recipes: how its transformer is built, and shapes of the text and of the references.
WAN = {"num_layers": 30, "reference_adaln": True}
COGVIDEOX = {"num_attention_heads": 48, "num_layers": 42, "use_rotary_positional_embeddings": True}
MODELS = {
    "ConcatIDTraining": (ConcatIDWanTransformer3DModel, WAN, 512, 1),
    "CogVideoXTraining": (ConcatIDCogVideoXTransformer3DModel, COGVIDEOX, 226, 2),
}
TEXT_DIM, CHANNELS = 4096, 16
GB = 1e9


@dataclass(frozen=True)
class Setting:
    """A recipe, on so many GPUs that share its weights."""

    recipe: str
    title: str
    sharing: int = 1


SETTINGS = (
    Setting("wan_1.3b_lora", "Wan 1.3B, LoRA, one GPU"),
    Setting("wan_1.3b", "Wan 1.3B, whole, each of any number (DDP)"),
    Setting("cogvideox_5b", "CogVideoX 5B, whole, each of 8 (FSDP2)", 8),
    Setting("cogvideox_5b", "CogVideoX 5B, whole, each of 16, two nodes", 16),
)


class FusedAttention(torch.autograd.Function):
    """Of a fused kernel nothing but what it keeps: queries, keys, values and its result."""

    @staticmethod
    def forward(context: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        result = torch.empty_like(query)
        context.save_for_backward(query, key, value, result)
        return result

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        raise NotImplementedError("nothing is computed here, least of all backwards")


class FusedEverywhere(TorchFunctionMode):
    """Within it, attention keeps what a GPU's kernel does, also where there is none."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is F.scaled_dot_product_attention:
            inputs = {**dict(zip(("query", "key", "value"), args, strict=False)), **(kwargs or {})}
            return FusedAttention.apply(inputs["query"], inputs["key"], inputs["value"])
        return func(*args, **(kwargs or {}))


def read_recipe(name: str) -> dict[str, Any]:
    """A recipe's settings."""
    return yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))


def build(recipe: dict[str, Any], **changed: int) -> ModelMixin:
    """The recipe's transformer, without memory for its weights."""
    model, config, *_ = MODELS[recipe["model"]["class_path"].rpartition(".")[2]]
    with torch.device("meta"):
        transformer = model(**{**config, **changed})
        if rank := recipe["model"]["init_args"].get("lora_rank"):
            transformer.requires_grad_(False)
            transformer.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=LORA_TARGETS))
    return transformer


def count_activations(recipe: dict[str, Any]) -> float:
    """Bytes that a step keeps for its backward pass under gradient checkpointing."""
    *_, tokens, references = MODELS[recipe["model"]["class_path"].rpartition(".")[2]]
    whole, shape = build(recipe), recipe["data"]["init_args"]["shape"]
    frames = (shape["num_frames"] - 1) // 4 + 1 + references
    length = frames * (shape["height"] // 16) * (shape["width"] // 16)
    if isinstance(whole, ConcatIDCogVideoXTransformer3DModel):
        length += tokens  # in one sequence with the text
    width = whole.config.num_attention_heads * whole.config.attention_head_dim
    return measure_one_block(recipe) + 2 * whole.config.num_layers * length * width


def measure_one_block(recipe: dict[str, Any]) -> float:
    """Bytes of all tensors but weights that autograd keeps of a forward pass with a single block."""
    *_, tokens, references = MODELS[recipe["model"]["class_path"].rpartition(".")[2]]
    shape = recipe["data"]["init_args"]["shape"]
    transformer = build(recipe, num_layers=1).bfloat16()
    kept = {parameter.untyped_storage()._cdata: 0 for parameter in transformer.parameters()}
    alive: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.setdefault(tensor.untyped_storage()._cdata, tensor.untyped_storage().nbytes())
        alive.append(tensor)  # or another would get its place
        return tensor

    frames = (shape["num_frames"] - 1) // 4 + 1
    sides = shape["height"] // 8, shape["width"] // 8
    with torch.device("meta"), FusedEverywhere(), torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        transformer(
            torch.empty(1, CHANNELS, frames, *sides, dtype=torch.bfloat16),
            timestep=torch.empty(1),
            encoder_hidden_states=torch.empty(1, tokens, TEXT_DIM, dtype=torch.bfloat16),
            reference_latents=torch.empty(1, CHANNELS, references, *sides, dtype=torch.bfloat16),
        )
    return float(sum(kept.values()))


def account(setting: Setting) -> dict[str, float]:
    """Gigabytes of each GPU, by what they are for."""
    recipe = read_recipe(setting.recipe)
    parameters = list(build(recipe).parameters())
    every = sum(parameter.numel() for parameter in parameters)
    trained = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    sizes = {
        "weights": 4 * every / setting.sharing,
        "in bf16": 2 * every / setting.sharing,
        "gradients": 4 * trained / setting.sharing,
        "AdamW": 8 * trained / setting.sharing,
        "activations": count_activations(recipe) * recipe["data"]["init_args"]["batch_size"],
    }
    return {name: size / GB for name, size in sizes.items()}


def main() -> None:
    """Prints the table, in GB."""
    for number, setting in enumerate(SETTINGS):
        sizes = account(setting)
        sizes["together"] = sum(sizes.values())
        if not number:
            print(f"{'':<46}" + "".join(f"{name:>13}" for name in sizes))
        print(f"{setting.title:<46}" + "".join(f"{size:>13.1f}" for size in sizes.values()))


if __name__ == "__main__":
    main()
