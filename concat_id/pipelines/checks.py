"""What the pipelines refuse: each message has the value, the rule and a way out."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import torch
from PIL.Image import Image
from torch import Tensor

from concat_id.errors import InputError, NotFinite

OUTPUT_TYPES = ("pil", "np", "pt", "latent")


def check_multiple(name: str, value: int, multiple: int, offset: int = 0) -> None:
    """Refuse what is not a positive multiple, or, with an offset, not `multiple * k + offset`, k >= 0."""
    smallest = offset or multiple
    if value >= smallest and value % multiple == offset % multiple:
        return
    rule = f"{multiple}k + {offset}" if offset else f"a multiple of {multiple}"
    nearest = max(smallest, multiple * round((value - offset) / multiple) + offset)
    raise InputError(f"{name} must be {rule}, got {value}; try {nearest}.")


def check_count(name: str, value: int) -> None:
    """Refuse less than one."""
    if value < 1:
        raise InputError(f"{name} must be at least 1, got {value}; try 1.")


def check_scale(name: str, value: float) -> None:
    """Refuse a guidance strength that is negative or no number."""
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"{name} must be a number from 0 up, got {value}; try 1.")


def check_layers(name: str, values: Collection[int], count: int) -> None:
    """Refuse all but a transformer's inner blocks: caches and parallelism hang on the first and the last."""
    for value in values:
        if not 0 < value < count - 1:
            raise InputError(f"{name} must be from 1 to {count - 2}, got {value}; leave it out.")


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Refuse what is not among the choices."""
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, got {value!r}.")


def check_exclusive(**inputs: object) -> None:
    """Refuse two inputs that say the same thing."""
    if all(value is not None for value in inputs.values()):
        raise InputError(f"{' and '.join(inputs)} were both given; give one of them.")


def check_shape(name: str, tensor: Tensor, expected: Sequence[int | str]) -> None:
    """Refuse a tensor of another shape; a name in `expected` stands for any size."""
    found = tuple(tensor.shape)
    fits = len(found) == len(expected) and all(
        isinstance(wanted, str) or wanted == size for wanted, size in zip(expected, found, strict=True)
    )
    if not fits:
        raise InputError(f"{name} must have the shape ({', '.join(map(str, expected))}), got {found}.")


def check_finite(tensor: Tensor, where: str) -> None:
    """Refuse what is no number any more: what follows from it would be black, and look like a result."""
    if not torch.isfinite(tensor).all():
        raise NotFinite(
            f"the model's values are no longer finite {where}: its weights are damaged, or overflow in their "
            "precision; fetch them again, or load them in another precision."
        )


def check_generators(generator: torch.Generator | list[torch.Generator] | None, num_videos: int) -> None:
    """Refuse a list of generators that is not one for each video."""
    if isinstance(generator, list) and len(generator) != num_videos:
        raise InputError(
            f"generator must be one generator or a list of {num_videos}, one for each video, "
            f"got a list of {len(generator)}."
        )


def count_prompts(prompt: str | list[str] | None, prompt_embeds: Tensor | None) -> int:
    """How many prompts there are, as text or as embeddings."""
    check_exclusive(prompt=prompt, prompt_embeds=prompt_embeds)
    if prompt_embeds is not None:
        check_shape("prompt_embeds", prompt_embeds, ("prompts", "text length", "text_dim"))
        return len(prompt_embeds)
    if prompt is None or prompt == []:
        raise InputError("There is no prompt; give prompt or prompt_embeds.")
    return 1 if isinstance(prompt, str) else len(prompt)


def expand_negative_prompt(negative_prompt: str | list[str] | None, num_prompts: int) -> list[str]:
    """A negative prompt for each prompt."""
    if negative_prompt is None or isinstance(negative_prompt, str):
        return [negative_prompt or ""] * num_prompts
    if len(negative_prompt) != num_prompts:
        raise InputError(
            f"There are {len(negative_prompt)} negative prompts for {num_prompts} prompts; "
            "give one for all, or one for each."
        )
    return negative_prompt


def group_references(
    references: list[Image] | list[list[Image]] | None, num_prompts: int
) -> list[list[Image]]:
    """The reference pictures of each prompt, of one number; [] if there are none."""
    if references is None:
        return []
    if isinstance(references, Image):
        raise InputError("references must be a list of pictures, got one picture; put it into a list.")
    groups = references if references and isinstance(references[0], list | tuple) else [references]
    if not all(isinstance(picture, Image) for group in groups for picture in group):
        raise InputError(
            "references must be PIL pictures; open files with concat_id.references.pictures.load_picture."
        )
    if not any(groups):
        return []
    counts = [len(group) for group in groups]
    if len(counts) != num_prompts:
        raise InputError(
            f"There are reference pictures for {len(counts)} prompt(s), but {num_prompts} prompts; "
            "give one list of pictures for each prompt."
        )
    if len(set(counts)) > 1:
        raise InputError(
            f"Each prompt must have the same number of references, got {counts}; make several runs."
        )
    return groups


def check_references(count: int, most: int | None) -> None:
    """Refuse more references than a backbone was made for."""
    if most is not None and count > most:
        raise InputError(f"There may be at most {most} references, got {count}; leave some out.")


def check_tensors(
    *,
    num_prompts: int,
    latent_shape: tuple[int, ...],
    latents: Tensor | None,
    prompt_embeds: Tensor | None,
    negative_prompt_embeds: Tensor | None,
    reference_latents: Tensor | None,
) -> None:
    """Refuse tensors that do not fit; `latent_shape` is the noise's, (B, C, F, H, W)."""
    _, channels, _, height, width = latent_shape
    if latents is not None:
        check_shape("latents", latents, latent_shape)
    if reference_latents is not None:
        check_shape("reference_latents", reference_latents, (num_prompts, channels, "R", height, width))
    if negative_prompt_embeds is not None:
        text = ("text length", "text_dim") if prompt_embeds is None else prompt_embeds.shape[1:]
        check_shape("negative_prompt_embeds", negative_prompt_embeds, (num_prompts, *text))
