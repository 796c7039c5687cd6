"""How much of a prompt a model reads: as many tokens as it was trained with, and nothing of what follows."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

from concat_id.loading.damaged_weights import named_if_damaged
from concat_id.loading.load import find_tokenizer
from concat_id.loading.presets import PRESETS
from concat_id.settings import Settings

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def find_unread(prompt: str, preset: str) -> str:
    """The end of a prompt that a preset's model does not read, from a whole word on; empty if it reads all.

    Nothing is known of a model that is not on this machine yet.
    """
    path = find_tokenizer(preset)
    if path is None:
        return ""
    from diffusers.pipelines.wan.pipeline_wan import prompt_clean

    tokenizer, text = _load_tokenizer(path), prompt_clean(prompt)
    found = tokenizer.encode(text, add_special_tokens=False)
    number = PRESETS[preset].max_sequence_length - tokenizer.num_special_tokens_to_add(is_pair=False)
    if len(found.ids) <= number:
        return ""
    cut = found.offsets[number][0]
    # A word is read as a whole or not at all.
    start = cut if text[cut : cut + 1].isspace() else text.rfind(" ", 0, cut) + 1
    return text[start:].strip()


def describe_unread(prompt: str, settings: Settings, preset: str) -> tuple[str, ...]:
    """What the user should know of prompts that the model does not read to their end, in sentences."""
    texts = {"prompt": prompt, "negative prompt": settings.negative_prompt or ""}
    return tuple(
        f"The {name} is longer than the model reads: nothing is read from \u201c{_quote(unread)}\u201d on."
        for name, unread in ((name, find_unread(text, preset)) for name, text in texts.items())
        if unread
    )


def _quote(text: str) -> str:
    """The first words of a text."""
    return shorten(text, 40, placeholder=" \u2026") if " " in text else text[:40]


@lru_cache(maxsize=2)
def _load_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer that cuts nothing itself."""
    from tokenizers import Tokenizer

    with named_if_damaged(path):
        tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
