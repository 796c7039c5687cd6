"""Pools of rendered footage as latents, on the device that trains on them.

Footage comes in scenes of two takes: the same people in the same clothes, place and light, filmed twice with
other expressions (of clips, often other movements, too) and the captions that say so. The pictures of people
are of other occasions: other clothes, poses and expressions.

Axes: S scenes, P people, K pictures of a person, C, F, H, W of latents, N tokens of a caption.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan
from torch import Generator, Tensor
from transformers import PreTrainedTokenizerFast

from concat_id.people import EXPRESSIONS, MOTIONS, SEED_RANGES, Given, Scenes, Split, render, sample_scenes
from concat_id.people import write_captions as write
from train.footage.latents import FRAMES_OF_A_CLIP, SIZE, encode, pool_faces
from train.footage.synthetic_footage import cut_out_garments, sample_moments, view_places
from train.pictures.reference_pictures import add_reference_noise, prepare_references
from train.text.encoder import tokenize

TAKES = 2
PICTURES_PER_PERSON = 4
# px at which a portrait is drawn: its face is cut out of it.
SHARP_SIZE = 160
# How often the expression of one of several people differs between takes.
OTHER_EXPRESSION_SHARE = 0.6
# How often somebody's movement does, in clips.
OTHER_MOTION_SHARE = 0.5
# Of each take: as many as keep the device busy, and no more than its memory bears.
FRAMES_AT_ONCE = {"cuda": 4080, "cpu": 408}
# Frames.
ENCODED_AT_ONCE = {"cuda": 1024, "cpu": 68}
# By number of people: what of a scene may be given by pictures besides the faces.
GIVENS: dict[int, tuple[tuple[Given, ...], ...]] = {
    1: ((), ("garment",), ("background",), ("garment", "background")),
    2: ((), ("background",)),
    3: ((), ("background",)),
}


@dataclass(frozen=True)
class Kind:
    """A kind of scenes: how many people, and a still (1 frame) or a clip."""

    people: int
    frames: int


@dataclass(frozen=True)
class Casting:
    """Who does what in some scenes; made of it, scenes are the same in every process and on every device.

    Attributes:
        people: identity seeds, (S, P).
        expressions, motions: category numbers by take, (takes, S, P).
    """

    seed: int
    split: Split
    people: Tensor
    expressions: Tensor
    motions: Tensor

    def scenes(self, take: int, device: torch.device | str = "cpu") -> Scenes:
        """The scenes of a take, of clips; for stills a moment is to be chosen."""
        return sample_scenes(
            self.seed,
            len(self.people),
            split=self.split,
            num_people=self.people.shape[1],
            num_frames=FRAMES_OF_A_CLIP,
            identity_seeds=self.people,
            expressions=self.expressions[take],
            motions=self.motions[take],
            device=device,
        )


def cast_scenes(seed: int, split: Split, people: Tensor, kind: Kind) -> Casting:
    """Draw expressions and movements for scenes of these people (S, P)."""
    generator = Generator().manual_seed(seed)

    def chance(probability: float) -> Tensor:
        return torch.rand(people.shape, generator=generator) < probability

    def draw(names: tuple[str, ...], changed: Tensor) -> Tensor:
        first = torch.randint(len(names), people.shape, generator=generator)
        other = (first + torch.randint(1, len(names), people.shape, generator=generator)) % len(names)
        return torch.stack([first, torch.where(changed, other, first)])

    changed = chance(OTHER_EXPRESSION_SHARE)
    changed |= ~changed.any(1, keepdim=True)
    expressions = draw(EXPRESSIONS, changed)
    motions = draw(MOTIONS, chance(OTHER_MOTION_SHARE) & (kind.frames > 1))
    return Casting(seed, split, people, expressions, motions)


@lru_cache(maxsize=1)
def _load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast.from_pretrained(folder)


def write_tokens(casting: Casting, tokenizer: Path) -> Tensor:
    """The captions' tokens by scene, take and what is given, (S, takes, G, N) int16, in a process aside."""
    torch.set_num_threads(1)
    givens = GIVENS[casting.people.shape[1]]
    texts = []
    for take in range(TAKES):
        scenes = casting.scenes(take)
        texts += [write(scenes, casting.seed, given) for given in givens]
    flat = [text for column in texts for text in column]
    ids = tokenize(_load_tokenizer(tokenizer), flat).input_ids.short()
    return ids.view(TAKES, len(givens), len(casting.people), -1).permute(2, 0, 1, 3).contiguous()


