"""The small CLIP: pictures of the synthetic people beside their captions, in transformers' `CLIPModel`.

    python -m train fit --config train/configs/clip.yaml         # from scratch
    python -m train fit --config train/configs/clip_again.yaml   # from the embedded one

A batch holds pictures, (B, 3, 64, 64) in [0, 1], and `input_ids`, `attention_mask` (B, L) of captions:
`frames` and `faces` are whole pictures and faces from other moments of the captions' scenes; `garments` and
`worn` the same clothing alone and on people, cut out; `places` and `seen` the same places, without people and
around them.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTokenizer, CLIPVisionConfig

from train.optimizer import MuonModule

# Made of the captions the first time they are read.
TOKENIZER = Path(".train/clip/tokenizer")
INPUT_SIZE = 64
VOCABULARY_SIZE = 2048
MAX_TOKENS = 64
IMAGE_MEAN = (0.5, 0.5, 0.5)
IMAGE_STD = (0.5, 0.5, 0.5)
PICTURES = ("frames", "faces", "garments", "worn", "places", "seen")
CONTRASTS = {
    "frame_caption": ("frames", "captions"),
    "face_caption": ("faces", "captions"),
    "face_frame": ("faces", "frames"),
    "garment": ("worn", "garments"),
    "place": ("seen", "places"),
}
START, END, PAD, WORD_END = "<|startoftext|>", "<|endoftext|>", "<|pad|>", "</w>"


def train_tokenizer(captions: list[str], vocabulary_size: int = VOCABULARY_SIZE) -> CLIPTokenizer:
    """A byte-level tokenizer that knows the captions' words and can spell any other text."""
    blank = CLIPTokenizer().backend_tokenizer
    trained = Tokenizer(BPE(end_of_word_suffix=WORD_END))
    trained.normalizer, trained.pre_tokenizer = blank.normalizer, blank.pre_tokenizer
    # Letters first, inside words and at their ends: what the captions never show can still be spelt.
    letters = sorted(ByteLevel.alphabet())
    words = [START, END, PAD, *letters, *(letter + WORD_END for letter in letters)]
    trainer = BpeTrainer(
        vocab_size=vocabulary_size - len(words), end_of_word_suffix=WORD_END, show_progress=False
    )
    trained.train_from_iterator(captions, trainer)
    model = json.loads(trained.to_str())["model"]
    words += sorted(set(model["vocab"]) - set(words), key=model["vocab"].get)
    return CLIPTokenizer(
        vocab={word: index for index, word in enumerate(words)},
        merges=[tuple(merge) for merge in model["merges"]],
        bos_token=START,
        eos_token=END,
        pad_token=PAD,
        model_max_length=MAX_TOKENS,
    )


def build_clip() -> CLIPModel:
    """A fresh embedded CLIP, 1.5 M parameters; special tokens are numbered as `train_tokenizer` does."""
    text = CLIPTextConfig(
        vocab_size=VOCABULARY_SIZE,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=MAX_TOKENS,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    vision = CLIPVisionConfig(
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=INPUT_SIZE,
        patch_size=8,
    )
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=128))


def normalise(pixels: Tensor) -> Tensor:
    """Pixels (B, 3, H, W) in [0, 1] as the model's image processor would give them."""
    mean = torch.tensor(IMAGE_MEAN, device=pixels.device).view(3, 1, 1)
    return (pixels - mean) / torch.tensor(IMAGE_STD, device=pixels.device).view(3, 1, 1)


def contrastive_loss(a: Tensor, b: Tensor, scale: Tensor) -> Tensor:
    """Symmetric cross-entropy over all pairs of unit vectors (B, D) (Radford et al. 2021, figure 3)."""
    logits = scale * a @ b.T
    own = torch.arange(len(a), device=a.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


class Clip(MuonModule):
    """Five contrasts: picture and caption, face and caption, face and picture, garments, places.

    The third makes a face's embedding hold its looks, which captions leave out, and which CLIPDist compares.
    The last two make likenesses of garments and places those of the very same, not of their kind.

    Args:
        start_from: a folder with a CLIP and its tokenizer to train on; None: a fresh one.
    """

    def __init__(
        self,
        face_caption_weight: float = 0.5,
        face_frame_weight: float = 0.5,
        garment_weight: float = 1.0,
        place_weight: float = 1.0,
        start_from: str | None = None,
        lr: float = 1.5e-3,
        warmup_steps: int = 50,
        decay_steps: int = 400,
        weight_decay: float = 0.02,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.clip = CLIPModel.from_pretrained(start_from, dtype=torch.float32) if start_from else build_clip()

    def embed_pictures(self, pixels: Tensor) -> Tensor:
        """Unit vectors (B, D) of pictures (B, 3, 64, 64) in [0, 1]."""
        hidden = self.clip.vision_model(pixel_values=normalise(pixels)).pooler_output
        return F.normalize(self.clip.visual_projection(hidden).float(), dim=-1)

    def embed_captions(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Unit vectors (B, D) of captions (B, L)."""
        hidden = self.clip.text_model(input_ids=input_ids, attention_mask=attention_mask).pooler_output
        return F.normalize(self.clip.text_projection(hidden).float(), dim=-1)

    def embed(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Unit vectors (B, D) of each kind of picture and of the captions."""
        pictures = self.embed_pictures(torch.cat([batch[name] for name in PICTURES]))
        counts = [len(batch[name]) for name in PICTURES]
        embeddings = dict(zip(PICTURES, pictures.split(counts), strict=True))
        return embeddings | {"captions": self.embed_captions(batch["input_ids"], batch["attention_mask"])}

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        embeddings = self.embed(batch)
        scale = self.clip.logit_scale.exp().clamp(max=100)
        parts = {
            name: contrastive_loss(embeddings[one], embeddings[other], scale)
            for name, (one, other) in CONTRASTS.items()
        }
        loss = sum(self.hparams.get(f"{name}_weight", 1.0) * part for name, part in parts.items())
        self.log_dict({"train/loss": loss, **{f"train/{k}": v for k, v in parts.items()}}, prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        embeddings = self.embed(batch)
        for name, (one, other) in CONTRASTS.items():
            nearest = (embeddings[one] @ embeddings[other].T).argmax(1)
            found = (nearest == torch.arange(len(nearest), device=self.device)).float().mean()
            self.log(f"val/{name}", found, prog_bar=True, batch_size=len(nearest))
