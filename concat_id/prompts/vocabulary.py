"""Which words of a prompt a model has never read.

The embedded model's tokenizer was learned from its captions until each of their words was one token; any
other word falls into pieces, which the model never saw together. Tokenizers of large models split common
words too: of them this says nothing.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from concat_id.loading.presets import PRESETS

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def find_unknown_words(prompt: str, preset: str) -> list[str]:
    """The words, in lower case and in their order, each once; none for models that read any text."""
    model = PRESETS[preset]
    if model.domain != "drawn":
        return []
    tokenizer = _load_tokenizer(Path(model.base) / "tokenizer" / "tokenizer.json")
    text = tokenizer.normalizer.normalize_str(prompt)
    # Where the tokenizer itself cuts: a piece begins with the space before its word.
    pieces = [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]
    unknown = [piece for piece in pieces if tokenizer.token_to_id(piece) is None]
    words = (tokenizer.decoder.decode([piece]).strip() for piece in unknown)
    spelt = (word for word in words if any(map(str.isalpha, word)))
    return list(dict.fromkeys(spelt))


@lru_cache(maxsize=2)
def _load_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer of the format of the library of that name."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(path))
