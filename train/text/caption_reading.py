"""The embedded text encoder's own training: what a caption says can be read from the mean of its embeddings.

    python -m train.text.encoder --output .train/text/tokenizer
    python -m train fit --config train/configs/text_encoder.yaml

Large text-to-video models come with a text encoder that knows what words mean; this gives the small one the
same start. Ways to say the same thing end up side by side, and the transformer's cross-attention finds them
before it has learned where to look: without it, 5,000 steps did not teach it that a mouth laughs.

A batch holds `captions`, B strings, and under every topic category numbers (B, 3) of the people from left to
right, -1 where there is none; of the place, the first column alone is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset
from transformers import AutoTokenizer

from concat_id.people import (
    COLORS,
    EXPRESSIONS,
    GARMENTS,
    MOTIONS,
    PATTERNS,
    PLACES,
    Given,
    Scenes,
    Split,
    sample_scenes,
    write_captions,
)
from train.optimizer import MuonModule
from train.text.encoder import build_text_encoder, embed_tokens, tokenize

MOST_PEOPLE = 3
# One more for what a picture gives.
TOPICS: dict[str, int] = {
    "expression": len(EXPRESSIONS),
    "motion": len(MOTIONS),
    "garment": len(GARMENTS) + 1,
    "pattern": len(PATTERNS) + 1,
    "color": len(COLORS) + 1,
    "second_color": len(COLORS) + 1,
    "feminine": 2,
    "place": len(PLACES) + 1,
}
Batch = dict[str, Any]


class CaptionReading(MuonModule):
    """Classification of all topics, person by person, from the mean over the tokens.

    What a caption leaves unsaid costs its entropy and teaches nothing.
    """

    def __init__(
        self,
        tokenizer: str = ".train/text/tokenizer",
        lr: float = 2e-3,
        warmup_steps: int = 50,
        decay_steps: int = 800,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.tokenizer = AutoTokenizer.from_pretrained(tokenizer)
        self.text_encoder = build_text_encoder()
        width = self.text_encoder.config.d_model
        self.heads = nn.ModuleDict(
            {topic: nn.Linear(width, MOST_PEOPLE * count) for topic, count in TOPICS.items()}
        )

    def read(self, captions: list[str]) -> dict[str, Tensor]:
        """Logits (B, categories, 3) by topic."""
        tokens = tokenize(self.tokenizer, captions).to(self.device)
        hidden = embed_tokens(self.text_encoder, tokens)
        mean = hidden.sum(1) / tokens.attention_mask.sum(1, keepdim=True)
        return {topic: head(mean).unflatten(1, (-1, MOST_PEOPLE)) for topic, head in self.heads.items()}

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        logits = self.read(batch["captions"])
        losses = {topic: F.cross_entropy(logits[topic], batch[topic], ignore_index=-1) for topic in TOPICS}
        loss = torch.stack(list(losses.values())).sum()
        self.log_dict({"train/loss": loss, **{f"train/{k}": v for k, v in losses.items()}}, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        logits = self.read(batch["captions"])
        for topic in TOPICS:
            known = batch[topic] >= 0
            right = (logits[topic].argmax(1) == batch[topic])[known].float().mean()
            self.log(f"val/{topic}", right, batch_size=len(batch["captions"]))


def take_captions(seed: int, count: int, num_people: int, given: tuple[Given, ...], split: Split) -> Batch:
    """Captions of fresh scenes and what they say."""
    scenes = sample_scenes(seed, count, split=split, num_people=num_people, num_frames=1)
    batch: Batch = {"captions": write_captions(scenes, seed, given)}
    for topic, numbers in _truth(scenes, given).items():
        batch[topic] = F.pad(numbers.long(), (0, MOST_PEOPLE - numbers.shape[1]), value=-1)
    return batch


def _truth(scenes: Scenes, given: tuple[Given, ...]) -> dict[str, Tensor]:
    """Category numbers (B, P) by topic; of the place (B, 1)."""
    outfit = scenes.outfit
    truth = {
        "expression": scenes.expression,
        "motion": scenes.motion,
        "garment": outfit.garment,
        "pattern": outfit.pattern,
        "color": outfit.color,
        "second_color": outfit.second_color,
        "feminine": scenes.identity.feminine > 0.5,
        "place": scenes.place[:, None],
    }
    by_picture = {"garment": ("garment", "pattern", "color", "second_color"), "background": ("place",)}
    for role in given:
        for topic in by_picture[role]:
            truth[topic] = torch.full_like(truth[topic], TOPICS[topic] - 1)
    return truth


class Captions(IterableDataset):
    """Endless batches of captions of one to three people, with and without given pictures."""

    kinds: tuple[tuple[int, tuple[Given, ...]], ...] = (
        (1, ()), (1, ()), (1, ()), (1, ("garment",)), (1, ("background",)), (1, ("garment", "background")),
        (2, ()), (2, ()), (2, ("background",)), (3, ()), (3, ()),
    )  # fmt: skip

    def __init__(self, batch_size: int, split: Split) -> None:
        self.batch_size, self.split = batch_size, split

    def __iter__(self) -> Iterator[Batch]:
        seed = int(torch.randint(2**30, ()))
        while True:
            for num_people, given in self.kinds:
                yield take_captions(seed, self.batch_size, num_people, given, self.split)
                seed += 1


class CaptionData(L.LightningDataModule):
    """Captions of scenes that nobody renders, and some of the validation split."""

    def __init__(self, batch_size: int = 128) -> None:
        super().__init__()
        self.batch_size = batch_size

    def train_dataloader(self) -> DataLoader:
        return DataLoader(Captions(self.batch_size, "train"), batch_size=None)

    def val_dataloader(self) -> DataLoader:
        batches = [
            take_captions(number, self.batch_size, num_people, given, "validation")
            for number, (num_people, given) in enumerate(Captions.kinds)
        ]
        return DataLoader(batches, batch_size=None)
