"""The released presets the whole way at full width: as published, converted, loaded, run and signed.

    python -m tests.benchmarks.benchmark_real_layout --preset cogvideox-5b-two --blocks 2
    python -m tests.benchmarks.benchmark_real_layout --text-layers 8 --text-encoder whole --text-encoder files

Random weights in the layout of the hub and of the authors' checkpoints. The autoencoder is whole, transformer
and text encoder have as few blocks as fit. Prints seconds and the process's peak memory, for each form of the
text encoder; what looks at faces is the embedded model's.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import torch
from diffusers import AutoencoderKLCogVideoX, AutoencoderKLWan, ModelMixin
from safetensors.torch import save_file
from transformers import PreTrainedModel, T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

from concat_id import ConcatIDCogVideoXTransformer3DModel, ConcatIDWanTransformer3DModel
from concat_id.generation import generate
from concat_id.job import Job
from concat_id.loading import load
from concat_id.loading.memory import MemoryPlan, TextEncoderForm
from concat_id.loading.presets import PRESETS, Preset
from concat_id.references.reference import Reference
from concat_id.settings import Settings
from tests.parity.figures import load_shapes
from tests.sat import write_sat
from tests.toys import byte_tokenizer

FACES = ("face_pack", "score_pack", "face_parser", "clothes_parser", "clip", "curricular", "video_clip")
T5_XXL = {"d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_heads": 64}
T5_XXL |= {"feed_forward_proj": "gated-gelu", "vocab_size": 32128}


@dataclass(frozen=True)
class Layout:
    """How a backbone is published."""

    vae: Callable[[], ModelMixin]
    text_encoder: Callable[[int], PreTrainedModel]  # by number of layers
    transformer: Callable[[int], ModelMixin]  # by number of blocks
    write_checkpoint: Callable[[Path, ModelMixin, int], Path]


def write_wan(path: Path, transformer: ModelMixin, blocks: int) -> Path:
    """The AdaLN checkpoint's names and sizes, of the first blocks."""
    shapes = load_shapes()["second_stage_adaln"]
    kept = {
        name: shape
        for name, shape in shapes.items()
        if not name.startswith("blocks.") or int(name.split(".")[1]) < blocks
    }
    weights = {name: 0.02 * torch.randn(shape).bfloat16() for name, shape in kept.items()}
    torch.save(weights, path.with_suffix(".pt"))
    return path.with_suffix(".pt")


def write_few_steps(path: Path, transformer: ModelMixin) -> Path:
    """A LoRA of the self-attention, named as ComfyUI's few-step LoRAs are."""
    ours, rank = {"q": "to_q", "k": "to_k", "v": "to_v", "o": "to_out.0"}, 32
    weights = {}
    for index, block in enumerate(transformer.blocks):
        for name, own in ours.items():
            layer, key = block.attn1.get_submodule(own), f"diffusion_model.blocks.{index}.self_attn.{name}"
            weights[f"{key}.lora_down.weight"] = 0.01 * torch.randn(rank, layer.in_features)
            weights[f"{key}.lora_up.weight"] = 0.01 * torch.randn(layer.out_features, rank)
    save_file({name: weight.bfloat16() for name, weight in weights.items()}, path)
    return path


LAYOUTS = {
    "wan": Layout(
        vae=AutoencoderKLWan,
        text_encoder=lambda layers: UMT5EncoderModel(
            UMT5Config(**T5_XXL | {"vocab_size": 256384, "num_layers": layers})
        ),
        transformer=lambda blocks: ConcatIDWanTransformer3DModel(num_layers=blocks),
        write_checkpoint=write_wan,
    ),
    "cogvideox": Layout(
        vae=lambda: AutoencoderKLCogVideoX(scaling_factor=0.7),
        text_encoder=lambda layers: T5EncoderModel(T5Config(**T5_XXL, num_layers=layers)),
        transformer=lambda blocks: ConcatIDCogVideoXTransformer3DModel(
            num_attention_heads=48, num_layers=blocks, use_rotary_positional_embeddings=True
        ),
        write_checkpoint=lambda path, transformer, _: write_sat(path, transformer.state_dict()),
    ),
}


