"""Latents of retakes: one moment, or one clip, several times over with nothing changed but the expression.

    python -m train.footage.retakes --vae .train/vae --output .train/latents/retakes_stills --scenes 4000 \
        --frames 1
    python -m train.footage.retakes --vae .train/vae --output .train/latents/retakes --scenes 1000

No footage has them, drawn people do. Two retakes differ in what the words of their captions differ in, and in
nothing else, so that training can weigh it by itself (`retake_weight` in `train.transformer.training`). An
expression is a few pixels; among all else that differs from clip to clip it takes very long to be learned.

Shards are as `train.footage.latents` writes them, of one person each. The takes of a scene follow each other,
as many as the metadata's `takes` says, and share their references, which are of another clip
(`pairs.cross_video`).
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan
from safetensors.torch import save_file
from torch import Generator, Tensor

from concat_id.files.atomic import replacing
from concat_id.people import EXPRESSIONS, Split, render, sample_scenes, write_captions
from train.curation.recognition import FaceEmbedder
from train.footage.latents import (
    FRAMES_OF_A_CLIP,
    SIZE,
    encode,
    encode_references,
    load_autoencoder,
    pool_faces,
)
from train.footage.synthetic_footage import film, sample_moments, see_faces

LOGGER = logging.getLogger(__name__)

TAKES = 2
REFERENCES = 3
SHARD_SCENES = 100
SCENES_AT_ONCE = 20
# Added to a scene's seed, it gives the clip that its references are taken from.
REFERENCE_SEEDS = 500_000_000


def draw_expressions(count: int, takes: int, generator: Generator) -> list[list[str]]:
    """Names of different expressions, for each take those of all scenes."""
    drawn = torch.rand(count, len(EXPRESSIONS), generator=generator).argsort(1)[:, :takes]
    return [[EXPRESSIONS[number] for number in column] for column in drawn.T.tolist()]


@torch.no_grad()
def record_scenes(
    vae: AutoencoderKLWan, embedder: FaceEmbedder, *, seed: int, count: int, frames: int, split: Split
) -> tuple[dict[str, Tensor], list[str]]:
    """Takes and references of some scenes, and the takes' captions; B scenes, K takes of each.

    Returns:
        latents (B, K, C, F, H, W), faces (B, K, F, H, W), pictures (B, J, C, H, W), usable (B, J), and
        identity seeds, people (B,); captions by scene and take.
    """
    generator = Generator().manual_seed(seed)
    expressions = draw_expressions(count, TAKES, generator)
    takes = [
        sample_scenes(seed, count, split=split, num_frames=FRAMES_OF_A_CLIP, expressions=names)
        for names in expressions
    ]
    moment = sample_moments(takes[0], 1, generator)[:, 0]
    latents, faces = [], []
    for scenes in takes:
        rendering = render(scenes if frames > 1 else scenes.at(moment), SIZE, SIZE)
        latents.append(encode(vae, rendering.frames.transpose(1, 2) * 2 - 1).half())
        masks = rendering.face_masks.any(2)
        faces.append((pool_faces(masks, latents[-1].shape[2], SIZE // latents[-1].shape[-1]) * 255).byte())
    other = sample_scenes(
        seed + REFERENCE_SEEDS,
        count,
        split=split,
        num_frames=FRAMES_OF_A_CLIP,
        identity_seeds=takes[0].identity_seeds,
    )
    seen = see_faces(film(other, sample_moments(other, REFERENCES, generator)), embedder, SIZE)
    record = {
        "latents": torch.stack(latents, 1),
        "faces": torch.stack(faces, 1),
        "pictures": encode_references(vae, seen.pictures[:, :, 0], generator),
        "usable": seen.usable[:, :, 0],
        "people": takes[0].identity_seeds[:, 0],
    }
    captions = [write_captions(scenes, seed) for scenes in takes]
    return record, [text for texts in zip(*captions, strict=True) for text in texts]


def make_shard(
    vae: AutoencoderKLWan, embedder: FaceEmbedder, path: Path, *, seed: int, frames: int, split: Split
) -> None:
    """Record the scenes of one shard and write those that have a reference, in one piece."""
    records, captions = [], []
    for start in range(0, SHARD_SCENES, SCENES_AT_ONCE):
        count = min(SCENES_AT_ONCE, SHARD_SCENES - start)
        record, texts = record_scenes(
            vae, embedder, seed=seed + start, count=count, frames=frames, split=split
        )
        records.append(record)
        captions += texts
    record = {name: torch.cat([part[name] for part in records]) for name in records[0]}
    kept = record["usable"].any(1)
    captions = [
        text for text, keep in zip(captions, kept.repeat_interleave(TAKES).tolist(), strict=True) if keep
    ]
    record = {name: column[kept] for name, column in record.items()}
    numbers = torch.arange(record["usable"].numel()).view_as(record["usable"])
    references = numbers.where(record["usable"], -1).repeat_interleave(TAKES, 0)[:, None].int()
    shard = {
        "latents": record["latents"].flatten(0, 1),
        "faces": record["faces"].flatten(0, 1),
        "pictures": record["pictures"].flatten(0, 1),
        "pairs.pre_training": torch.full_like(references, -1),
        "pairs.cross_video": references,
    }
    metadata = {
        "captions": json.dumps({"": captions}),
        "people": json.dumps(sorted(set(record["people"].tolist()))),
        "takes": str(TAKES),
    }
    shard = {name: column.contiguous() for name, column in shard.items()}
    with replacing(path) as unfinished:
        save_file(shard, unfinished, metadata=metadata)


def main() -> None:
    """Make the shards that are missing."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--scenes", type=int, required=True)
    parser.add_argument("--frames", type=int, default=FRAMES_OF_A_CLIP)
    parser.add_argument("--split", choices=("train", "validation", "test"), default="train")
    parser.add_argument("--face-pack", type=Path, default=Path("assets/embedded/face_pack"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options.output.mkdir(parents=True, exist_ok=True)
    vae, embedder = load_autoencoder(options.vae), FaceEmbedder(options.face_pack)
    for index in range(-(-options.scenes // SHARD_SCENES)):
        path = options.output / f"{index:05d}.safetensors"
        if path.exists():
            continue
        seed = (options.frames * 100_000 + 50_000 + index) * SHARD_SCENES
        make_shard(vae, embedder, path, seed=seed, frames=options.frames, split=options.split)
        LOGGER.info("%s", path)


if __name__ == "__main__":
    main()
