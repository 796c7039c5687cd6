"""Latents of rendered footage, stored once so that the transformer's training does not render or encode.

    python -m train.latents --vae .train/vae --output .train/latents/clips --clips 4000
    python -m train.latents --vae .train/vae --output .train/latents/stills --clips 20000 --frames 1

A shard is one safetensors file: `latents` (N, C, F, H, W) and `references` (N, K, C, H, W), normalised
float16; `faces` (N, F, H, W), the share of each cell that is face, uint8 of 255; the captions as JSON in its
metadata. A shard that is there is not made again, so that the command can be interrupted and prolonged.
"""

import argparse
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Generator, Tensor
from torch.utils.data import DataLoader, IterableDataset

from train.causal_convolution import skip_empty_frames
from train.people import Scenes, Split, render, sample_scenes, write_captions
from train.reference_pictures import add_reference_noise, prepare_references

logger = logging.getLogger(__name__)

SIZE = 128
REFERENCE_RENDER_SIZE = 192
"""Footage does not have pixels; a face is cut from a sharper rendering of the same moment."""
SHARD_CLIPS = 200
CHUNK_FRAMES = 170
"""Rendered at once; more do not fit the cache, fewer waste calls."""


def load_autoencoder(folder: Path, device: str = "cpu") -> AutoencoderKLWan:
    """The trained autoencoder, frozen."""
    vae = AutoencoderKLWan.from_pretrained(folder).to(device).eval().requires_grad_(False)
    skip_empty_frames(vae)
    return vae


def encode(vae: AutoencoderKLWan, video: Tensor) -> Tensor:
    """Normalised latents, the posterior's mode. Args: video (B, 3, T, H, W) in [-1, 1]."""
    mean = torch.tensor(vae.config.latents_mean, device=video.device).view(1, -1, 1, 1, 1)
    std = torch.tensor(vae.config.latents_std, device=video.device).view(1, -1, 1, 1, 1)
    return (vae.encode(video).latent_dist.mode() - mean) / std


def pool_faces(masks: Tensor, num_latent_frames: int, cell: int) -> Tensor:
    """Face masks (B, T, H, W) as the share of each latent cell, (B, F, H / cell, W / cell) in [0, 1]."""
    first = F.avg_pool2d(masks[:, :1].float(), cell)
    if num_latent_frames == 1:
        return first
    rest = F.avg_pool3d(masks[:, None, 1:].float(), (4, cell, cell))[:, 0]
    return torch.cat([first, rest], dim=1)


def encode_references(vae: AutoencoderKLWan, scenes: Scenes, count: int, generator: Generator) -> Tensor:
    """Reference latents (B, count, C, H, W), each from a random moment of the same clip."""
    latents = []
    for _ in range(count):
        moment = torch.randint(scenes.num_frames, (len(scenes),), generator=generator)
        still = render(scenes.at(moment), REFERENCE_RENDER_SIZE, REFERENCE_RENDER_SIZE)
        pictures = prepare_references(still.frames[:, 0], still.labels[:, 0], still.landmarks[:, 0, 0], SIZE)
        pictures = add_reference_noise(pictures * 2 - 1, generator)
        latents.append(encode(vae, pictures[:, :, None])[:, :, 0])
    return torch.stack(latents, dim=1)


