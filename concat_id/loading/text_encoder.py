"""A text encoder where there is little memory: it is several times as large as Wan's transformer.

    encoder = load_text_encoder(folder, "cuda", torch.bfloat16, "files")

Axes: B prompts, L tokens, D width.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import safe_open
from torch import Tensor, nn
from transformers import BitsAndBytesConfig, PreTrainedModel

from concat_id.errors import DamagedWeights, MissingPackage
from concat_id.loading.memory import TextEncoderForm

FOLDER = "text_encoder"
# Of T5 and UMT5: what is read layer by layer, and the names that the table of word embeddings has.
_READ = ("shared", "encoder.embed_tokens", "encoder.block")
_TABLES = ("shared.weight", "encoder.embed_tokens.weight")


def load_text_encoder(
    folder: Path, device: str, dtype: torch.dtype, form: TextEncoderForm
) -> PreTrainedModel:
    """The text encoder of a pipeline's folder, in a form in which no pipeline loads it by itself.

    Args:
        folder: of the pipeline; a T5 or UMT5 as its repository has it: nothing else is fetched.
        device: where it computes, as torch names it.
        dtype: of what is computed, and of weights that keep their bits.
        form: "files", "8bit" or "4bit", see `TextEncoderForm`.

    Raises:
        DamagedWeights: if some of its weights are missing.
        MissingPackage: for fewer bits without bitsandbytes.
    """
    encoder_class = getattr(transformers, json.loads((folder / "model_index.json").read_text())[FOLDER][1])
    options = _read_from_files(device) if form == "files" else _use_fewer_bits(form, device, dtype)
    encoder, found = encoder_class.from_pretrained(
        folder / FOLDER, dtype=dtype, output_loading_info=True, **options
    )
    if missing := set(found["missing_keys"]) - set(_TABLES[1:]):
        raise DamagedWeights(
            f"the weights in '{folder / FOLDER}' lack {len(missing)} tensors, such as '{min(missing)}'; "
            "they are incomplete, or of another model."
        )
    if form == "files":
        encoder.set_input_embeddings(RowsOnFile(folder / FOLDER, dtype))
    return encoder.eval()


class RowsOnFile(nn.Module):
    """Word embeddings of which only a prompt's rows are read: UMT5's table has 256,384, 2 GB in 16 bits."""

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype
        for path in sorted(folder.glob("[!.]*.safetensors")):
            with safe_open(path, "pt") as file:
                if names := [name for name in _TABLES if name in file.keys()]:  # noqa: SIM118
                    self._path, self._name = path, names[0]
                    return
        raise DamagedWeights(f"the weights in '{folder}' lack '{_TABLES[0]}'; they are incomplete.")

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, L) to their embeddings (B, L, D)."""
        wanted, places = tokens.unique(return_inverse=True)
        with safe_open(self._path, "pt") as file:
            table = file.get_slice(self._name)
            rows = torch.cat([table[row : row + 1] for row in wanted.tolist()])
        return rows.to(tokens.device, self._dtype)[places]


def _read_from_files(device: str) -> dict[str, Any]:
    """All but the last norm stays on file; accelerate computes where that one is."""
    return {"device_map": dict.fromkeys(_READ, "disk") | {"encoder.final_layer_norm": device}}


def _use_fewer_bits(form: TextEncoderForm, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """Linear layers are quantised while they are loaded, one after the other."""
    if find_spec("bitsandbytes") is None:
        raise MissingPackage(f"a text encoder in {form} needs one more package: pip install bitsandbytes.")
    bits = BitsAndBytesConfig(
        load_in_8bit=form == "8bit",  # LLM.int8 (Dettmers et al., 2022)
        load_in_4bit=form == "4bit",
        bnb_4bit_quant_type="nf4",  # the levels of a normal distribution (QLoRA, Dettmers et al., 2023)
        bnb_4bit_compute_dtype=dtype,
    )
    return {"quantization_config": bits, "device_map": {"": device}}
