"""Stand-ins for what the recipes start from: shards of random latents, and a pipeline's folder."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan
from safetensors.torch import save_file
from torch import Generator

from concat_id import ConcatIDWanTransformer3DModel
from train.autoencoder.autoencoder import build_autoencoder
from train.curation.mining import PAIR_KINDS
from train.text.encoder import build_text_encoder, train_tokenizer
from train.transformer.training import EMBEDDED_CONFIG

CLIPS, SIDE, CANDIDATES = 4, 4, 3
CAPTIONS = ["a woman laughing on a beach", "someone nodding in the snow", "a man waves in a library"] * 20


def write_toy_shard(path: Path, *, people: int, latent_frames: int, takes: int = 1) -> None:
    """A shard of four clips as the recipes find it; its pictures are all different."""
    generator = Generator().manual_seed(people)
    path.parent.mkdir(parents=True, exist_ok=True)
    count = CLIPS * people * CANDIDATES
    tables = {
        f"pairs.{kind}": torch.arange(count).view(CLIPS, people, CANDIDATES).int() for kind in PAIR_KINDS
    }
    givens = ["", "background"]
    tables["backgrounds"] = (count + torch.arange(CLIPS * 2).view(CLIPS, 2)).int()
    count += CLIPS * 2
    if people == 1:
        givens += ["garment", "garment+background"]
        tables["garments"] = (count + torch.arange(CLIPS * 2).view(CLIPS, 2)).int()
        count += CLIPS * 2
    tensors = {
        "latents": torch.randn(CLIPS, 24, latent_frames, SIDE, SIDE, generator=generator).half(),
        "faces": torch.full((CLIPS, latent_frames, SIDE, SIDE), 51, dtype=torch.uint8),
        "pictures": torch.randn(count, 24, SIDE, SIDE, generator=generator).half(),
    }
    captions = {given: [f"{given} {number}" for number in range(CLIPS)] for given in givens}
    save_file(tables | tensors, path, metadata={"captions": json.dumps(captions), "takes": str(takes)})


def write_toy_text(folder: Path) -> Path:
    """A tokenizer and a text encoder that knows nothing."""
    train_tokenizer(CAPTIONS).save_pretrained(folder / "tokenizer")
    build_text_encoder().save_pretrained(folder / "text_encoder")
    return folder


def write_toy_workshop(folder: Path) -> None:
    """Everything under `.train` that the recipes of the transformer read, at toy size."""
    torch.manual_seed(0)
    AutoencoderKLWan.from_config(build_autoencoder().config).save_pretrained(folder / "vae")
    write_toy_text(folder / "text")
    toy = {"num_attention_heads": 1, "attention_head_dim": 24, "num_layers": 3, "ffn_dim": 32}
    for name, has_adaln in (
        ("base", False),
        ("stage1", True),
        ("stage2", True),
        ("multi_identity_stage1", True),
        ("unified", True),
    ):
        pipeline = folder / name / "pipeline"
        ConcatIDWanTransformer3DModel(
            **{**EMBEDDED_CONFIG, **toy, "reference_adaln": has_adaln}
        ).save_pretrained(pipeline / "transformer")
        write_toy_text(pipeline)
    for stem, people in (("", 1), ("takes_", 1), ("two_", 2), ("three_", 3)):
        for kind, frames in (("stills", 1), ("clips", 2), ("validation", 2)):
            name = "clips" if stem == "" and kind == "clips" else (stem + kind).removesuffix("_clips")
            path = folder / "latents" / name / "00000.safetensors"
            write_toy_shard(path, people=people, latent_frames=frames)
    for name, frames in (("retakes_stills", 1), ("retakes", 2), ("retakes_validation", 2)):
        path = folder / "latents" / name / "00000.safetensors"
        write_toy_shard(path, people=1, latent_frames=frames, takes=2)
