"""The transformer's training on pools: the same loss as `train.transformer.training`, against the clock.

Every batch is of one task and of as many tokens as any other. The takes of a scene are learned together, with
the same noise, references and dropout: what their captions differ in can be weighed by itself.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import UMT5EncoderModel

from concat_id import ConcatIDWanTransformer3DModel
from concat_id.references.reference import Role
from train.live.pools import GIVENS, TAKES
from train.optimizer import MuonAdamW
from train.precision import autocast
from train.transformer.attention import CompilableProcessor
from train.transformer.flow_matching import NUM_TRAIN_TIMESTEPS, interpolate, sample_sigmas, velocity
from train.transformer.training import weigh_retakes

LOGGER = logging.getLogger(__name__)

TEXT_DROPOUT = REFERENCE_DROPOUT = 0.1
FACE_WEIGHT = 4.0
WATCHED_SIGMAS = (0.95, 0.85, 0.7, 0.5, 0.3, 0.1)
SHARD_BYTES = 15 * 2**20


@dataclass(frozen=True)
class Task:
    """What a batch gives by pictures, and how often it is drawn."""

    roles: tuple[Role, ...]
    share: float

    @property
    def people(self) -> int:
        """In every scene."""
        return self.roles.count("face")

    @property
    def given(self) -> tuple[Role, ...]:
        """By pictures, besides the faces."""
        return tuple(role for role in self.roles if role != "face")


TASKS = (
    Task(("face",), 4.0),
    Task(("face", "garment"), 1.5),
    Task(("face", "background"), 1.0),
    Task(("face", "garment", "background"), 1.0),
    Task(("face", "face"), 2.0),
    Task(("face", "face", "background"), 0.5),
    Task(("face", "face", "face"), 1.5),
)


@dataclass(frozen=True)
class Plan:
    """A run.

    Attributes:
        tokens: of the transformer, references' among them, in every batch.
        lr: the highest; it rises over `warmup_steps` and falls over the last `decay` of the time.
        shift: of half of the noise levels, logit-normal; the other half is uniform.
        take_weight: how much more what takes differ in counts at first; it falls to 1 by half of the time.
        ema: decay of the averaged weights, which are kept.
    """

    tokens: int = 65536
    lr: float = 2.5e-3
    warmup_steps: int = 200
    decay: float = 0.3
    shift: float = 3.0
    take_weight: float = 8.0
    ema: float = 0.998


class LiveTraining:
    """A transformer, its averaged weights and its optimiser, and the loss on batches of pools.

    Args:
        compiled: compile the blocks, which pays after a few hundred steps.
    """

    def __init__(
        self,
        transformer: ConcatIDWanTransformer3DModel,
        text_encoder: UMT5EncoderModel,
        plan: Plan,
        *,
        compiled: bool = True,
    ) -> None:
        self.transformer, self.text_encoder, self.plan = transformer, text_encoder, plan
        self.device = transformer.device
        self.optimizer = MuonAdamW(transformer.parameters(), lr=plan.lr)
        self.parameters = [p for p in transformer.parameters() if p.requires_grad]
        self.average = [p.detach().clone() for p in self.parameters]
        self.steps = self.samples = 0
        transformer.set_attn_processor(CompilableProcessor())
        for block in transformer.blocks if compiled else ():
            block.compile(dynamic=True)  # once for stills, clips and all numbers of references

    def step(self, pool: dict[str, Tensor], people: dict[str, Tensor], task: Task, done: float) -> Tensor:
        """One update.

        Args:
            done: share of the time that is over, [0, 1].
        """
        batch = self.draw(pool, people, task)
        scenes = len(batch["latents"]) // TAKES
        logit_normal = sample_sigmas(scenes, shift=self.plan.shift, logit_normal=True)
        sigmas = torch.where(torch.rand(scenes) < 0.5, torch.rand(scenes), logit_normal).to(self.device)
        keep_text = torch.rand(scenes, device=self.device) >= TEXT_DROPOUT
        keep_references = torch.rand(scenes, device=self.device) >= REFERENCE_DROPOUT
        take_weight = 1 + (self.plan.take_weight - 1) * max(0.0, 1 - 2 * done)
        errors = self.errors(batch, sigmas, keep_text=keep_text, keep_references=keep_references)
        errors = weigh_retakes(errors, TAKES, keep_text.repeat_interleave(TAKES), take_weight)
        weight = 1 + FACE_WEIGHT * batch["faces"][:, None]
        loss = (errors.square() * weight).sum() / (weight.sum() * errors.shape[1])
        loss.backward()
        rising = min(1.0, (self.steps + 1) / self.plan.warmup_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.lr * rising * min(1.0, max(0.01, (1 - done) / self.plan.decay))
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.steps += 1
        self.samples += len(batch["latents"])
        decay = min(self.plan.ema, self.steps / (self.steps + 10))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - decay)
        return loss.detach()

    def errors(
        self, batch: dict[str, Tensor], sigmas: Tensor, *, keep_text: Tensor, keep_references: Tensor
    ) -> Tensor:
        """Velocity errors, like the latents.

        Args:
            sigmas: noise level of each scene, (S,).
            keep_text, keep_references: whether each scene has them, (S,) bool.
        """
        x0 = batch["latents"]
        sigmas, keep_text, keep_references = (
            values.repeat_interleave(TAKES) for values in (sigmas, keep_text, keep_references)
        )
        noise = torch.randn_like(x0[::TAKES]).repeat_interleave(TAKES, 0)
        tokens = torch.where(keep_text[:, None], batch["tokens"], self.empty_tokens)
        mask = batch["reference_mask"] * keep_references[:, None]
        with autocast(self.device.type):
            prediction = self.transformer(
                interpolate(x0, noise, sigmas),
                timestep=sigmas * NUM_TRAIN_TIMESTEPS,
                encoder_hidden_states=self.embed(tokens),
                reference_latents=batch["reference_latents"] * mask[:, None, :, None, None],
            ).sample
        return prediction.float() - velocity(x0, noise)

    @property
    def empty_tokens(self) -> Tensor:
        """Those of an empty caption: its end, and nothing else."""
        empty = torch.zeros(1, 64, dtype=torch.long, device=self.device)
        empty[:, 0] = self.text_encoder.config.eos_token_id
        return empty

    @torch.no_grad()
    def embed(self, tokens: Tensor) -> Tensor:
        """Embeddings (B, N, D) of tokens (B, N), zero behind each caption's end."""
        mask = tokens != self.text_encoder.config.pad_token_id
        return self.text_encoder(tokens, attention_mask=mask.long()).last_hidden_state * mask[..., None]

    def draw(self, pool: dict[str, Tensor], people: dict[str, Tensor], task: Task) -> dict[str, Tensor]:
        """A batch of both takes of some scenes, as in `train.transformer.latent_data`, but tokens."""
        latents = pool["latents"]
        frames, height, width = latents.shape[3:]
        tokens = (frames + len(task.roles)) * (height // 2) * (width // 2)
        scenes = self.plan.tokens // tokens // TAKES
        rows = torch.randint(len(latents), (scenes,), device=self.device)
        pictures, masks = [], []
        for person in range(task.people):
            chosen = pool["people"][rows, person]
            usable = people["usable"][chosen]
            pictures.append(people["pictures"][chosen, torch.multinomial(usable.float(), 1)[:, 0]])
            masks.append(usable.any(1))
        for role in task.given:
            every = torch.arange(scenes, device=self.device)
            column = pool[f"{role}s"][rows]
            number = torch.randint(column.shape[1], (scenes,), device=self.device)
            pictures.append(column[every, number])
            found = (
                pool["are_garments"][rows] if role == "garment" else torch.ones_like(column[:, :, 0, 0, 0])
            )
            masks.append(found[every, number].bool())
        given = GIVENS[task.people].index(task.given)
        return {
            "latents": latents[rows].flatten(0, 1).float(),
            "faces": pool["faces"][rows].flatten(0, 1).float() / 255,
            "tokens": pool["tokens"][rows][:, :, given].flatten(0, 1).long(),
            "reference_latents": torch.stack(pictures, 2).float().repeat_interleave(TAKES, 0),
            "reference_mask": torch.stack(masks, 1).float().repeat_interleave(TAKES, 0),
        }

    def watch(self, pool: dict[str, Tensor], people: dict[str, Tensor], task: Task) -> dict[str, float]:
        """Mean squared errors in faces by noise level, on one fixed batch; gradients stay as they are."""
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(0)
            batch = self.draw(pool, people, task)
            scenes = len(batch["latents"]) // TAKES
            sigmas = torch.tensor(WATCHED_SIGMAS, device=self.device).repeat(
                -(-scenes // len(WATCHED_SIGMAS))
            )
            keep = torch.ones(scenes, dtype=torch.bool, device=self.device)
            # With gradients: without them the blocks would be compiled once more.
            errors = self.errors(batch, sigmas[:scenes], keep_text=keep, keep_references=keep).detach()
        faces = batch["faces"][:, None]
        by_sample = (errors.square() * faces).sum((1, 2, 3, 4)) / (
            faces.sum((1, 2, 3, 4)) * errors.shape[1]
        ).clamp(min=1)
        levels = sigmas[:scenes].repeat_interleave(TAKES)
        return {f"{s:g}": round(by_sample[levels == s].mean().item(), 4) for s in WATCHED_SIGMAS[:scenes]}

    def save(self, folder: Path) -> None:
        """Write the averaged weights, in shards of bearable size, and the model's configuration."""
        folder.mkdir(parents=True, exist_ok=True)
        names = [name for name, p in self.transformer.named_parameters() if p.requires_grad]
        shards: list[dict[str, Tensor]] = [{}]
        size = 0
        for name, value in zip(names, self.average, strict=True):
            if size + value.nbytes > SHARD_BYTES:
                shards.append({})
                size = 0
            shards[-1][name.replace("_orig_mod.", "")] = value.cpu().contiguous()
            size += value.nbytes
        for number, shard in enumerate(shards):
            save_file(shard, folder / f"weights-{number}.safetensors")
        (folder / "config.json").write_text(json.dumps(dict(self.transformer.config), default=str))


def load_weights(folder: Path) -> dict[str, Tensor]:
    """The state of a transformer on the CPU, as `LiveTraining.save` wrote it, or of a pipeline's folder."""
    if (folder / "transformer").is_dir():
        return ConcatIDWanTransformer3DModel.from_pretrained(folder / "transformer").float().state_dict()
    weights: dict[str, Tensor] = {}
    for shard in sorted(folder.glob("weights-*.safetensors")):
        weights |= load_file(shard)
    return weights


class Clock:
    """Seconds since the run began, and which share of a stretch of them is over."""

    def __init__(self, total: float) -> None:
        self.total, self.began = total, time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.began

    @property
    def done(self) -> float:
        """Share of the whole run that is over."""
        return self.seconds / self.total
