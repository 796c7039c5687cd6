"""The authors' figures: what their code computed with random toy weights, and their parameter names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

FOLDER = Path(__file__).parent
VARIANTS = ("plain", "adaln")


@dataclass(frozen=True)
class Figures:
    """One run of the authors' code; tensors by the names in the file, without `state.` ones."""

    variant: str
    metadata: dict[str, str]
    tensors: dict[str, Tensor]
    state_dict: dict[str, Tensor]

    def config(self) -> dict[str, int | bool]:
        """The arguments of our transformer."""
        sizes = {name: int(value) for name, value in self.metadata.items() if value.isdecimal()}
        return {
            "num_attention_heads": sizes["num_heads"],
            "attention_head_dim": sizes["dim"] // sizes["num_heads"],
            "text_dim": sizes["text_dim"],
            "freq_dim": sizes["freq_dim"],
            "ffn_dim": sizes["ffn_dim"],
            "num_layers": sizes["num_layers"],
            "reference_adaln": self.variant == "adaln",
        }


def load_figures(variant: str) -> Figures:
    """The figures of the plain or the AdaLN variant."""
    with safe_open(FOLDER / f"wan_{variant}.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    state_dict = {name.removeprefix("state."): t for name, t in tensors.items() if name.startswith("state.")}
    return Figures(variant, metadata, tensors, state_dict)


def load_shapes() -> dict[str, dict[str, list[int]]]:
    """Names and shapes in the two released checkpoints."""
    return json.loads((FOLDER / "wan_1.3b_keys.json").read_text())
