"""Latents of rendered footage, stored once so that the transformer's training does not render or encode.

    python -m train.footage.latents --vae .train/vae --output .train/latents/clips --clips 4000
    python -m train.footage.latents --vae .train/vae --output .train/latents/stills --clips 20000 --frames 1
    python -m train.footage.latents --vae .train/vae --output .train/latents/takes --clips 4000 \
        --clips-per-person 4
    python -m train.footage.latents --vae .train/vae --output .train/latents/pairs-of-people --clips 2000 \
        --people 2 \
        --clips-per-person 4

Every clip is stored once, with all pictures that may serve as its references and with the numbers of those
that do by each kind of pairs; `train.transformer.latent_data` reads them. A shard is one safetensors file:

    latents (V, C, F, H, W), normalised, float16
    faces (V, F, H, W), the share of each cell that is face, uint8 of 255
    pictures (N, C, H, W), normalised latents of all reference pictures, float16
    pairs.KIND (V, P, K) for each of `PAIR_KINDS`: numbers of pictures, -1 where there is none, int32
    garments (V, G), one person's only, and backgrounds (V, G): likewise

and its metadata holds the captions as JSON, by what is given by pictures: "", "garment", "background",
"garment+background", and the identity seeds of all people who were filmed. A shard that is there is not made
again, so that the command can be interrupted and prolonged.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import dataclass, fields
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan
from safetensors.torch import save_file
from torch import Generator, Tensor

from concat_id.files.atomic import replacing
from concat_id.models.autoencoder_wan import speed_up
from concat_id.people import Given, Scenes, Split, render, sample_takes, write_captions
from train.autoencoder.autoencoder import EMBEDDED_CONFIG
from train.autoencoder.resizing import halve_size
from train.curation.filters import has_steady_face_count, keeps_its_faces
from train.curation.mining import mine_pairs, store_faces, table_of_references
from train.curation.recognition import FaceEmbedder
from train.footage.synthetic_footage import (
    cut_out_garments,
    film,
    measure_quality,
    sample_moments,
    see_faces,
    view_places,
)
from train.pictures.reference_pictures import add_reference_noise
from train.precision import autocast

LOGGER = logging.getLogger(__name__)

SIZE = 128
FRAMES_OF_A_CLIP = 17
SHARD_CLIPS = 200
# Rendered at once; more do not fit the cache, fewer waste calls.
CHUNK_FRAMES = 170
ENCODED_AT_ONCE = 64


@dataclass(frozen=True)
class Plan:
    """What a folder of shards shows.

    Attributes:
        frames: of a stored clip, 4k + 1; 1 is a still.
        people: in every clip, 1 to 3.
        clips_per_person: clips in a row that show the same people; with 1 there are pre-training pairs only.
        references: sampled frames of each clip in which faces are looked for.
    """

    frames: int = FRAMES_OF_A_CLIP
    people: int = 1
    clips_per_person: int = 1
    references: int = 5
    split: Split = "train"

    @property
    def givens(self) -> list[tuple[Given, ...]]:
        """What of a clip may be given by pictures besides the faces."""
        if self.people > 1:
            return [(), ("background",)]
        return [(), ("garment",), ("background",), ("garment", "background")]


def load_autoencoder(folder: Path, device: str = "cpu") -> AutoencoderKLWan:
    """The trained autoencoder, frozen, for pictures of 128 px: of one for 256 px, its half."""
    vae = AutoencoderKLWan.from_pretrained(folder, dtype=torch.float32)
    if vae.config.scale_factor_spatial > EMBEDDED_CONFIG["scale_factor_spatial"]:
        vae = halve_size(vae)
    speed_up(vae)
    return vae.to(device).eval().requires_grad_(False)


def encode(vae: AutoencoderKLWan, video: Tensor) -> Tensor:
    """Normalised latents, the posterior's mode, in bfloat16.

    Args:
        video: (B, 3, T, H, W) in [-1, 1].
    """
    mean = torch.tensor(vae.config.latents_mean, device=video.device).view(1, -1, 1, 1, 1)
    std = torch.tensor(vae.config.latents_std, device=video.device).view(1, -1, 1, 1, 1)
    with autocast(video.device.type):
        return (vae.encode(video.to(vae.dtype)).latent_dist.mode() - mean) / std


def encode_references(vae: AutoencoderKLWan, pictures: Tensor, generator: Generator) -> Tensor:
    """Latents (..., C, H, W), float16 on the CPU, of pictures (..., 3, S, S) in [0, 1] with noise on them."""
    noisy = add_reference_noise(pictures.flatten(0, -4) * 2 - 1, generator)
    parts = [encode(vae, part[:, :, None])[:, :, 0].half().cpu() for part in noisy.split(ENCODED_AT_ONCE)]
    return torch.cat(parts).unflatten(0, pictures.shape[:-3])


def pool_faces(masks: Tensor, num_latent_frames: int, cell: int) -> Tensor:
    """Face masks (B, T, H, W) as the share of each latent cell, (B, F, H / cell, W / cell) in [0, 1]."""
    first = F.avg_pool2d(masks[:, :1].float(), cell)
    if num_latent_frames == 1:
        return first
    rest = F.avg_pool3d(masks[:, None, 1:].float(), (4, cell, cell))[:, 0]
    return torch.cat([first, rest], dim=1)


@torch.no_grad()
def make_shard(
    vae: AutoencoderKLWan, embedder: FaceEmbedder, path: Path, plan: Plan, *, seed: int, clips: int
) -> None:
    """Render, caption, encode and pair the clips of one shard, and write it in one piece."""
    generator = torch.Generator().manual_seed(seed)
    people_at_once = max(1, CHUNK_FRAMES // max(plan.frames, plan.references) // plan.clips_per_person)
    records, captions = [], {_key(given): [] for given in plan.givens}
    for start in range(0, clips, people_at_once * plan.clips_per_person):
        scenes = sample_takes(
            seed + start,
            min(people_at_once * plan.clips_per_person, clips - start),
            clips_per_person=plan.clips_per_person,
            split=plan.split,
            num_people=plan.people,
            num_frames=plan.frames if plan.frames > 1 else FRAMES_OF_A_CLIP,
            device=vae.device,
        )
        records.append(record_clips(vae, embedder, scenes, plan, generator))
        for given in plan.givens:
            captions[_key(given)] += write_captions(scenes, seed + start, given)
    record = {name: torch.cat([part[name] for part in records]) for name in records[0]}
    people = set(record["groups"].flatten().tolist())
    kept = has_steady_face_count(record["found"].sum(2)) & keeps_its_faces(
        record["embeddings"], record["found"]
    )
    record = {name: column[kept] for name, column in record.items()}
    captions = {
        given: [text for text, keep in zip(texts, kept.tolist(), strict=True) if keep]
        for given, texts in captions.items()
    }
    metadata = {"captions": json.dumps(captions), "people": json.dumps(sorted(people))}
    with replacing(path) as unfinished:
        save_file(choose_references(record), unfinished, metadata=metadata)


def record_clips(
    vae: AutoencoderKLWan, embedder: FaceEmbedder, scenes: Scenes, plan: Plan, generator: Generator
) -> dict[str, Tensor]:
    """Everything about the clips that a shard may need, on the CPU; axes as in `synthetic_footage`.

    `face_latents` (B, J, P, C, H, W), `backgrounds` (B, G, C, H, W) and, of one person, `garments` likewise
    are encoded pictures; `groups` (B, P) are the identities; the rest is named as in shards or `Sightings`.
    """
    moments = sample_moments(scenes, min(plan.references, scenes.num_frames), generator)
    shots = film(scenes, moments)
    seen = see_faces(shots, embedder, SIZE)
    shown = scenes if plan.frames > 1 else scenes.at(sample_moments(scenes, 1, generator)[:, 0])
    rendering = render(shown, SIZE, SIZE)
    latents = encode(vae, rendering.frames.transpose(1, 2) * 2 - 1)
    faces = pool_faces(rendering.face_masks.any(2), latents.shape[2], SIZE // latents.shape[-1])
    record = {
        "latents": latents.half(),
        "faces": (faces * 255).byte(),
        "groups": scenes.identity_seeds,
        "embeddings": seen.embeddings,
        "area_shares": seen.area_shares,
        "found": seen.found,
        "usable": seen.usable,
        "face_latents": encode_references(vae, seen.pictures, generator),
        "backgrounds": encode_references(vae, view_places(scenes, moments, SIZE), generator),
        **measure_quality(rendering.frames),
    }
    if plan.people == 1:
        garments, are_garments = cut_out_garments(scenes, shots, SIZE, generator)
        record |= {"garments": encode_references(vae, garments, generator), "are_garments": are_garments}
    return {name: column.cpu() for name, column in record.items()}


def choose_references(record: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a shard: the clips, the pictures that may serve, and which serve which clip."""
    num_clips, _, num_people = record["usable"].shape
    clip, person, frame = store_faces(record["usable"]).unbind(1)
    found = record["found"].sum(1).clamp(min=1)
    pairs = mine_pairs(
        record["embeddings"][clip, frame, person],
        clip * num_people + person,
        clips=torch.arange(num_clips).repeat_interleave(num_people),
        groups=record["groups"].flatten(),
        area_shares=((record["area_shares"] * record["found"]).sum(1) / found).flatten(),
        quality={name: record[name].repeat_interleave(num_people) for name in ("sharpness", "motion")},
    )
    pictures = [record["face_latents"][clip, frame, person]]
    shard = {"latents": record["latents"], "faces": record["faces"]}
    for kind, found_pairs in pairs.items():
        shard[f"pairs.{kind}"] = table_of_references(found_pairs, num_clips, num_people).int()
    for name in ("garments", "backgrounds"):
        if name in record:
            first = sum(len(part) for part in pictures)
            pictures.append(record[name].flatten(0, 1))
            shard[name] = torch.arange(first, first + len(pictures[-1])).view(num_clips, -1).int()
    if "garments" in shard:
        shard["garments"] = shard["garments"].where(record["are_garments"], -1)
    shard["pictures"] = torch.cat(pictures)
    return {name: column.contiguous() for name, column in shard.items()}


