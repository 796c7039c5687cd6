"""Checkpoints of transformer, autoencoder and text encoder as a pipeline's folders, or as LoRAs on it."""

from __future__ import annotations

import json
import shutil
import tempfile
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler
from peft import get_peft_model_state_dict
from torch import Tensor
from transformers import AutoTokenizer, UMT5EncoderModel

from concat_id import ConcatIDWanPipeline, ConcatIDWanTransformer3DModel
from concat_id.files.atomic import replacing
from train.autoencoder.autoencoder import EMBEDDED_CONFIG, start_autoencoder
from train.autoencoder.crops import render_clips, render_references, to_batch
from train.live.fit import Plan, load_weights
from train.text.caption_reading import CaptionReading
from train.transformer.cogvideox import CogVideoXTraining, is_cogvideox
from train.transformer.training import ConcatIDTraining

MAX_SHARD_SIZE = "20MB"


def load_autoencoder_checkpoint(path: Path) -> AutoencoderKLWan:
    """The autoencoder of a training checkpoint, as diffusers' plain class."""
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    arguments = loaded["hyper_parameters"]
    vae = start_autoencoder(arguments["init_from"], arguments["doubled"], arguments["decoder_base_dim"])
    state = {  # without what judges it in training
        name.removeprefix("vae."): value
        for name, value in loaded["state_dict"].items()
        if name.startswith("vae.")
    }
    vae.load_state_dict(state)
    return vae.eval().requires_grad_(False)


def measure_latents(vae: AutoencoderKLWan, clips: int = 48) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of every latent channel over training clips and references."""

    def flat_latents(frames: Tensor, faces: Tensor) -> list[Tensor]:
        latents = vae.encode(to_batch(frames, faces)["video"]).latent_dist.mode()
        return [latents.transpose(0, 1).flatten(1)]

    values: list[Tensor] = []
    for seed in range(0, clips, 8):
        footage, references = render_clips(seed, 8, 128), render_references(seed, 8, 128)
        values += flat_latents(footage.frames, footage.faces) + flat_latents(
            references.frames, references.faces
        )
    every = torch.cat(values, dim=1)
    return every.mean(1).tolist(), every.std(1).tolist()


@torch.no_grad()
def export_autoencoder(checkpoint: Path, output: Path) -> None:
    """Write a diffusers folder whose config holds its latents' statistics: measured, or the origin's."""
    vae = load_autoencoder_checkpoint(checkpoint)
    if vae.config.patch_size == EMBEDDED_CONFIG["patch_size"]:
        mean, std = measure_latents(vae)
        vae.register_to_config(latents_mean=mean, latents_std=std)
    vae.save_pretrained(output)


def export_text(checkpoint: Path, output: Path) -> None:
    """Write the folders `tokenizer` and `text_encoder`."""
    loaded = torch.load(checkpoint, map_location="cpu", weights_only=True)
    module = CaptionReading(loaded["hyper_parameters"]["tokenizer"])
    module.load_state_dict(loaded["state_dict"])
    module.tokenizer.save_pretrained(output / "tokenizer")
    module.text_encoder.save_pretrained(output / "text_encoder")


def load_module(checkpoint: Path) -> ConcatIDTraining:
    """The transformer's training as it was at a checkpoint, of which it needs the weights alone."""
    loaded = torch.load(checkpoint, map_location="cpu", weights_only=True)
    # A recipe of a kind of its own, such as distillation, has more arguments.
    known = signature(ConcatIDTraining).parameters
    arguments = {name: value for name, value in loaded["hyper_parameters"].items() if name in known}
    # Its size and tokenizer are those of what the run started from; its weights are the checkpoint's.
    training = CogVideoXTraining if is_cogvideox(arguments["init_from"]) else ConcatIDTraining
    module = training(**arguments)
    module.load_state_dict(loaded["state_dict"])
    return module


def export_adapter(checkpoint: Path, output: Path) -> None:
    """Write the LoRA of a checkpoint as a safetensors file that diffusers loads, in bfloat16."""
    module = load_module(checkpoint)
    if module.hparams.lora_rank is None:
        raise ValueError(f"{checkpoint} holds no LoRA; export it as a pipeline.")
    layers = get_peft_model_state_dict(module.transformer)
    halved = {name: value.bfloat16().contiguous() for name, value in layers.items()}
    module.pipeline_class.save_lora_weights(
        output.parent, transformer_lora_layers=halved, weight_name=output.name
    )


def export_pipeline(checkpoint: Path, vae_folder: Path, output: Path) -> None:
    """Write the whole diffusers folder of a transformer's checkpoint, weights in bfloat16."""
    module = load_module(checkpoint)
    if module.hparams.lora_rank is not None:
        raise ValueError(f"{checkpoint} holds a LoRA; export it as an adapter.")
    if module.pipeline_class is not ConcatIDWanPipeline:
        raise ValueError(f"{checkpoint} is on CogVideoX, of which only LoRAs are exported; train one.")
    hparams = module.hparams
    if not hasattr(module, "text_encoder"):
        module.text_encoder, module.tokenizer = module.load_text(hparams.init_from, hparams.text)
    parts = {name: getattr(module, name) for name in ("transformer", "tokenizer", "text_encoder")}
    _write_pipeline(parts, hparams.shift, vae_folder, output)


def export_live(folder: Path, text: Path, vae_folder: Path, output: Path) -> None:
    """Write the whole diffusers folder of what `train.live` left in a folder, weights in bfloat16.

    Args:
        text: folder of the text encoder and tokenizer that it was trained with.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    transformer = ConcatIDWanTransformer3DModel.from_config(config)
    transformer.load_state_dict(load_weights(folder))
    parts = {
        "transformer": transformer,
        "text_encoder": UMT5EncoderModel.from_pretrained(text / "text_encoder", dtype=torch.float32),
        "tokenizer": AutoTokenizer.from_pretrained(text / "tokenizer"),
    }
    _write_pipeline(parts, Plan.shift, vae_folder, output)


def _write_pipeline(parts: dict[str, Any], shift: float, vae_folder: Path, output: Path) -> None:
    """Write these parts with a scheduler of this shift and the autoencoder of a folder."""
    pipeline = ConcatIDWanPipeline(
        **parts,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=shift),
        vae=AutoencoderKLWan.from_pretrained(vae_folder),
    )
    with tempfile.TemporaryDirectory() as folder:
        full, half = Path(folder, "full"), Path(folder, "half")
        # Loading in bfloat16, unlike casting, keeps what has to stay float32.
        pipeline.save_pretrained(full)
        halved = ConcatIDWanPipeline.from_pretrained(full, dtype=torch.bfloat16)
        halved.save_pretrained(half, max_shard_size=MAX_SHARD_SIZE)
        for config in half.rglob("*.json"):
            _forget_origin(config)
        # Other models may lie in the output: only the pipeline's own parts are replaced, each as a whole.
        for part in half.iterdir():
            with replacing(output / part.name) as unfinished:
                shutil.move(part, unfinished)


def _forget_origin(config: Path) -> None:
    """Take out of a config the temporary folder that its model was loaded from."""
    values = json.loads(config.read_text(encoding="utf-8"))
    if values.pop("_name_or_path", None) is not None:
        config.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
