"""The transformer's training: the base and every Concat-ID stage are the same step on other data.

    python -m train fit --config train/configs/base.yaml
    python -m train fit --config train/configs/stage1.yaml

Batches come from `train.transformer.latent_data`, which says what they hold. Several processes share the work
by `--trainer.devices 2 --trainer.strategy ddp`, and with it the weights by the strategy
`lightning.pytorch.strategies.ModelParallelStrategy` (FSDP2).
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from diffusers import ModelMixin
from peft import LoraConfig
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase, UMT5EncoderModel

from concat_id import ConcatIDWanPipeline, ConcatIDWanTransformer3DModel
from concat_id.pipelines.pipeline import ConcatIDPipeline
from train.optimizer import MuonModule
from train.text.encoder import encode_text
from train.transformer.attention import PlainAttention
from train.transformer.flow_matching import NUM_TRAIN_TIMESTEPS, interpolate, sample_sigmas, velocity

EMBEDDED_CONFIG: dict[str, Any] = {
    "num_attention_heads": 5,
    "attention_head_dim": 64,
    "num_layers": 8,
    "ffn_dim": 1280,
    "in_channels": 24,
    "out_channels": 24,
    "text_dim": 192,
}

# A noise level at which a picture hardly shows what its caption says.
WORDS_ALONE = 0.95

# What the transformer is told besides the noisy latents: its arguments of these names.
Given = dict[str, Tensor | Collection[int] | None]

# What a LoRA changes: queries, keys, values and outputs of all attentions, and the feed-forward layers.
LORA_TARGETS = r".*\.(to_q|to_k|to_v|to_out\.0|ffn?\.net\.0\.proj|ffn?\.net\.2)"


def build_transformer() -> ConcatIDWanTransformer3DModel:
    """A fresh embedded transformer, 320 wide, 8 blocks, 14 M parameters, without references.

    The output and the time modulation start at zero (adaLN-Zero, Peebles and Xie, 2023).
    """
    transformer = ConcatIDWanTransformer3DModel(**EMBEDDED_CONFIG)
    nn.init.zeros_(transformer.proj_out.weight)
    nn.init.zeros_(transformer.proj_out.bias)
    nn.init.zeros_(transformer.condition_embedder.time_proj.weight)
    nn.init.zeros_(transformer.condition_embedder.time_proj.bias)
    return transformer


def with_reference_adaln(transformer: ConcatIDWanTransformer3DModel) -> ConcatIDWanTransformer3DModel:
    """The same transformer with modulation of the references' own, which starts as a copy of the video's.

    One whose kind has none stays as it is.
    """
    if transformer.config.get("reference_adaln", True):
        return transformer
    grown = ConcatIDWanTransformer3DModel.from_config({**transformer.config, "reference_adaln": True})
    added = set(grown.load_state_dict(transformer.state_dict(), strict=False).missing_keys)
    grown.reference_time_proj.load_state_dict(transformer.condition_embedder.time_proj.state_dict())
    added -= {"reference_time_proj.weight", "reference_time_proj.bias"}
    for index, block in enumerate(grown.blocks):
        block.reference_scale_shift_table.data.copy_(block.scale_shift_table.data)
        added.remove(f"blocks.{index}.reference_scale_shift_table")
    assert not added, f"not initialised: {added}"
    return grown


class ConcatIDTraining(MuonModule):
    """Flow matching on latents, with independent dropout of the text and of the references.

    Args:
        init_from: diffusers folder to start from; default: a fresh transformer.
        text: folder of `python -m train.export text` whose tokenizer and text encoder to take, not those of
            `init_from`.
        references: append reference latents (stages I to III); otherwise plain text-to-video (base).
        train_text_encoder: whether the text encoder, which has learned before, goes on learning.
        shift, logit_normal: how noise levels are drawn, see `flow_matching.sample_sigmas`.
        text_dropout, reference_dropout: shares of the samples without text, without references.
        face_weight: how much more a latent cell that is all face counts.
        retake_weight: how much more the part of an error counts in which retakes of a scene differ.
        lora_rank: train a LoRA of this rank on the frozen weights instead of the weights themselves.
        with_text_encoder: whether to load the text encoder; needless where batches bring `prompt_embeds`.
        gradient_checkpointing: compute each block's activations again in the backward pass, to spare memory.
        muon: see `MuonModule`.
    """

    pipeline_class: type[ConcatIDPipeline] = ConcatIDWanPipeline

    def __init__(
        self,
        init_from: str | None = None,
        text: str | None = None,
        references: bool = True,
        train_text_encoder: bool = False,
        lr: float = 2e-3,
        warmup_steps: int = 100,
        decay_steps: int = 2000,
        shift: float = 2.0,
        logit_normal: bool = True,
        text_dropout: float = 0.1,
        reference_dropout: float = 0.1,
        face_weight: float = 1.5,
        retake_weight: float = 10.0,
        lora_rank: int | None = None,
        with_text_encoder: bool = True,
        gradient_checkpointing: bool = False,
        muon: bool = True,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.transformer = self.load_transformer(init_from)
        if references:
            self.transformer = with_reference_adaln(self.transformer)
        if gradient_checkpointing:
            self.transformer.enable_gradient_checkpointing()
        if with_text_encoder:
            self.text_encoder, self.tokenizer = self.load_text(init_from, text)
            self.text_encoder.requires_grad_(train_text_encoder)
        if lora_rank is not None:
            self.transformer.requires_grad_(False)
            self.transformer.add_adapter(
                LoraConfig(r=lora_rank, lora_alpha=lora_rank, target_modules=LORA_TARGETS)
            )

    def load_transformer(self, init_from: str | None) -> ModelMixin:
        """What the run starts from, in float32."""
        if init_from is None:
            return build_transformer()
        return ConcatIDWanTransformer3DModel.from_pretrained(Path(init_from) / "transformer").float()

    def load_text(
        self, init_from: str | None, text: str | None
    ) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """Text encoder, in float32, and tokenizer."""
        texts = text or init_from
        if texts is None:
            raise ValueError("text must name the folder of a text encoder where init_from names no model.")
        return (
            UMT5EncoderModel.from_pretrained(Path(texts) / "text_encoder").float(),
            AutoTokenizer.from_pretrained(Path(texts) / "tokenizer"),
        )

    def configure_model(self) -> None:
        """Under `ModelParallelStrategy`, split every block's weights among all processes (FSDP2)."""
        if self.device_mesh is None or isinstance(self.transformer, FSDPModule):
            return
        for part in (*find_blocks(self.transformer), self.transformer):
            fully_shard(part, mesh=self.device_mesh["data_parallel"])

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        torch.manual_seed(batch["seed"])
        count, takes = len(batch["captions"]), batch["takes"]
        # Retakes differ in nothing but their captions: noise, its level and what is dropped are the same.
        scenes = count // takes
        sigmas = self.draw_sigmas(scenes).repeat_interleave(takes)
        keep_text = (torch.rand(scenes) >= self.hparams.text_dropout).repeat_interleave(takes)
        keep_references = (torch.rand(scenes) >= self.hparams.reference_dropout).repeat_interleave(takes)
        noise = torch.randn(scenes, *batch["latents"].shape[1:]).repeat_interleave(takes, 0)
        loss = self.loss(batch, sigmas, noise, keep_text=keep_text, keep_references=keep_references)
        self.log(f"train/loss_{batch['latents'].shape[2]}_frames", loss, prog_bar=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        self.validated: dict[str, tuple[float, int]] = {}  # by figure: its sum, and over how many samples

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        generator = torch.Generator().manual_seed(batch_idx)
        count, takes = len(batch["captions"]), batch["takes"]
        keep = torch.ones(count, dtype=torch.bool)
        scenes = count // takes
        sigmas = self.spread_sigmas(scenes).repeat_interleave(takes)
        noise = torch.randn(scenes, *batch["latents"].shape[1:], generator=generator)
        noise = noise.repeat_interleave(takes, 0)
        losses = {"val/loss": self.loss(batch, sigmas, noise, keep_text=keep, keep_references=keep)}
        losses[f"val/loss_{batch['task']}"] = losses["val/loss"]
        if self.hparams.references:
            blind = self.loss(batch, sigmas, noise, keep_text=keep, keep_references=~keep)
            losses["val/loss_without_reference"] = blind
        if takes > 1:
            losses["val/words_heard"] = self.hear_words(batch, noise)
        for name, value in losses.items():
            total, number = self.validated.get(name, (0.0, 0))
            self.validated[name] = total + count * float(value), number + count

    def on_validation_epoch_end(self) -> None:
        """Log the means over the samples of all processes.

        Which figures there are depends on the batches, and a process sees some of them only; Lightning's own
        reduction waits for those who have the figure.
        """
        everybodys: list[dict[str, tuple[float, int]]] = [self.validated]
        if self.trainer.world_size > 1:
            everybodys = everybodys * self.trainer.world_size
            torch.distributed.all_gather_object(everybodys, self.validated)
        for name in sorted(set().union(*everybodys)):
            totals, numbers = zip(*(own[name] for own in everybodys if name in own), strict=True)
            self.log(name, sum(totals) / sum(numbers), sync_dist=True)

    def draw_sigmas(self, count: int) -> Tensor:
        """Noise levels (count,) to train on."""
        return sample_sigmas(count, shift=self.hparams.shift, logit_normal=self.hparams.logit_normal)

    def spread_sigmas(self, count: int) -> Tensor:
        """Noise levels (count,) to validate on, always the same."""
        return (torch.arange(count) + 0.5) / count

    def loss(
        self,
        batch: dict[str, Any],
        sigmas: Tensor,
        noise: Tensor,
        *,
        keep_text: Tensor,
        keep_references: Tensor,
    ) -> Tensor:
        """Mean squared velocity error, weighted towards faces.

        Args:
            sigmas and both keeps (B,).
        """
        x0 = batch["latents"]
        sigmas, noise = sigmas.to(x0), noise.to(x0)
        keep = batch["reference_mask"] * keep_references.to(x0)[:, None]
        given = {
            "encoder_hidden_states": self.embed_text(batch, keep_text),
            "reference_latents": self.drop_references(batch["reference_latents"], keep),
        }
        noisy = self.interpolate(x0, noise, sigmas)
        target = self.find_target(noisy, sigmas, self.velocity(x0, noise, sigmas), given)
        weight = 1 + self.hparams.face_weight * batch["faces"][:, None]
        errors = self.predict(noisy, sigmas, given) - target
        squares = weigh_retakes(errors, batch["takes"], keep_text, self.hparams.retake_weight).square()
        return (squares * weight).sum() / (weight.sum() * x0.shape[1])

    def hear_words(self, batch: dict[str, Any], noise: Tensor) -> Tensor:
        """How much of the difference between retakes, in faces, the model makes of their captions alone.

        1 is all of it; 0 is none, whatever else the words change. The noise has drowned the pictures.
        """
        takes, faces = batch["takes"], batch["faces"][:, None]
        x0, noise = batch["latents"], noise.to(batch["latents"])
        sigmas, keep = torch.full_like(x0[:, 0, 0, 0, 0], WORDS_ALONE), torch.ones(len(x0), dtype=torch.bool)
        given = {
            "encoder_hidden_states": self.embed_text(batch, keep),
            "reference_latents": self.drop_references(batch["reference_latents"], batch["reference_mask"]),
        }
        true = differ_from_scene(self.velocity(x0, noise, sigmas), takes)
        made = differ_from_scene(self.predict(self.interpolate(x0, noise, sigmas), sigmas, given), takes)
        return (made * true * faces).sum() / (true.square() * faces).sum()

    def interpolate(self, x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
        """The noisy sample at noise levels (B,)."""
        return interpolate(x0, noise, sigmas)

    def velocity(self, x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
        """What the transformer is to predict there."""
        return velocity(x0, noise)

    def timesteps(self, sigmas: Tensor) -> Tensor:
        """What the transformer is told of the noise levels."""
        return sigmas * NUM_TRAIN_TIMESTEPS

    def find_target(self, noisy: Tensor, sigmas: Tensor, straight: Tensor, given: Given) -> Tensor:
        """The velocity to learn, like `noisy`: the one that leads straight to the sample."""
        return straight

    def predict(self, noisy: Tensor, sigmas: Tensor, given: Given) -> Tensor:
        """The transformer's velocity, float32.

        Args:
            noisy (B, C, F, H, W), sigmas (B,).
        """
        # What a block computes again has to be what it computed, and that is done outside of this context.
        with nullcontext() if self.transformer.is_gradient_checkpointing else PlainAttention():
            return self.transformer(noisy, timestep=self.timesteps(sigmas), **given).sample.float()

    def embed_text(self, batch: dict[str, Any], keep: Tensor) -> Tensor:
        """Embeddings (B, L, D): those that the batch brings, or those of its captions; some are dropped."""
        if "prompt_embeds" not in batch:
            if not hasattr(self, "text_encoder"):
                raise ValueError("with_text_encoder is false, but batches bring no prompt_embeds; set it.")
            return self.encode_captions(batch["captions"], keep)
        embeds = batch["prompt_embeds"]
        return torch.where(keep.to(embeds.device)[:, None, None], embeds, batch["negative_prompt_embeds"])

    def encode_captions(self, captions: list[str], keep: Tensor) -> Tensor:
        """Embeddings (B, L, D); a dropped caption is the empty one, as at sampling."""
        texts = [caption if kept else "" for caption, kept in zip(captions, keep.tolist(), strict=True)]
        return encode_text(self.tokenizer, self.text_encoder, texts)

    def drop_references(self, latents: Tensor, keep: Tensor) -> Tensor | None:
        """Reference latents with zeros where there is none or it is dropped; None in the base.

        Args:
            latents: (B, C, R, H, W).
            keep: (B, R), 1 or 0.
        """
        if not self.hparams.references:
            return None
        return latents * keep[:, None, :, None, None]


def weigh_retakes(errors: Tensor, takes: int, keep_text: Tensor, weight: float) -> Tensor:
    """Errors whose squares count the retakes' differences from their scene's mean `weight` times.

    Without their text, retakes cannot be told apart: nothing is weighed.

    Args:
        errors: (B, C, F, H, W), the takes of a scene in a row.
        keep_text: (B,) bool.
    """
    own = differ_from_scene(errors, takes)
    factors = torch.where(keep_text, weight**0.5, 1.0).to(errors).view(-1, 1, 1, 1, 1)
    return errors - own + factors * own


def differ_from_scene(values: Tensor, takes: int) -> Tensor:
    """What takes (B, ...) have of their own, less the mean of their scene's."""
    return values - values.unflatten(0, (-1, takes)).mean(1).repeat_interleave(takes, 0)


def find_blocks(transformer: ModelMixin) -> list[nn.Module]:
    """The blocks of a transformer, which are the largest of its parts that are used one after another."""
    names = set(transformer._no_split_modules)
    return [module for module in transformer.modules() if type(module).__name__ in names]
