"""What a model's autoencoder and text encoder make of a curated dataset: of clips, references and captions.

Everything here depends on its arguments alone, so that what was encoded before training and what is encoded
in the step are the same. Axes: C latent channels, F latent frames, h, w latent size, L tokens, D width.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Generator, Tensor

import concat_id
from concat_id.errors import InputError
from concat_id.loading.devices import choose_precision
from concat_id.loading.presets import PIPELINES, Backbone
from concat_id.models.autoencoder_wan import speed_up
from concat_id.pipelines.latents import latent_statistics
from train.curation.sources import fingerprint
from train.curation.training_clips import Format, Span, decode_clip, load_reference
from train.pictures.reference_pictures import add_reference_noise

Kind = Literal["clips", "references", "captions"]
# Multiples of it, less their whole part, are spread evenly, however many there are.
GOLDEN_RATIO = 0.618034


class UnknownModel(InputError):
    """A folder holds no pipeline of ours."""


@dataclass(frozen=True)
class ClipVersion:
    """A part of a curated clip that is as long as the model takes.

    Args:
        version: which part, from 0.
    """

    span: Span
    version: int

    kind = "clips"

    @property
    def offset(self) -> float:
        """Where it begins, from 0, the curated clip's start, to 1, as late as it can."""
        return (0.5 + self.version * GOLDEN_RATIO) % 1

    @property
    def key(self) -> str:
        return _digest(self.span.clip, self.span.start_s, self.span.end_s, self.version)


@dataclass(frozen=True)
class ReferenceVersion:
    """A stored reference under noise.

    Attributes:
        picture, mask: paths below the dataset's folder; no mask: all of the crop is shown.
        version: which noise, from 0.
    """

    picture: str
    mask: str | None
    version: int

    kind = "references"

    @property
    def key(self) -> str:
        return _digest(*astuple(self))


@dataclass(frozen=True)
class Caption:
    """A clip's caption; the empty one is what a dropped caption becomes."""

    text: str

    kind = "captions"

    @property
    def key(self) -> str:
        return _digest(self.text)


Item = ClipVersion | ReferenceVersion | Caption


class Encoder:
    """The autoencoder and the text encoder of a pipeline's folder.

    Args:
        model: a diffusers folder on Wan or CogVideoX; its transformer is not loaded.
        dataset: that the references' paths are below.
        shape: what the model takes.
        device: where it runs.

    Raises:
        UnknownModel: there is no such folder, or it holds something else.
    """

    def __init__(self, model: Path, dataset: Path, shape: Format, *, device: str = "cpu") -> None:
        self.dataset, self.shape = dataset, shape
        backbone = find_backbone(model)
        precision = choose_precision(device, backbone)
        self.pipeline = getattr(concat_id, PIPELINES[backbone]).from_pretrained(
            model,
            transformer=None,
            dtype={"text_encoder": precision.text_encoder, "vae": precision.autoencoder},
        )
        self.pipeline.to(device)
        if device == "cpu":
            speed_up(self.pipeline.vae)
        config = json.loads((model / "transformer/config.json").read_text(encoding="utf-8"))
        self.num_tokens: int | None = config.get("max_text_seq_length")

    def encode(self, item: Item) -> Tensor:
        """What an item becomes, on the CPU.

        Returns:
            Normalised latents, float16: (C, F, h, w) of a clip, (C, h, w) of a reference; or a caption's
            embeddings (L, D), bfloat16.
        """
        match item:
            case ClipVersion():
                return self._encode_frames(decode_clip(item.span, self.shape, item.offset))
            case ReferenceVersion():
                picture = load_reference(self.dataset, item.picture, item.mask, self.shape)
                noise = Generator().manual_seed(int(item.key[:15], 16))
                return self._encode_frames(add_reference_noise(picture[None], noise)[0][:, None])[:, 0]
            case Caption():
                embeds = self.pipeline.encode_prompt(item.text, self.num_tokens)
                if not item.text:
                    embeds = self.pipeline.encode_negative_prompt([""], embeds, self.num_tokens)
                return embeds[0].bfloat16().cpu()

    @torch.inference_mode()
    def _encode_frames(self, frames: Tensor) -> Tensor:
        """Frames (3, T, H, W) in [-1, 1] as the pipeline's normalised latents, (C, F, h, w)."""
        vae = self.pipeline.vae
        latents = vae.encode(frames[None].to(vae.device, vae.dtype)).latent_dist.mode().float()
        mean, std = latent_statistics(vae, latents)
        return ((latents - mean) / std)[0].half().cpu()


def find_backbone(model: Path) -> Backbone:
    """Of a pipeline's folder. Raises: UnknownModel."""
    try:
        name = json.loads((model / "model_index.json").read_text(encoding="utf-8"))["_class_name"]
    except (OSError, ValueError, KeyError) as error:
        raise UnknownModel(
            f"'{model}' is no pipeline's folder; `python -m concat_id convert` writes one."
        ) from error
    name = name[-1] if isinstance(name, list) else name
    for backbone, pipeline in PIPELINES.items():
        if name == pipeline:
            return backbone
    raise UnknownModel(
        f"'{model}' holds a {name}; Concat-ID is trained on {' or '.join(PIPELINES.values())}."
    )


def tag_encodings(model: Path, shape: Format) -> dict[Kind, str]:
    """By kind of item, eight hex digits that change with what it is encoded by.

    Args:
        model: see `Encoder`. Its weights are told by their size, beginning and end.
    """
    backbone = find_backbone(model)
    pixels = [_identify(model / "vae"), shape.height, shape.width]
    words = [_identify(model / part) for part in ("text_encoder", "tokenizer")]
    depends = {
        "clips": [*pixels, shape.num_frames, shape.fps],
        "references": pixels,
        "captions": [backbone, *words],
    }
    return {kind: _digest(*values)[:8] for kind, values in depends.items()}


def _identify(folder: Path) -> str:
    """What tells a component's files from others."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return _digest(*[(path.name, fingerprint(str(path))) for path in files])


def _digest(*values: object) -> str:
    """Thirty-two hex digits."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:32]
