"""Training batches from a curated dataset: clips and references of a stage, encoded as they are drawn.

    python -m train fit --config train/configs/footage.yaml

A batch holds what the transformer's training takes (`train.transformer.latent_data`): `latents` (B, C, F, H,
W), `reference_latents` (B, C, R, H, W), `reference_mask` (B, R), `faces` (B, F, H, W) of zeros, for footage
has no masks of all its frames, `captions`, `task`, and `takes`, 1. Clips of one batch show equally many
people.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import torch
from diffusers import AutoencoderKLWan
from torch import Generator
from torch.utils.data import DataLoader, IterableDataset

from concat_id.models.autoencoder_wan import speed_up
from train.curation.mining import PairKind
from train.curation.training_clips import Example, Format, decode_clip, load_reference, read_examples
from train.footage.latents import encode
from train.pictures.reference_pictures import add_reference_noise

ENCODED_AT_ONCE = 16


def load_vae(folder: Path) -> AutoencoderKLWan:
    """The autoencoder, frozen, at its own size."""
    vae = AutoencoderKLWan.from_pretrained(folder, dtype=torch.float32)
    speed_up(vae)
    return vae.eval().requires_grad_(False)


class PairBatches(IterableDataset):
    """Endless batches of clips with as many people each, encoded by the autoencoder."""

    def __init__(self, module: PairsDataModule) -> None:
        self.module, self.vae = module, load_vae(module.vae)
        self.groups: dict[int, list[Example]] = defaultdict(list)
        for example in read_examples(module.dataset, module.pairs, module.shape):
            self.groups[len(example.references)].append(example)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        generator = torch.Generator().manual_seed(int(torch.randint(2**40, ())))
        counts = sorted(self.groups)
        shares = torch.tensor([float(len(self.groups[count])) for count in counts])
        while True:
            group = self.groups[counts[int(torch.multinomial(shares, 1, generator=generator))]]
            numbers = torch.randint(len(group), (self.module.batch_size,), generator=generator)
            yield self.draw([group[number] for number in numbers.tolist()], generator)

    @torch.no_grad()
    def draw(self, examples: list[Example], generator: Generator) -> dict[str, Any]:
        """The batch of these clips, for each person one reference at random, zeros where there is none."""
        shape, dataset = self.module.shape, self.module.dataset
        offsets = torch.rand(len(examples), generator=generator).tolist()
        videos = [
            decode_clip(example, shape, offset) for example, offset in zip(examples, offsets, strict=True)
        ]
        blank = torch.full((3, shape.height, shape.width), -1.0)
        pictures, mask = [], []
        for example in examples:
            for own in example.references:
                number = int(torch.randint(max(1, len(own)), (), generator=generator))
                pictures.append(load_reference(dataset, *own[number], shape) if own else blank)
                mask.append(float(bool(own)))
        noisy = add_reference_noise(torch.stack(pictures), generator)
        stills = noisy[:, :, None].split(ENCODED_AT_ONCE)
        references = torch.cat([encode(self.vae, part) for part in stills])[:, :, 0]
        latents = encode(self.vae, torch.stack(videos))
        people = len(examples[0].references)
        return {
            "latents": latents.float(),
            "reference_latents": references.float().unflatten(0, (len(examples), people)).transpose(1, 2),
            "reference_mask": torch.tensor(mask).view(len(examples), people),
            "faces": torch.zeros(len(examples), *latents.shape[2:]),
            "captions": [example.caption for example in examples],
            "task": "+".join(["face"] * people),
            "takes": 1,
        }


class PairsDataModule(L.LightningDataModule):
    """Batches of a curated dataset, encoded as they are drawn.

    Args:
        dataset: as `python -m train.curation run` made it.
        vae: folder of the autoencoder.
        pairs: where the references come from: pre_training for stage I, cross_video for stage II,
            cross_video_strict for several people, trade_off for stage III.
        batch_size: clips a batch.
        shape: what the model takes.
        validation_batches: fixed batches, drawn from the same clips.
    """

    def __init__(
        self,
        dataset: str,
        vae: str,
        pairs: PairKind = "pre_training",
        batch_size: int = 4,
        shape: Format = Format(),  # noqa: B008, it is frozen
        validation_batches: int = 1,
    ) -> None:
        super().__init__()
        self.dataset, self.vae, self.pairs = Path(dataset), Path(vae), pairs
        self.batch_size, self.shape, self.validation_batches = batch_size, shape, validation_batches

    def train_dataloader(self) -> DataLoader:
        return DataLoader(PairBatches(self), batch_size=None)

    def val_dataloader(self) -> DataLoader:
        batches = PairBatches(self)
        group = max(batches.groups.values(), key=len)
        starts = range(0, len(group), self.batch_size)[: self.validation_batches]
        drawn = [
            batches.draw(group[start : start + self.batch_size], torch.Generator().manual_seed(start))
            for start in starts
        ]
        return DataLoader(drawn, batch_size=None)