def _key(given: tuple[Given, ...]) -> str:
    return "+".join(given)


def main() -> None:
    """Make the shards that are missing."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--clips", type=int, required=True)
    parser.add_argument("--frames", type=int, default=Plan.frames)
    parser.add_argument("--people", type=int, default=Plan.people)
    parser.add_argument("--clips-per-person", type=int, default=Plan.clips_per_person)
    parser.add_argument("--references", type=int, default=Plan.references)
    parser.add_argument("--split", choices=("train", "validation", "test"), default=Plan.split)
    parser.add_argument("--face-pack", type=Path, default=Path("assets/embedded/face_pack"))
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options.output.mkdir(parents=True, exist_ok=True)
    vae, embedder = load_autoencoder(options.vae, options.device), FaceEmbedder(options.face_pack)
    plan = Plan(**{field.name: getattr(options, field.name) for field in fields(Plan)})
    clips = SHARD_CLIPS // plan.clips_per_person * plan.clips_per_person
    for index in range(-(-options.clips // clips)):
        path = options.output / f"{index:05d}.safetensors"
        if path.exists():
            continue
        # Stills and clips, and the shards among them, show different people.
        seed = (options.frames * 100_000 + index) * SHARD_CLIPS
        make_shard(vae, embedder, path, plan, seed=seed, clips=clips)
        LOGGER.info("%s", path)


if __name__ == "__main__":
    main()
