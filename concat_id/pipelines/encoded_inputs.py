"""Prompts and reference pictures as a pipeline's transformer takes them, kept from one run to the next.

A run with another seed, or of the same faces with another prompt, encodes only what is new: a large text
encoder need not pass through the GPU again. What is kept is what was computed, so that videos stay the same.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor, nn

    from concat_id.pipelines.pipeline import ConcatIDPipeline
    from concat_id.settings import Settings

# Of each encoder; a prompt of Wan's takes 4 MB, three references of 480 x 832 take 1 MB.
KEPT = 32

# By encoder, not by pipeline: those with a LoRA share it with the one without.
_KEPT: WeakKeyDictionary[nn.Module, OrderedDict[Hashable, Tensor]] = WeakKeyDictionary()


def encode_inputs(
    pipeline: ConcatIDPipeline, prompt: str, pictures: Sequence[Image], settings: Settings
) -> dict[str, Any]:
    """What `ConcatIDPipeline.stream` takes instead of a prompt, a negative one and references.

    Args:
        pictures: the prepared references of one video.
        settings: of a resolved job.

    Returns:
        `prompt_embeds`, and where they are needed `negative_prompt_embeds` and `reference_latents`.
    """
    length = settings.max_sequence_length

    def encode_negative() -> Tensor:
        return pipeline.encode_negative_prompt([settings.negative_prompt], prompt_embeds, length)

    prompt_embeds = _remember(
        pipeline.text_encoder, (prompt, length), lambda: pipeline.encode_prompt(prompt, length)
    )
    inputs = {"prompt_embeds": prompt_embeds}
    if settings.guidance_scale > 1:
        key = ("negative", settings.negative_prompt, length)
        inputs["negative_prompt_embeds"] = _remember(pipeline.text_encoder, key, encode_negative)
    if pictures:
        height, width = settings.height, settings.width
        key = (height, width, *map(_digest, pictures))
        inputs["reference_latents"] = _remember(
            pipeline.vae, key, lambda: pipeline.encode_references([list(pictures)], height, width)
        )
    return inputs


def _remember(encoder: nn.Module, key: Hashable, encode: Callable[[], Tensor]) -> Tensor:
    """What an encoder makes of an input, computed where it is not one of the last."""
    kept = _KEPT.setdefault(encoder, OrderedDict())
    if key not in kept:
        kept[key] = encode()
    kept.move_to_end(key)
    while len(kept) > KEPT:
        kept.popitem(last=False)
    return kept[key]


def _digest(picture: Image) -> tuple[str, tuple[int, int], bytes]:
    """What tells pictures apart."""
    return picture.mode, picture.size, hashlib.sha256(picture.tobytes()).digest()
