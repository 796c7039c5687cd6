"""How well the small CLIP matches pictures and captions it has never seen.

    python -m train.measure.clip [--folder assets/embedded/clip]

Of 64 choices from the test split: how often the right caption of a picture, the right picture of a caption,
and the right picture of a face from another moment come first. Of the benchmark's 50 garments and 50 places:
how often the right one is found in the true rendering of its scene, and in the same after the autoencoder. No
generated video can be expected to do better in the evaluation.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from PIL.Image import Image
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoImageProcessor, CLIPModel, CLIPTokenizer

from concat_id.loading.presets import EMBEDDED
from concat_id.people import render
from concat_id.references.parsing import Parser
from concat_id.references.prepare import prepare_background, prepare_garment
from concat_id.scoring.clip import ClipEmbedder
from concat_id.scoring.surroundings import compare_garments, compare_places
from train.autoencoder.autoencoder import pass_through
from train.benchmark.people import (
    COMPANIONS,
    draw_garments,
    draw_places,
    garment_scenes,
    place_scenes,
    to_pictures,
)
from train.footage.latents import load_autoencoder
from train.perception.picture_cache import Pictures, load_pictures, write_chunk_captions
from train.pictures.alignment import align_faces

CHOICES = 64
TEST_CHUNKS = 2
FRAME_PX = 128


def first_share(queries: Tensor, answers: Tensor) -> float:
    """Share of the queries (N, D) whose own answer is nearest among its group of 64."""
    hits = [
        (query @ answer.T).argmax(1) == torch.arange(len(query))
        for query, answer in zip(queries.split(CHOICES), answers.split(CHOICES), strict=True)
        if len(query) == CHOICES
    ]
    return torch.cat(hits).float().mean().item()


def scene_pairs(pictures: Pictures) -> tuple[Pictures, Pictures]:
    """First and last moments of the scenes with one person, scenes shuffled."""
    pictures = pictures.of_one_person()
    starts = (pictures.scenes[:-1] == pictures.scenes[1:]).nonzero().squeeze(1)
    starts = starts[torch.randperm(len(starts), generator=torch.Generator().manual_seed(0))]
    return pictures.rows(starts), pictures.rows(starts + 1)


def find_share(
    prepared: Sequence[Image], frames: Sequence[Image], clothes_parser: Parser, clip: ClipEmbedder, *, of: str
) -> float:
    """Share of the frames whose own reference is most like them, as `concat_id.evaluation` decides it.

    Args:
        of: "garments" or "places".
    """
    compare = {"garments": compare_garments, "places": compare_places}[of]
    likenesses = [compare(prepared, np.asarray(frame)[None], clothes_parser, clip) for frame in frames]
    hits = [found is not None and np.argmax(found) == own for own, found in enumerate(likenesses)]
    return float(np.mean(hits))


def measure_ceiling(folder: Path, vae: AutoencoderKLWan, num_scenes: int) -> None:
    """Print how often the benchmark's garments and places are found in true renderings."""
    clip, clothes_parser = ClipEmbedder(folder), Parser(EMBEDDED / "clothes_parser")
    asked = {
        "garments": (draw_garments()[0], prepare_garment, garment_scenes()),
        "places": (draw_places()[0], prepare_background, place_scenes()),
    }
    for name, (pictures, prepare, scenes) in asked.items():
        prepared = [prepare(picture, clothes_parser).picture for picture in pictures]
        frames = render(scenes, FRAME_PX, FRAME_PX).frames[:num_scenes].transpose(1, 2)  # (N, 3, 1, H, W)
        decoded = (pass_through(vae, frames * 2 - 1) + 1) / 2
        shares = [
            100 * find_share(prepared, to_pictures(shown[:, :, 0]), clothes_parser, clip, of=name)
            for shown in (frames, decoded.clamp(0, 1))
        ]
        print(f"   {name}: {shares[0]:.0f} %, after the autoencoder {shares[1]:.0f} %", flush=True)


@torch.inference_mode()
def main(arguments: list[str] | None = None) -> None:
    """Read the command line, print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("assets/embedded/clip"))
    parser.add_argument("--scenes", type=int, default=COMPANIONS, help="frames of each")
    parser.add_argument("--vae", type=Path, default=EMBEDDED / "vae")
    parser.add_argument("--cache", type=Path, default=Path(".train/perception"))
    options = parser.parse_args(arguments)
    model = CLIPModel.from_pretrained(options.folder, dtype=torch.float32).eval()
    processor = AutoImageProcessor.from_pretrained(options.folder)
    tokenizer = CLIPTokenizer.from_pretrained(options.folder)

    def embed(frames: Tensor) -> Tensor:
        inputs = processor(list((frames * 255).round().byte()), return_tensors="pt")
        return F.normalize(model.get_image_features(**inputs).pooler_output, dim=-1)

    first, last = scene_pairs(load_pictures(options.cache, "test", TEST_CHUNKS))
    crops = align_faces(last.frames.float() / 255, last.landmarks[:, 0])
    frames, faces = embed(first.frames.float() / 255), embed(crops)
    written = write_chunk_captions("test", TEST_CHUNKS)
    texts = [written[scene] for scene in first.scenes.tolist()]
    tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    captions = F.normalize(model.get_text_features(**tokens).pooler_output, dim=-1)
    print(f"right one first of {CHOICES} (chance {100 / CHOICES:.1f} %), {len(frames)} scenes")
    print(f"   caption of a picture: {100 * first_share(frames, captions):.1f} %")
    print(f"   picture of a caption: {100 * first_share(captions, frames):.1f} %")
    print(f"   picture of a face   : {100 * first_share(faces, frames):.1f} %")
    print(
        f"right one found of {COMPANIONS} (chance {100 / COMPANIONS:.0f} %), {options.scenes} scenes",
        flush=True,
    )
    vae = load_autoencoder(options.vae)
    measure_ceiling(options.folder, vae, options.scenes)


if __name__ == "__main__":
    main()
