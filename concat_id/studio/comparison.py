"""Comparing videos of the same references and prompt: what their settings differ in, and variations."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from concat_id.errors import NotComparable
from concat_id.job import Job
from concat_id.loading.load import list_missing
from concat_id.loading.presets import PRESETS, Task
from concat_id.settings import MAX_GUIDANCE, SETTINGS, SettingKind, Settings
from concat_id.studio.runs import Run

MAX_SIDES = 4
# What another model is asked for, too; all else is its own.
TRANSFERABLE = ("seed", "num_inference_steps", "guidance_scale", "reference_guidance_scale")


def _trait(kind: SettingKind) -> Callable[[Job], str]:
    """A setting's value; texts only by a digest, as votes are published."""
    if kind.is_text:
        return lambda job: hashlib.sha256(kind.word(job.settings).encode()).hexdigest()[:6]
    return lambda job: kind.word(job.settings)


# What may differ in a comparison besides the model, and how it is called.
TRAITS: dict[str, Callable[[Job], str]] = {
    **{kind.label.lower(): _trait(kind) for kind in SETTINGS},
    "LoRA": lambda job: " and ".join(f"{lora.name} at {lora.strength:g}" for lora in job.loras) or "none",
}

# One click each; what they are called, and how they change the settings.
VARIATIONS: dict[str, Callable[[Settings], Settings]] = {
    "More likeness": lambda settings: replace(
        settings, reference_guidance_scale=min(settings.reference_guidance_scale + 1, MAX_GUIDANCE)
    ),
    "More guidance": lambda settings: replace(
        settings, guidance_scale=min(settings.guidance_scale + 2, MAX_GUIDANCE)
    ),
    "Half the steps": lambda settings: replace(
        settings, num_inference_steps=max(1, settings.num_inference_steps // 2)
    ),
    "Another seed": lambda settings: replace(settings, seed=None),
}


def name_differences(runs: Sequence[Run]) -> list[str]:
    """For each run, its model and the settings in which they differ; empty where they do not.

    Of a video that was made elsewhere, the model is all that is known.
    """
    known = [run.job for run in runs if run.has_settings]
    differing = [name for name, read in TRAITS.items() if len(set(map(read, known))) > 1]
    is_told = len({run.model for run in runs}) > 1
    return [
        ", ".join(
            ([f"model {run.model}"] if is_told else [])
            + [f"{name} {TRAITS[name](run.job)}" for name in differing if run.has_settings]
        )
        for run in runs
    ]


def check_comparable(runs: Sequence[Run]) -> None:
    """Refuse what tells nothing about settings."""
    if len(runs) < 2:
        raise NotComparable("there is only one video; choose a second one, or make it here.")
    if len({_subject(run) for run in runs}) > 1:
        raise NotComparable(
            "these videos differ in their prompt or their pictures, so they tell nothing about settings; "
            "choose videos of the same."
        )
    names = name_differences(runs)
    if len(set(names)) < len(names):
        raise NotComparable("two of these videos have the same settings; choose others.")


def vary(job: Job, preset: str, settings: Settings) -> Job:
    """The same references and prompt with other settings, resolved.

    Args:
        preset: another model takes its own values of all but these.
        settings: seed, steps, guidance and likeness as wanted.
    """
    if preset != job.preset:
        settings = Settings(**{name: getattr(settings, name) for name in TRANSFERABLE})
    return replace(job, preset=preset, settings=settings).resolve()


def presets_at_hand(task: Task, names: Iterable[str]) -> list[str]:
    """Those of the presets of these names that can do a task and need no download."""
    return [name for name in names if task in PRESETS[name].tasks and not list_missing(name)]


def _subject(run: Run) -> tuple:
    """What has to be the same for two videos to be compared."""
    choices = [replace(reference, picture="") for reference in run.job.references]
    return run.job.task, run.job.prompt, run.pictures_sha256, tuple(choices)
