"""A job: everything that determines a video. The app, the command line and the sidecar files all speak it."""

from __future__ import annotations

import json
import math
import re
import reprlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from textwrap import shorten
from typing import Any, get_args

from concat_id.errors import InvalidJob
from concat_id.files.text import read_text
from concat_id.loading.loras import Lora, identify
from concat_id.loading.presets import DEFAULT_PRESET, FRAMES_PER_LATENT, PRESETS, Preset, Task
from concat_id.references.reference import Reference, Role

TASK_ROLES: dict[Task, tuple[tuple[Role, ...], ...]] = {
    "single": (("face",),),
    "multi": (("face", "face"), ("face", "face", "face")),
    "try-on": (("face", "garment"), ("face", "garment", "background")),
    "background": (("face", "background"),),
}
_TAKES: dict[Task, str] = {
    "single": "one face reference",
    "multi": "two or three face references, from left to right",
    "try-on": "a face and a garment reference, and after them a background if one is wanted",
    "background": "a face and a background reference",
}

SEED_LIMIT = 2**32
RANDOM_SEED = -1
MAX_PROMPT_CHARACTERS = 4000
MAX_STEPS = 200
MAX_GUIDANCE = 30.0
MAX_FPS = 60
MAX_TEXT_TOKENS = 512
MAX_LAYERS = 100
MAX_LORA_STRENGTH = 4


@dataclass(frozen=True)
class Settings:
    """How to sample; None stands for the preset's value, for the seed for a random one."""

    seed: int | None = None  # 0 to 2^32 - 1; -1 says None, as it does everywhere in this field
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    reference_guidance_scale: float | None = None  # 1: off
    negative_prompt: str | None = None
    num_frames: int | None = None  # 4 k + 1, on CogVideoX 8 k + 1
    height: int | None = None  # px, see `Preset.side_multiple_px`
    width: int | None = None  # px
    fps: int | None = None
    # What a form does not ask for, but a video depends on: with it, the job outlives changes of its preset.
    skip_guidance_layers: tuple[int, ...] | None = None
    shift: float | None = None
    max_sequence_length: int | None = None  # text tokens

    def __post_init__(self) -> None:
        if isinstance(self.skip_guidance_layers, list):  # as JSON has it
            object.__setattr__(self, "skip_guidance_layers", tuple(self.skip_guidance_layers))
        if self.seed == RANDOM_SEED:
            object.__setattr__(self, "seed", None)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON types."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }

    @classmethod
    def of(cls, preset: Preset) -> Settings:
        """A preset's own, without a seed."""
        return cls(
            **{entry.name: getattr(preset, entry.name) for entry in fields(cls) if entry.name != "seed"}
        )


