"""System memory that Wan's text encoder takes at full size, in each form: loaded, and for one prompt.

    python -m tests.benchmarks.benchmark_text_encoder --form files --form whole

Its weights are zeros, of which the file holds none: what is measured is memory, not the disk.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import get_args

import torch
from transformers import UMT5Config, UMT5EncoderModel

from concat_id.loading.memory import TextEncoderForm
from concat_id.loading.text_encoder import load_text_encoder
from tests.benchmarks.benchmark_real_layout import T5_XXL, peak_memory_gb

TOKENS = 8  # few: processors like this one compute slowly in bfloat16


def publish(folder: Path, layers: int) -> None:
    """Write the encoder as the hub has it, in float32: one file, nearly all of it a hole."""
    config = UMT5Config(**T5_XXL | {"vocab_size": 256384, "num_layers": layers})
    with torch.device("meta"):
        encoder = UMT5EncoderModel(config)
    header, end = {}, 0
    for name, weight in encoder.state_dict().items():
        if name == "encoder.embed_tokens.weight":  # the same as `shared.weight`
            continue
        begin, end = end, end + 4 * math.prod(weight.shape)
        header[name] = {"dtype": "F32", "shape": list(weight.shape), "data_offsets": [begin, end]}
    text = json.dumps({"__metadata__": {"format": "pt"}} | header).encode()
    (folder / "text_encoder").mkdir()
    config.save_pretrained(folder / "text_encoder")
    with (folder / "text_encoder" / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    parts = {"text_encoder": ["transformers", "UMT5EncoderModel"]}
    (folder / "model_index.json").write_text(json.dumps(parts))


def measure(folder: Path, form: TextEncoderForm, told: multiprocessing.SimpleQueue) -> None:
    """Tell the GB before, with the encoder loaded, and after a prompt, and the seconds of both."""
    before, began = peak_memory_gb(), time.perf_counter()
    if form == "whole":
        encoder = UMT5EncoderModel.from_pretrained(folder / "text_encoder", dtype=torch.bfloat16)
    else:
        encoder = load_text_encoder(folder, "cpu", torch.bfloat16, form)
    loaded, loaded_at = peak_memory_gb(), time.perf_counter()
    tokens = torch.arange(TOKENS)[None]
    with torch.no_grad():
        encoder(tokens, torch.ones_like(tokens))
    told.put((before, loaded, peak_memory_gb(), loaded_at - began, time.perf_counter() - loaded_at))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    forms = [form for form in get_args(TextEncoderForm) if form != "layers"]  # in memory as the whole is
    parser.add_argument("--form", choices=forms, action="append", help="default: all")
    parser.add_argument("--layers", type=int, default=24)
    args = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    print(f"{'peak GB':<9}{'before':>8}{'loaded':>8}{'a prompt':>10}{'seconds':>9}{'a prompt':>10}")
    with tempfile.TemporaryDirectory() as folder:
        publish(Path(folder), args.layers)
        for form in args.form or forms:
            told = context.SimpleQueue()
            process = context.Process(target=measure, args=(Path(folder), form, told))
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(f"{form} failed.")
            before, loaded, used, loading, running = told.get()
            print(
                f"{form:<9}{before:>8.1f}{loaded:>8.1f}{used:>10.1f}{loading:>9.0f}{running:>10.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
