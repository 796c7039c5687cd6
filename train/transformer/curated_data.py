"""Training batches from a curated dataset: clips, references and captions of a stage.

    python -m train fit --config train/configs/footage.yaml

They are read where `python -m train.curation encode` has stored them, and else encoded as they are drawn;
the batches are the same. A batch holds what the transformer's training takes
(`train.transformer.latent_data`): `latents` (B, C, F, H, W), `reference_latents` (B, C, R, H, W),
`reference_mask` (B, R), `faces` (B, F, H, W) of zeros, for footage has no masks of all its frames,
`captions`, `task`, and `takes`, 1; and in place of the captions the text encoder's `prompt_embeds` (B, L, D),
with `negative_prompt_embeds` (B, L, D) for those that are dropped. Clips of one batch show equally many
people.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, IterableDataset

from train.curation.encoder import Caption, ClipVersion, Encoder, ReferenceVersion, tag_encodings
from train.curation.encoding import list_items
from train.curation.encodings import Encodings
from train.curation.mining import PairKind
from train.curation.training_clips import Example, Format, read_examples
from train.transformer.draws import batch_generators, draw_seed

LOGGER = logging.getLogger(__name__)


class PairBatches(IterableDataset):
    """Endless batches of clips with as many people each.

    Args:
        module: what to draw from.
        device: where is encoded what was not before.
    """

    def __init__(self, module: PairsDataModule, device: str = "cpu") -> None:
        self.module = module
        self.groups: dict[int, list[Example]] = defaultdict(list)
        examples = read_examples(module.dataset, module.pairs, module.shape)
        for example in examples:
            self.groups[len(example.references)].append(example)
        stored = Encodings(module.dataset, tag_encodings(module.model, module.shape))
        if stored.has(list_items(examples, module.versions)):
            self.encoder: Encodings | Encoder = stored
        else:
            LOGGER.warning(
                "'%s' is not encoded for this model, shape and number of versions: every step does so. "
                "`python -m train.curation encode` does it once.",
                module.dataset,
            )
            self.encoder = Encoder(module.model, module.dataset, module.shape, device=device)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        counts = sorted(self.groups)
        shares = torch.tensor([float(len(self.groups[count])) for count in counts])
        for generator in batch_generators(self.module.trainer):
            group = self.groups[counts[int(torch.multinomial(shares, 1, generator=generator))]]
            numbers = torch.randint(len(group), (self.module.batch_size,), generator=generator)
            batch = self.draw([group[number] for number in numbers.tolist()], generator)
            yield batch | {"seed": draw_seed(generator)}

    def draw(self, examples: list[Example], generator: Generator) -> dict[str, Any]:
        """The batch of these clips, for each person one reference at random, zeros where there is none."""

        def choose(count: int) -> int:
            return int(torch.randint(count, (), generator=generator))

        encode, versions = self.encoder.encode, self.module.versions
        latents = torch.stack(
            [encode(ClipVersion(example.span, choose(versions))) for example in examples]
        ).float()
        blank = torch.zeros_like(latents[0, :, 0])
        references: list[Tensor] = []
        for own in (own for example in examples for own in example.references):
            if own:
                picture = own[choose(len(own))]
                references.append(encode(ReferenceVersion(*picture, choose(versions))).float())
            else:
                references.append(blank)
        mask = [[float(bool(own)) for own in example.references] for example in examples]
        captions = [example.caption for example in examples]
        people = len(examples[0].references)
        return {
            "latents": latents,
            "reference_latents": torch.stack(references).unflatten(0, (-1, people)).transpose(1, 2),
            "reference_mask": torch.tensor(mask),
            "faces": torch.zeros(len(examples), *latents.shape[2:]),
            "captions": captions,
            "prompt_embeds": torch.stack([encode(Caption(caption)) for caption in captions]).float(),
            "negative_prompt_embeds": torch.stack([encode(Caption(""))] * len(captions)).float(),
            "task": "+".join(["face"] * people),
            "takes": 1,
        }


class PairsDataModule(L.LightningDataModule):
    """Batches of a curated dataset.

    Args:
        dataset: as `python -m train.curation run` made it.
        model: a diffusers folder, whose autoencoder and text encoder say what the batches hold.
        pairs: where the references come from: pre_training for stage I, cross_video for stage II,
            cross_video_strict for several people, trade_off for stage III.
        batch_size: clips a batch.
        shape: what the model takes.
        versions: of each clip, parts that begin elsewhere, and of each reference, under other noise.
        validation_batches: fixed batches, drawn from the same clips.
    """

    def __init__(
        self,
        dataset: str,
        model: str,
        pairs: PairKind = "pre_training",
        batch_size: int = 4,
        shape: Format = Format(),  # noqa: B008, it is frozen
        versions: int = 2,
        validation_batches: int = 1,
    ) -> None:
        super().__init__()
        self.dataset, self.model, self.pairs = Path(dataset), Path(model), pairs
        self.batch_size, self.shape, self.versions = batch_size, shape, versions
        self.validation_batches = validation_batches

    def setup(self, stage: str) -> None:
        self.batches = PairBatches(self, str(self.trainer.strategy.root_device))
        group = max(self.batches.groups.values(), key=len)
        starts = range(0, len(group), self.batch_size)[: self.validation_batches]
        self.validation = [
            self.batches.draw(group[start : start + self.batch_size], torch.Generator().manual_seed(start))
            for start in starts
        ]

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.batches, batch_size=None)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.validation, batch_size=None)