@dataclass(frozen=True)
class Job:
    """What to make: a task, its references, a prompt, settings, and the preset that does it."""

    task: Task
    references: tuple[Reference, ...]
    prompt: str
    settings: Settings = field(default_factory=Settings)
    preset: str = DEFAULT_PRESET
    loras: tuple[Lora, ...] = ()  # merged into the preset's model

    def resolve(self) -> Job:
        """Check the job, fill in the preset's values and draw the seed; resolving twice changes nothing."""
        _check(self.preset in list(PRESETS), f"preset is {_show(self.preset)}; choose {_either(PRESETS)}.")
        preset = PRESETS[self.preset]
        for reference in self.references:
            _check_reference(reference)
        self._check_task(preset)
        _check_text("prompt", self.prompt)
        _check(self.prompt.strip() != "", "the prompt is empty; say in a sentence what should happen.")
        loras = tuple(_resolve_lora(lora) for lora in self.loras)
        return replace(self, settings=_resolve_settings(self.settings, preset), loras=loras)

    def with_pictures(self, pictures: Sequence[str | Path]) -> Job:
        """The same job with its pictures elsewhere, one for each reference."""
        references = zip(self.references, pictures, strict=True)
        return replace(
            self, references=tuple(replace(reference, picture=picture) for reference, picture in references)
        )

    def to_dict(self) -> dict[str, Any]:
        """The job as JSON types."""
        references = [asdict(reference) for reference in self.references]
        data = asdict(self) | {"references": references, "settings": self.settings.to_dict()}
        loras = [asdict(lora) for lora in self.loras]
        # Most jobs have none, and are written as they were before there were any.
        return data | {"loras": loras} if loras else {key: data[key] for key in data if key != "loras"}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Job:
        """Read what `to_dict` wrote; unknown and missing keys are refused by name."""
        values = _read("job", cls, data)
        references = values.get("references")
        _check(isinstance(references, list | tuple), f"references must be a list, got {_show(references)}.")
        values["references"] = tuple(
            Reference(**_read(f"references[{index}]", Reference, reference))
            for index, reference in enumerate(references)
        )
        if "loras" in values:
            loras = values["loras"]
            _check(isinstance(loras, list | tuple), f"loras must be a list, got {_show(loras)}.")
            values["loras"] = tuple(
                Lora(**_read(f"loras[{index}]", Lora, lora)) for index, lora in enumerate(loras)
            )
        if "settings" in values:
            values["settings"] = Settings(**_read("settings", Settings, values["settings"]))
        return cls(**values)

    @classmethod
    def load(cls, path: Path) -> Job:
        """Read a JSON file, a job's or a video's sidecar; pictures are relative to the file's folder."""
        try:
            data = json.loads(read_text(path))
        except (OSError, ValueError, RecursionError) as error:
            raise InvalidJob(
                f"'{path}' is not a readable job; give a JSON file such as lies beside every video."
            ) from error
        return cls.from_file(data, path.parent)

    @classmethod
    def from_file(cls, data: Any, folder: Path) -> Job:
        """Read what a file in a folder says of a job, as it is or in a sidecar."""
        is_sidecar = isinstance(data, dict) and "job" in data
        job = cls.from_dict(data["job"] if is_sidecar else data)
        if is_sidecar and job.settings.reference_guidance_scale is None:  # earlier sidecars: off
            job = replace(job, settings=replace(job.settings, reference_guidance_scale=1.0))
        return job.with_pictures([folder / reference.picture for reference in job.references])

    def _check_task(self, preset: Preset) -> None:
        """Refuse tasks that the preset cannot do, and references that do not fit the task."""
        _check(self.task in get_args(Task), f"task is {_show(self.task)}; choose {_either(get_args(Task))}.")
        _check(
            self.task in preset.tasks,
            f"preset '{self.preset}' cannot do the task '{self.task}'; it can do {_either(preset.tasks)}.",
        )
        roles = tuple(reference.role for reference in self.references)
        given = shorten(", ".join(roles), 60, placeholder=" ...") or "none"
        _check(
            roles in TASK_ROLES[self.task],
            f"the task '{self.task}' takes {_TAKES[self.task]}, got {given}{self._way_out(roles, preset)}.",
        )
        _check(
            len(roles) <= preset.max_references,
            f"got {len(roles)} references; preset '{self.preset}' takes at most {preset.max_references}.",
        )

    def _way_out(self, roles: tuple[Role, ...], preset: Preset) -> str:
        """What to do about references that do not fit the task, if it is known."""
        in_order = tuple(sorted(roles, key=get_args(Role).index))
        if in_order in TASK_ROLES[self.task]:
            return f"; give them in the order {', '.join(in_order)}"
        fitting = [task for task in preset.tasks if roles in TASK_ROLES[task]]
        return f"; for these choose the task {_either(fitting)}" if fitting else ""


def parse_size(text: str) -> tuple[int, int]:
    """Width and height from a text such as 480x832, however the cross is written."""
    found = re.fullmatch(r"\s*(\d{1,5})\s*[x\u00d7*,:]\s*(\d{1,5})\s*", text, re.IGNORECASE | re.ASCII)
    _check(found is not None, f"the size is {_show(text)}; give width x height, such as 480x832.")
    return int(found.group(1)), int(found.group(2))


def format_size(width: int, height: int) -> str:
    """What `parse_size` reads."""
    return f"{width}x{height}"


