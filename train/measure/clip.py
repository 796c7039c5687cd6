"""How well the small CLIP matches pictures and captions it has never seen.

    python -m train.measure.clip [--folder assets/embedded/clip]

Of 64 choices from the test split: how often the right caption of a picture, the right picture of a caption,
and the right picture of a face from another moment come first.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoImageProcessor, CLIPModel, CLIPTokenizer

from train.alignment import align_faces
from train.picture_cache import Pictures, load_pictures, write_chunk_captions

CHOICES = 64
TEST_CHUNKS = 2


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


@torch.inference_mode()
def main(arguments: list[str] | None = None) -> None:
    """Read the command line, print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("assets/embedded/clip"))
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


if __name__ == "__main__":
    main()