class Studio:
    """Films on a device.

    Args:
        vae: the frozen autoencoder; its device is where everything happens.
        tokenizer: its folder.
        writers: processes that write captions meanwhile.
    """

    def __init__(self, vae: AutoencoderKLWan, tokenizer: Path, writers: ProcessPoolExecutor) -> None:
        self.vae, self.tokenizer, self.writers = vae, tokenizer, writers
        self.noise = Generator(vae.device).manual_seed(0)
        self.frames_at_once = FRAMES_AT_ONCE[vae.device.type]
        self.encoded_at_once = ENCODED_AT_ONCE[vae.device.type]

    def wake_writers(self) -> None:
        """Start all processes: they take long to import what they need."""
        nobody = torch.zeros(1, 1, dtype=torch.long)
        for _ in range(self.writers._max_workers):
            self.writers.submit(write_tokens, cast_scenes(0, "train", nobody, Kind(1, 1)), self.tokenizer)

    def encode(self, pictures: Tensor) -> Tensor:
        """Latents (..., C, H, W) float16 of pictures (..., 3, size, size) in [0, 1], with reference noise."""
        noisy = add_reference_noise(pictures.flatten(0, -4) * 2 - 1, self.noise)
        parts = [
            encode(self.vae, part[:, :, None])[:, :, 0].half() for part in noisy.split(self.encoded_at_once)
        ]
        return torch.cat(parts).unflatten(0, pictures.shape[:-3])

    @torch.no_grad()
    def portray(self, seed: int, count: int, split: Split) -> dict[str, Tensor]:
        """People and their pictures: seeds (count,), pictures (count, K, C, H, W), usable (count, K) bool."""
        generator = Generator().manual_seed(seed)
        seeds = torch.randint(*SEED_RANGES[split], (count,), generator=generator)
        pictures, usable = [], []
        for number in range(PICTURES_PER_PERSON):
            scenes = sample_scenes(
                seed + number,
                count,
                split=split,
                num_frames=FRAMES_OF_A_CLIP,
                camera="portrait" if number % 2 else "video",
                identity_seeds=seeds[:, None],
                device=self.vae.device,
            )
            moment = sample_moments(scenes, 1, generator)[:, 0]
            shot = render(scenes.at(moment), SHARP_SIZE, SHARP_SIZE)
            crops = prepare_references(shot.frames[:, 0], shot.labels[:, 0], shot.landmarks[:, 0, 0], SIZE)
            pictures.append(self.encode(crops))
            usable.append(shot.landmarks_visible[:, 0, 0].all(-1))
        usable = torch.stack(usable, 1)
        known = usable.any(1)
        return {
            "seeds": seeds.to(known.device)[known],
            "pictures": torch.stack(pictures, 1)[known],
            "usable": usable[known],
        }

    @torch.no_grad()
    def film(
        self, kind: Kind, seed: int, people: dict[str, Tensor], split: Split, scenes: int | None = None
    ) -> tuple[dict[str, Tensor], Future]:
        """Scenes of people from a pool of `portray`, and the future of their tokens.

        Returns:
            latents (S, takes, C, F, H, W) float16; faces (S, takes, F, H, W), uint8 of 255; people (S, P),
            rows of the pool; backgrounds (S, 1, C, H, W); of one person garments (S, G, C, H, W), and
            are_garments (S, G) bool.
        """
        generator = Generator().manual_seed(seed)
        shape = (scenes or self.frames_at_once // kind.frames, kind.people)
        rows = torch.randint(len(people["seeds"]), shape, generator=generator)
        casting = cast_scenes(seed, split, people["seeds"].cpu()[rows], kind)
        tokens = self.writers.submit(write_tokens, casting, self.tokenizer)
        takes = [casting.scenes(take, self.vae.device) for take in range(TAKES)]
        moments = sample_moments(takes[0], 2, generator)
        moments = moments[torch.arange(len(moments))[:, None], torch.rand(moments.shape).argsort(1)]
        parts = [self._film_take(take if kind.frames > 1 else take.at(moments[:, 0])) for take in takes]
        record = {name: torch.stack([part[name] for part in parts], 1) for name in parts[0]}
        record["people"] = rows.to(self.vae.device)
        record["backgrounds"] = self.encode(view_places(takes[0], moments[:, :1], SIZE))
        if kind.people == 1:
            worn = render(takes[1].at(moments[:, 1]), SIZE, SIZE)
            garments, record["are_garments"] = cut_out_garments(takes[1], [worn], SIZE, generator)
            record["garments"] = self.encode(garments)
        return record, tokens

    def _film_take(self, scenes: Scenes) -> dict[str, Tensor]:
        """Latents (S, C, F, H, W) and faces (S, F, H, W) of one take."""
        rendering = render(scenes, SIZE, SIZE)
        video = rendering.frames.transpose(1, 2) * 2 - 1
        at_once = max(1, self.encoded_at_once // scenes.num_frames)
        latents = torch.cat([encode(self.vae, part).half() for part in video.split(at_once)])
        faces = pool_faces(rendering.face_masks.any(2), latents.shape[2], SIZE // latents.shape[-1])
        return {"latents": latents, "faces": (faces * 255).byte()}


def join(pools: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Pools as one."""
    return {name: torch.cat([pool[name] for pool in pools]) for name in pools[0]}


def collect(parts: Iterator[tuple[dict[str, Tensor], Future]]) -> dict[str, Tensor]:
    """Filmed scenes with their tokens as one pool."""
    filmed = list(parts)
    pool = join([record for record, _ in filmed])
    pool["tokens"] = torch.cat([tokens.result() for _, tokens in filmed]).to(pool["people"].device)
    return pool
