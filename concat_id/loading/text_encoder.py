"""A text encoder where there is little memory: it is several times as large as Wan's transformer.

    encoder = load_text_encoder(folder, "cuda", torch.bfloat16, "files")

Axes: B prompts, L tokens, D width.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers
from accelerate.hooks import AlignDevicesHook, add_hook_to_module, attach_align_device_hook
from accelerate.utils import OffloadedWeightsLoader
from safetensors import safe_open
from torch import Tensor, nn
from transformers import BitsAndBytesConfig, PreTrainedModel

from concat_id.errors import DamagedWeights, MissingPackage
from concat_id.loading.memory import TextEncoderForm

FOLDER = "text_encoder"
# The names that the table of T5's and UMT5's word embeddings has.
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
    if form == "files":
        return _leave_on_file(encoder_class, folder / FOLDER, device, dtype).eval()
    options = _use_fewer_bits(form, device, dtype)
    encoder, found = encoder_class.from_pretrained(
        folder / FOLDER, dtype=dtype, output_loading_info=True, **options
    )
    _check_missing(found["missing_keys"], folder / FOLDER)
    return encoder.eval()


def _check_missing(names: Iterable[str], folder: Path) -> None:
    """Refuse to do without weights; of word embeddings the table itself is enough."""
    if missing := set(names) - set(_TABLES[1:]):
        raise DamagedWeights(
            f"the weights in '{folder}' lack {len(missing)} tensors, such as '{min(missing)}'; "
            "they are incomplete, or of another model."
        )


def _leave_on_file(
    encoder_class: type[PreTrainedModel], folder: Path, device: str, dtype: torch.dtype
) -> PreTrainedModel:
    """The model without weights: accelerate reads a layer's when its turn comes, and forgets them after."""
    files = {}
    for path in sorted(folder.glob("[!.]*.safetensors")):
        with safe_open(path, "pt") as file:
            files |= dict.fromkeys(file.keys(), path)
    with torch.device("meta"):
        encoder = encoder_class(encoder_class.config_class.from_pretrained(folder)).to(dtype)
    _check_missing(encoder.state_dict().keys() - files.keys(), folder)
    table = next(name for name in _TABLES if name in files)
    encoder.set_input_embeddings(RowsOnFile(files[table], table, dtype))
    kind = str(dtype).removeprefix("torch.")
    index = {
        name: {"safetensors_file": str(path), "weight_name": name, "dtype": kind}
        for name, path in files.items()
    }
    weights = OffloadedWeightsLoader(index=index, device=device)
    attach_align_device_hook(encoder, execution_device=device, offload=True, weights_map=weights)
    add_hook_to_module(encoder, AlignDevicesHook(device))  # by which pipelines know where it computes
    return encoder


class RowsOnFile(nn.Module):
    """Word embeddings of which only a prompt's rows are read: UMT5's table has 256,384, 2 GB in 16 bits."""

    def __init__(self, path: Path, name: str, dtype: torch.dtype) -> None:
        super().__init__()
        self._path, self._name, self._dtype = path, name, dtype

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, L) to their embeddings (B, L, D)."""
        wanted, places = tokens.unique(return_inverse=True)
        with safe_open(self._path, "pt") as file:
            table = file.get_slice(self._name)
            rows = torch.cat([table[row : row + 1] for row in wanted.tolist()])
        return rows.to(tokens.device, self._dtype)[places]


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