def count_tokens(width: int, height: int, num_frames: int, preset: Preset, num_references: int = 1) -> int:
    """Tokens of a video with its references: what a denoising step takes grows with them at least."""
    latent_frames = (num_frames - 1) // FRAMES_PER_LATENT + 1 + num_references
    return latent_frames * (height // preset.side_multiple_px) * (width // preset.side_multiple_px)


def _check_reference(reference: Reference) -> None:
    """Refuse values of the wrong kind."""
    _check(
        reference.role in get_args(Role),
        f"role is {_show(reference.role)}; choose {_either(get_args(Role))}.",
    )
    if reference.face_index is not None:
        _check(reference.role == "face", f"face_index is for faces; leave it out of the {reference.role}.")
        _check_integer("face_index", reference.face_index, 0, 1000)
    _check(
        isinstance(reference.whole_picture, bool),
        f"whole_picture must be true or false, got {_show(reference.whole_picture)}.",
    )


def _resolve_lora(lora: Lora) -> Lora:
    """Check a LoRA, and add what identifies its file."""
    _check(isinstance(lora.name, str), f"the name of a LoRA must be a text, got {_show(lora.name)}.")
    _check(
        lora.sha256 is None or isinstance(lora.sha256, str),
        f"sha256 of a LoRA must be a text, got {_show(lora.sha256)}.",
    )
    strength = lora.strength
    ok = isinstance(strength, int | float) and not isinstance(strength, bool) and math.isfinite(strength)
    _check(
        ok and abs(strength) <= MAX_LORA_STRENGTH,
        f"the strength of a LoRA must be from -{MAX_LORA_STRENGTH} to {MAX_LORA_STRENGTH}, "
        f"got {_show(strength)}.",
    )
    return identify(lora)


def _resolve_settings(settings: Settings, preset: Preset) -> Settings:
    """Fill in the preset's values and a random seed, and check everything."""
    given = {name: value for name, value in vars(settings).items() if value is not None}
    settings = replace(Settings.of(preset), **{"seed": secrets.randbelow(SEED_LIMIT)} | given)
    _check_integer("seed", settings.seed, 0, SEED_LIMIT - 1)
    _check_integer("num_inference_steps", settings.num_inference_steps, 1, MAX_STEPS)
    _check_number("guidance_scale", settings.guidance_scale)
    _check_number("reference_guidance_scale", settings.reference_guidance_scale)
    if preset.shift is not None:
        _check_number("shift", settings.shift, low=0.1)
    _check(
        (settings.shift is None) == (preset.shift is None),
        "the preset's noise schedule has no shift; leave it out.",
    )
    _check_integer("max_sequence_length", settings.max_sequence_length, 1, MAX_TEXT_TOKENS)
    _check_layers(settings.skip_guidance_layers)
    _check_text("negative_prompt", settings.negative_prompt)
    _check_integer("fps", settings.fps, 1, MAX_FPS)
    _check_shape(settings, preset)
    return settings


def _check_shape(settings: Settings, preset: Preset) -> None:
    """Refuse sizes that the model cannot make, or that are far from what it was trained on."""
    _check_integer("num_frames", settings.num_frames, 1, 2 * preset.num_frames)
    stride = preset.frame_stride
    nearest = (settings.num_frames - 1) // stride * stride + 1
    _check(
        settings.num_frames == nearest,
        f"num_frames must be {stride} k + 1, got {settings.num_frames}; try {nearest}.",
    )
    multiple = preset.side_multiple_px
    for name in ("height", "width"):
        side = getattr(settings, name)
        _check_integer(name, side, 2 * multiple, 2 * max(preset.height, preset.width))
        nearest = side // multiple * multiple
        _check(side == nearest, f"{name} must be a multiple of {multiple}, got {side}; try {nearest}.")


def _check_integer(name: str, value: Any, low: int, high: int) -> None:
    """Refuse what is not a whole number of the range."""
    ok = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    _check(ok, f"{name} must be a whole number from {low} to {high}, got {_show(value)}.")


def _check_number(name: str, value: Any, *, low: float = 0.0) -> None:
    """Refuse what is not a number of the range."""
    ok = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    ok = ok and low <= value <= MAX_GUIDANCE
    _check(ok, f"{name} must be from {low:g} to {MAX_GUIDANCE:g}, got {_show(value)}.")


def _check_layers(value: Any) -> None:
    """Refuse what are not numbers of blocks; which of them the model has, the pipeline knows."""
    _check(
        isinstance(value, tuple) and len(value) <= MAX_LAYERS,
        f"skip_guidance_layers must be a list of at most {MAX_LAYERS} numbers, got {_show(value)}.",
    )
    for number in value:
        _check_integer("each of skip_guidance_layers", number, 0, MAX_LAYERS)


def _check_text(name: str, value: Any) -> None:
    """Refuse what is not a text of bearable length."""
    _check(isinstance(value, str), f"{name} must be a text, got {_show(value)}.")
    halves = any("\ud800" <= character <= "\udfff" for character in value)
    _check(not halves, f"{name} has halves of characters, which no file can hold; write it again.")
    _check(
        len(value) <= MAX_PROMPT_CHARACTERS,
        f"{name} has {len(value)} characters; shorten it to {MAX_PROMPT_CHARACTERS}.",
    )


def _read(name: str, cls: type, data: Any) -> dict[str, Any]:
    """The values for a dataclass, after its keys were checked."""
    _check(isinstance(data, Mapping), f"{name} must be an object, got {_show(data)}.")
    known = {entry.name for entry in fields(cls)}
    unknown = ", ".join(sorted(map(str, set(data) - known)))
    _check(not unknown, f"{name} has unknown keys: {shorten(unknown, 80, placeholder=' ...')}.")
    required = [entry.name for entry in fields(cls) if entry.default is entry.default_factory is MISSING]
    missing = [key for key in required if key not in data]
    _check(not missing, f"{name} lacks {', '.join(missing)}.")
    return dict(data)


def _show(value: Any) -> str:
    """A value of any kind and size, in a sentence."""
    return reprlib.repr(value)


def _either(values: Any) -> str:
    """Values as a choice in a sentence."""
    return " or ".join(f"'{value}'" for value in values)


def _check(ok: bool, message: str) -> None:
    """The one place where a job is refused."""
    if not ok:
        raise InvalidJob(message)