@torch.no_grad()
def make_shard(
    vae: AutoencoderKLWan,
    path: Path,
    *,
    seed: int,
    clips: int,
    frames: int,
    references: int,
    split: Split = "train",
    device: str = "cpu",
) -> None:
    """Render, caption and encode one shard, and write it in one piece."""
    generator = torch.Generator().manual_seed(seed)
    parts: dict[str, list[Tensor]] = {"latents": [], "references": [], "faces": []}
    captions: list[str] = []
    with torch.autocast(device, torch.bfloat16):
        chunk = max(1, CHUNK_FRAMES // frames)
        for start in range(0, clips, chunk):
            scenes = sample_scenes(
                seed + start, min(chunk, clips - start), split=split, num_frames=frames, device=device
            )
            rendering = render(scenes, SIZE, SIZE)
            latents = encode(vae, rendering.frames.transpose(1, 2) * 2 - 1)
            parts["latents"].append(latents.half().cpu())
            parts["references"].append(encode_references(vae, scenes, references, generator).half().cpu())
            faces = pool_faces(rendering.face_masks.any(2), latents.shape[2], SIZE // latents.shape[-1])
            parts["faces"].append((faces * 255).byte().cpu())
            captions += write_captions(scenes, seed + start)
    partial = path.with_suffix(".partial")
    save_file(
        {k: torch.cat(v).contiguous() for k, v in parts.items()},
        partial,
        metadata={"captions": json.dumps(captions)},
    )
    partial.rename(path)


@dataclass(frozen=True)
class Source:
    """A folder of shards and how training draws from it.

    Attributes:
        folder: as `python -m train.latents` wrote it.
        batch_size: clips a batch.
        share: how often, relative to the other sources.
    """

    folder: str
    batch_size: int
    share: float = 1.0


class LatentShards:
    """All shards of a folder, in memory."""

    def __init__(self, folder: Path) -> None:
        paths = sorted(Path(folder).glob("*.safetensors"))
        if not paths:
            raise FileNotFoundError(
                f"No latents in {folder}: make them with `python -m train.latents --output {folder}`."
            )
        columns: dict[str, list[Tensor]] = {"latents": [], "references": [], "faces": []}
        self.captions: list[str] = []
        for path in paths:
            with safe_open(path, "pt") as shard:
                for name, column in columns.items():
                    column.append(shard.get_tensor(name))
                self.captions += json.loads(shard.metadata()["captions"])
        self.columns = {name: torch.cat(column) for name, column in columns.items()}

    def __len__(self) -> int:
        return len(self.captions)

    def draw(self, rows: Tensor, generator: Generator) -> dict[str, Tensor | list[str]]:
        """The batch of these rows, each with one of its clip's references, at random (paper, stage I)."""
        references = self.columns["references"]
        chosen = torch.randint(references.shape[1], rows.shape, generator=generator)
        return {
            "latents": self.columns["latents"][rows].float(),
            "reference_latents": references[rows, chosen].float()[:, :, None],
            "faces": self.columns["faces"][rows].float() / 255,
            "captions": [self.captions[row] for row in rows.tolist()],
        }


class LatentBatches(IterableDataset):
    """Endless batches, each from one source, drawn by the sources' shares."""

    def __init__(self, sources: list[Source]) -> None:
        self.sources = sources
        self.shards = [LatentShards(Path(source.folder)) for source in sources]

    def __iter__(self) -> Iterator[dict[str, Tensor | list[str]]]:
        generator = torch.Generator().manual_seed(int(torch.randint(2**40, ())))
        shares = torch.tensor([source.share for source in self.sources])
        while True:
            index = int(torch.multinomial(shares, 1, generator=generator))
            shards = self.shards[index]
            rows = torch.randint(len(shards), (self.sources[index].batch_size,), generator=generator)
            yield shards.draw(rows, generator)


class LatentData(L.LightningDataModule):
    """Stored latents as training batches, and a fixed set of validation batches.

    Args:
        sources: where to draw from.
        validation: a source of the validation split.
    """

    def __init__(self, sources: list[Source], validation: Source) -> None:
        super().__init__()
        self.sources, self.validation = sources, validation

    def train_dataloader(self) -> DataLoader:
        return DataLoader(LatentBatches(self.sources), batch_size=None)

    def val_dataloader(self) -> DataLoader:
        shards = LatentShards(Path(self.validation.folder))
        rows = torch.arange(len(shards)).split(self.validation.batch_size)
        return DataLoader([shards.draw(r, torch.Generator().manual_seed(0)) for r in rows], batch_size=None)


def main() -> None:
    """Make the shards that are missing."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--clips", type=int, required=True)
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--references", type=int, default=3)
    parser.add_argument("--split", choices=("train", "validation", "test"), default="train")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options.output.mkdir(parents=True, exist_ok=True)
    vae = load_autoencoder(options.vae, options.device)
    for index in range(-(-options.clips // SHARD_CLIPS)):
        path = options.output / f"{index:05d}.safetensors"
        if path.exists():
            continue
        make_shard(
            vae,
            path,
            # Stills and clips, and the shards among them, show different people.
            seed=(options.frames * 100_000 + index) * SHARD_CLIPS,
            clips=SHARD_CLIPS,
            frames=options.frames,
            references=options.references,
            split=options.split,
            device=options.device,
        )
        logger.info("%s", path)


if __name__ == "__main__":
    main()
