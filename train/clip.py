"""The small CLIP: pictures of the synthetic people beside their captions, in transformers' `CLIPModel`.

    python -m train fit --config train/configs/clip.yaml

A batch holds `frames` and `faces` (B, 3, 64, 64) in [0, 1], a whole picture and a face from another moment
of the same scene, and `input_ids`, `attention_mask` (B, L) of its caption.
"""

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
    """Three contrasts: picture and caption, face and caption, face and picture.

    The third makes a face's embedding hold its looks, which captions leave out, and which CLIPDist compares.
    """

    def __init__(
        self,
        face_caption_weight: float = 0.5,
        face_frame_weight: float = 0.5,
        lr: float = 1.5e-3,
        warmup_steps: int = 50,
        decay_steps: int = 400,
        weight_decay: float = 0.02,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.clip = build_clip()

    def embed_pictures(self, pixels: Tensor) -> Tensor:
        """Unit vectors (B, D) of pictures (B, 3, 64, 64) in [0, 1]."""
        hidden = self.clip.vision_model(pixel_values=normalise(pixels)).pooler_output
        return F.normalize(self.clip.visual_projection(hidden).float(), dim=-1)

    def embed_captions(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Unit vectors (B, D) of captions (B, L)."""
        hidden = self.clip.text_model(input_ids=input_ids, attention_mask=attention_mask).pooler_output
        return F.normalize(self.clip.text_projection(hidden).float(), dim=-1)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        frames, faces = self.embed_pictures(torch.cat([batch["frames"], batch["faces"]])).chunk(2)
        captions = self.embed_captions(batch["input_ids"], batch["attention_mask"])
        scale = self.clip.logit_scale.exp().clamp(max=100)
        frame_caption = contrastive_loss(frames, captions, scale)
        face_caption = contrastive_loss(faces, captions, scale)
        face_frame = contrastive_loss(faces, frames, scale)
        loss = frame_caption + self.hparams.face_caption_weight * face_caption
        loss = loss + self.hparams.face_frame_weight * face_frame
        parts = {"frame_caption": frame_caption, "face_caption": face_caption, "face_frame": face_frame}
        self.log_dict({"train/loss": loss, **{f"train/{k}": v for k, v in parts.items()}}, prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        frames, faces = self.embed_pictures(torch.cat([batch["frames"], batch["faces"]])).chunk(2)
        captions = self.embed_captions(batch["input_ids"], batch["attention_mask"])
        own = torch.arange(len(frames), device=frames.device)
        found = {
            "val/caption_of_frame": ((frames @ captions.T).argmax(1) == own).float().mean(),
            "val/frame_of_face": ((faces @ frames.T).argmax(1) == own).float().mean(),
        }
        self.log_dict(found, prog_bar=True, batch_size=len(frames))