def publish(folder: Path, preset: Preset, blocks: int, text_layers: int) -> tuple[Path, Path, Path | None]:
    """Write the base, the checkpoint and, if the preset has one, its LoRA, in bfloat16."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    layout, base = LAYOUTS[preset.backbone], folder / "base"
    layout.vae().save_pretrained(base / "vae")
    text_encoder = layout.text_encoder(text_layers)
    text_encoder.save_pretrained(base / "text_encoder")
    byte_tokenizer().save_pretrained(base / "tokenizer")
    transformer = layout.transformer(blocks)
    transformer.save_config(base / "transformer")
    parts = {
        "vae": ["diffusers", type(layout.vae()).__name__],
        "text_encoder": ["transformers", type(text_encoder).__name__],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
    }
    (base / "model_index.json").write_text(json.dumps(parts))
    checkpoint = layout.write_checkpoint(folder / "checkpoint", transformer, blocks)
    adapter = write_few_steps(folder / "lora.safetensors", transformer) if preset.adapter else None
    torch.set_default_dtype(torch.float32)
    return base, checkpoint, adapter


def run(
    name: str,
    base: Path,
    checkpoint: Path,
    adapter: Path | None,
    settings: Settings,
    form: TextEncoderForm,
    told: multiprocessing.SimpleQueue,
) -> None:
    """Convert, load and generate, and tell seconds and GB."""
    os.environ["CONCAT_ID_CACHE"] = str(base.parent / "cache")
    load.plan_memory = lambda *_: MemoryPlan(form)
    embedded = PRESETS["embedded"]
    faces = {name: getattr(embedded, name) for name in FACES}
    sources = {"base": base, "checkpoint": checkpoint, "adapter": adapter}
    PRESETS[name] = preset = replace(PRESETS[name], **sources, **faces)
    face = Reference("face", "assets/examples/fay.png")
    job = Job(preset.tasks[0], (face,) * preset.max_references, "People laugh on a beach.", settings, name)
    began = time.perf_counter()
    *steps, result = generate(job, base.parent / "out.mp4", preview_every=0, device="cpu")
    seconds = time.perf_counter() - began
    assert len(result.frames) == settings.num_frames and result.video.is_file()
    per_step = (steps[-1].seconds - steps[0].seconds) / (len(steps) - 1)
    told.put((seconds, per_step, peak_memory_gb()))


def peak_memory_gb() -> float:
    """The most that this process had in memory; unlike getrusage's, not that of the one it was started by."""
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak) * 1024 / 1e9


def main() -> None:
    """Prints the table."""
    released = [name for name, preset in PRESETS.items() if preset.checkpoint]
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", choices=released, action="append", help="default: all")
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--text-layers", type=int, default=1)
    forms = get_args(TextEncoderForm)
    parser.add_argument("--text-encoder", choices=forms, action="append", help="default: whole")
    parser.add_argument("--frames", type=int, default=9)
    parser.add_argument("--height", type=int, default=64)
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--steps", type=int, default=2)
    args = parser.parse_args()
    settings = Settings(
        seed=0, num_inference_steps=args.steps, num_frames=args.frames, height=args.height, width=args.width
    )
    print(f"{'preset':>28}{'text encoder':>14}{'seconds':>9}{'s a step':>10}{'peak GB':>9}")
    context = multiprocessing.get_context("spawn")
    for name in args.preset or released:
        with tempfile.TemporaryDirectory() as folder:
            published = publish(Path(folder), PRESETS[name], args.blocks, args.text_layers)
            for form in args.text_encoder or ["whole"]:
                told = context.SimpleQueue()
                process = context.Process(target=run, args=(name, *published, settings, form, told))
                process.start()
                process.join()
                if process.exitcode:
                    raise SystemExit(f"{name} failed.")
                seconds, per_step, peak = told.get()
                print(f"{name:>28}{form:>14}{seconds:>9.1f}{per_step:>10.2f}{peak:>9.1f}", flush=True)


if __name__ == "__main__":
    main()
