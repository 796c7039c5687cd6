"""The embedded model's text encoder: a tiny `UMT5EncoderModel` and a tokenizer that takes any text.

    python -m train.text.encoder --output .train/text/tokenizer

The tokenizer is byte-level BPE learned from the captions of the synthetic people: their words become one
token each, and any other word falls apart into pieces, in the end into bytes, so that nothing is unknown.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import BatchEncoding, PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from concat_id.people import sample_scenes, write_captions

VOCABULARY_SIZE = 1024
MAX_TOKENS = 64
PAD, END = "<pad>", "</s>"


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Learn a lower-casing byte-level BPE from `texts`; every sequence ends with `</s>`, as T5's do."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=[PAD, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, tokenizer.token_to_id(END))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, model_max_length=MAX_TOKENS
    )


def build_text_encoder() -> UMT5EncoderModel:
    """A fresh text encoder, 192 wide, 3 layers, 1.6 M parameters."""
    config = UMT5Config(
        vocab_size=VOCABULARY_SIZE,
        d_model=192,
        d_kv=48,
        d_ff=512,
        num_layers=3,
        num_heads=4,
        dropout_rate=0.0,
        pad_token_id=0,
        eos_token_id=1,
        tie_word_embeddings=False,
    )
    return UMT5EncoderModel(config)


def encode_text(tokenizer: PreTrainedTokenizerFast, encoder: UMT5EncoderModel, texts: list[str]) -> Tensor:
    """Embeddings (B, 64, D) of `texts`, zero behind each text's end, as Wan's pipeline makes them."""
    return embed_tokens(encoder, tokenize(tokenizer, texts).to(encoder.device))


def tokenize(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> BatchEncoding:
    """`input_ids` and `attention_mask`, (B, 64) each."""
    return tokenizer(texts, padding="max_length", max_length=MAX_TOKENS, truncation=True, return_tensors="pt")


def embed_tokens(encoder: UMT5EncoderModel, tokens: BatchEncoding) -> Tensor:
    """Embeddings (B, 64, D), zero behind each text's end."""
    hidden = encoder(tokens.input_ids, attention_mask=tokens.attention_mask).last_hidden_state
    return hidden * tokens.attention_mask[..., None]


def sample_captions(count: int, seed: int = 0) -> list[str]:
    """Captions of training clips with one to three people, `count` and a tenth more with given garments."""
    captions: list[str] = []
    for num_people in (1, 2, 3):
        scenes = sample_scenes(seed + num_people, -(-count // 3), num_people=num_people, num_frames=1)
        captions += write_captions(scenes, seed + num_people)
    scenes = sample_scenes(seed + 1, -(-count // 10), num_frames=1)
    captions += write_captions(scenes, seed + 1, given=("garment",))
    return captions


def main() -> None:
    """Learn the tokenizer from captions and save it as a transformers folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--captions", type=int, default=6000)
    options = parser.parse_args()
    with torch.no_grad():
        tokenizer = train_tokenizer(sample_captions(options.captions))
    tokenizer.save_pretrained(options.output)


if __name__ == "__main__":
    main()
