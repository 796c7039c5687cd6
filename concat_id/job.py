"""A job: everything that determines a video. The app, the command line and the sidecar files all speak it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from textwrap import shorten
from typing import Any, get_args

from concat_id.errors import InvalidJob
from concat_id.files.text import read_text
from concat_id.loading.loras import Lora, identify
from concat_id.loading.presets import DEFAULT_PRESET, PRESETS, Preset, Task
from concat_id.prompts.extension import Extension
from concat_id.references.reference import Reference, Role
from concat_id.settings import Settings
from concat_id.validation import either, require, require_integer, require_text, show

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

MAX_LORA_STRENGTH = 4


def take_more_than_faces(tasks: Iterable[Task]) -> bool:
    """Whether one of these tasks has a reference that the clothes parser looks at."""
    return any(role != "face" for task in tasks for roles in TASK_ROLES[task] for role in roles)


@dataclass(frozen=True)
class Job:
    """What to make: a task, its references, a prompt, settings, and the preset that does it."""

    task: Task
    references: tuple[Reference, ...]
    prompt: str
    settings: Settings = field(default_factory=Settings)
    preset: str = DEFAULT_PRESET
    loras: tuple[Lora, ...] = ()  # merged into the preset's model
    extension: Extension | None = None  # where the prompt came from, if a language model wrote it

    def resolve(self) -> Job:
        """Check the job, fill in the preset's values and draw the seed; resolving twice changes nothing."""
        require(self.preset in list(PRESETS), f"preset is {show(self.preset)}; choose {either(PRESETS)}.")
        preset = PRESETS[self.preset]
        for reference in self.references:
            _check_reference(reference)
        self._check_task(preset)
        require_text("prompt", self.prompt)
        require(self.prompt.strip() != "", "the prompt is empty; say in a sentence what should happen.")
        for name, text in vars(self.extension).items() if self.extension else ():
            require_text(f"{name} of the extension", text)
        loras = tuple(_resolve_lora(lora) for lora in self.loras)
        return replace(self, settings=self.settings.resolve(preset), loras=loras)

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
        # Most jobs have neither, and are written as they were before there were any.
        rare = {"loras": loras, "extension": data["extension"]}
        return {key: data[key] for key in data if key not in rare} | {
            name: value for name, value in rare.items() if value
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Job:
        """Read what `to_dict` wrote; unknown and missing keys are refused by name."""
        values = _read("job", cls, data)
        references = values.get("references")
        require(isinstance(references, list | tuple), f"references must be a list, got {show(references)}.")
        values["references"] = tuple(
            Reference(**_read(f"references[{index}]", Reference, reference))
            for index, reference in enumerate(references)
        )
        if "loras" in values:
            loras = values["loras"]
            require(isinstance(loras, list | tuple), f"loras must be a list, got {show(loras)}.")
            values["loras"] = tuple(
                Lora(**_read(f"loras[{index}]", Lora, lora)) for index, lora in enumerate(loras)
            )
        if values.get("extension") is not None:
            values["extension"] = Extension(**_read("extension", Extension, values["extension"]))
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
        if is_sidecar:
            job = replace(job, settings=job.settings.fill_former())
        return job.with_pictures([folder / reference.picture for reference in job.references])

    def _check_task(self, preset: Preset) -> None:
        """Refuse tasks that the preset cannot do, and references that do not fit the task."""
        require(self.task in get_args(Task), f"task is {show(self.task)}; choose {either(get_args(Task))}.")
        require(
            self.task in preset.tasks,
            f"preset '{self.preset}' cannot do the task '{self.task}'; it can do {either(preset.tasks)}.",
        )
        roles = tuple(reference.role for reference in self.references)
        given = shorten(", ".join(roles), 60, placeholder=" ...") or "none"
        require(
            roles in TASK_ROLES[self.task],
            f"the task '{self.task}' takes {_TAKES[self.task]}, got {given}{self._way_out(roles, preset)}.",
        )
        require(
            len(roles) <= preset.max_references,
            f"got {len(roles)} references; preset '{self.preset}' takes at most {preset.max_references}.",
        )

    def _way_out(self, roles: tuple[Role, ...], preset: Preset) -> str:
        """What to do about references that do not fit the task, if it is known."""
        in_order = tuple(sorted(roles, key=get_args(Role).index))
        if in_order in TASK_ROLES[self.task]:
            return f"; give them in the order {', '.join(in_order)}"
        fitting = [task for task in preset.tasks if roles in TASK_ROLES[task]]
        return f"; for these choose the task {either(fitting)}" if fitting else ""


def _check_reference(reference: Reference) -> None:
    """Refuse values of the wrong kind."""
    require(
        reference.role in get_args(Role),
        f"role is {show(reference.role)}; choose {either(get_args(Role))}.",
    )
    if reference.face_index is not None:
        require(reference.role == "face", f"face_index is for faces; leave it out of the {reference.role}.")
        require_integer("face_index", reference.face_index, 0, 1000)
    require(
        isinstance(reference.whole_picture, bool),
        f"whole_picture must be true or false, got {show(reference.whole_picture)}.",
    )


def _resolve_lora(lora: Lora) -> Lora:
    """Check a LoRA, and add what identifies its file."""
    require(isinstance(lora.name, str), f"the name of a LoRA must be a text, got {show(lora.name)}.")
    require(
        lora.sha256 is None or isinstance(lora.sha256, str),
        f"sha256 of a LoRA must be a text, got {show(lora.sha256)}.",
    )
    strength = lora.strength
    ok = isinstance(strength, int | float) and not isinstance(strength, bool) and math.isfinite(strength)
    require(
        ok and abs(strength) <= MAX_LORA_STRENGTH,
        f"the strength of a LoRA must be from -{MAX_LORA_STRENGTH} to {MAX_LORA_STRENGTH}, "
        f"got {show(strength)}.",
    )
    return identify(lora)


def _read(name: str, cls: type, data: Any) -> dict[str, Any]:
    """The values for a dataclass, after its keys were checked."""
    require(isinstance(data, Mapping), f"{name} must be an object, got {show(data)}.")
    known = {entry.name for entry in fields(cls)}
    unknown = ", ".join(sorted(map(str, set(data) - known)))
    require(not unknown, f"{name} has unknown keys: {shorten(unknown, 80, placeholder=' ...')}.")
    required = [entry.name for entry in fields(cls) if entry.default is entry.default_factory is MISSING]
    missing = [key for key in required if key not in data]
    require(not missing, f"{name} lacks {', '.join(missing)}.")
    # Tables write what is left out as null.
    return {key: value for key, value in data.items() if value is not None or key in required}
