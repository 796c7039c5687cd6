"""What the form of each task asks for, and how its values become a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from concat_id.errors import InvalidJob
from concat_id.job import Job
from concat_id.loading.loras import Lora
from concat_id.loading.memory import MemoryMode
from concat_id.loading.presets import Preset, Task
from concat_id.references.reference import Reference, Role
from concat_id.settings import FORM_SETTINGS, read_settings
from concat_id.ui.events import as_sentences
from concat_id.ui.texts import (
    BACKGROUND_IDEAS,
    IDEAS,
    MULTI_IDEAS,
    NO_PICTURE,
    POSITIONS,
    TRY_ON_IDEAS,
)

# How programs call what every form asks for besides its references, in the order of `FormTab.inputs`: these
# first, the others at the end, after the choices in the pictures.
EARLY = {kind.name: kind.about for kind in FORM_SETTINGS if not kind.late} | {"model": "name of the preset."}
LATE = {
    **{kind.name: kind.about for kind in FORM_SETTINGS if kind.late == 1},
    "lora": "name of one of the studio's LoRAs; none: none.",
    "lora_strength": "how strongly; none: 1.",
    "memory": f"of the GPU: {', '.join(get_args(MemoryMode))}; none: as the studio was started.",
    **{kind.name: kind.about for kind in FORM_SETTINGS if kind.late == 2},
}


@dataclass(frozen=True)
class SlotKind:
    """One reference of a form."""

    role: Role
    label: str
    name: str  # how programs call its picture
    noun: str  # what it shows, in a sentence
    prefix: str = ""  # goes before what programs call the choices in the picture
    optional: str = ""  # the heading under which it is folded away; empty where the form cannot do without

    @property
    def choices(self) -> dict[str, str]:
        """What is chosen in the picture: how programs call it, and what it says."""
        whole = {f"{self.prefix}whole_picture": f"take the {self.noun} as it is, without a search in it."}
        if self.role != "face":
            return whole
        said = "which face to take when there are several, counted from the largest; none takes that."
        return {f"{self.prefix}face_index": said} | whole

    def read(self, values: Mapping[str, Any]) -> Reference | None:
        """The reference among a form's values; None for one that nobody asked for."""
        picture = values[self.name]
        if not picture and self.optional:
            return None
        if not picture:
            raise InvalidJob(NO_PICTURE.format(noun=self.noun))
        face_index = values.get(f"{self.prefix}face_index")
        return Reference(
            self.role,
            picture,
            face_index=None if face_index is None else int(face_index),
            whole_picture=values[f"{self.prefix}whole_picture"],
        )


@dataclass(frozen=True)
class TaskForm:
    """The form of one task."""

    task: Task
    label: str
    slots: tuple[SlotKind, ...]  # in the order of the job's references
    question: str  # in the empty prompt
    ideas: Mapping[str, str]  # what the chip says, and the prompt behind it
    endpoint: str
    purpose: str  # of the endpoint

    @property
    def page(self) -> str:
        """What goes before the names of the page's elements."""
        return "" if self.task == "single" else f"{self.task}-"

    @property
    def values(self) -> dict[str, str]:
        """How programs call the form's values, in order, and what each of them says."""
        needed = {slot.name: f"a {slot.noun}." for slot in self.slots if not slot.optional}
        optional = {slot.name: f"a {slot.noun}, if one is wanted." for slot in self.slots if slot.optional}
        choices = {name: said for slot in self.slots for name, said in slot.choices.items()}
        return needed | {"prompt": "what happens, and where."} | EARLY | optional | choices | LATE

    def slot_page(self, slot: SlotKind) -> str:
        """What goes before the names of a slot's elements."""
        return f"{self.page}{slot.name}-" if len(self.slots) > 1 else self.page

    def fit(self, preset: Preset) -> TaskForm:
        """The form for a model that takes fewer references than the task allows."""
        return replace(self, slots=self.slots[: preset.max_references])

    def make_job(self, *form: Any) -> Job:
        """The job that a form describes, checked, with its seed drawn.

        Args:
            form: a value for each of `values`; size and length may be left out.
        """
        values = self._read(form)
        with as_sentences():
            references = tuple(filter(None, (slot.read(values) for slot in self.slots)))
            settings = read_settings(values)
            strength, lora = values["lora_strength"], values["lora"]
            loras = (Lora(lora, 1.0 if strength is None else strength),) if lora else ()
            prompt, model = values["prompt"].strip(), values["model"]
            return Job(self.task, references, prompt, settings, model, loras).resolve()

    def read_memory(self, *form: Any) -> str | None:
        """How much of the GPU to take: no part of the job, which another machine may run.

        Args:
            form: as for `make_job`.
        """
        return self._read(form)["memory"] or None

    def _read(self, form: Sequence[Any]) -> dict[str, Any]:
        return dict.fromkeys(self.values) | dict(zip(self.values, form, strict=False))


SINGLE = TaskForm(
    task="single",
    label="Single identity",
    slots=(SlotKind("face", "Picture of a person", "picture", "picture"),),
    question="What does the person do, and where?",
    ideas=IDEAS,
    endpoint="generate",
    purpose="Make a video of the person in a picture.",
)
MULTI = TaskForm(
    task="multi",
    label="Multi identity",
    slots=(
        SlotKind("face", POSITIONS[2][0], "first", "picture of person 1", "first_"),
        SlotKind("face", POSITIONS[2][1], "second", "picture of person 2", "second_"),
        SlotKind("face", POSITIONS[3][2], "third", "picture of person 3", "third_", "A third person"),
    ),
    question="What do the people do, and where?",
    ideas=MULTI_IDEAS,
    endpoint="generate_multi",
    purpose="Make a video of two or three people, given from left to right.",
)
TRY_ON = TaskForm(
    task="try-on",
    label="Try-on",
    slots=(
        SlotKind("face", "Picture of a person", "face", "picture of a person"),
        SlotKind(
            "garment", "A garment, or someone wearing it", "garment", "picture of a garment", "garment_"
        ),
        SlotKind("background", "Picture of a place", "place", "picture of a place", "place_", "A place"),
    ),
    question="What does the person do in it, and where?",
    ideas=TRY_ON_IDEAS,
    endpoint="generate_try_on",
    purpose="Make a video of a person wearing a garment, in a place if one is given.",
)
BACKGROUND = TaskForm(
    task="background",
    label="Background",
    slots=(
        SlotKind("face", "Picture of a person", "face", "picture of a person"),
        SlotKind("background", "Picture of a place", "place", "picture of a place", "place_"),
    ),
    question="What does the person do there?",
    ideas=BACKGROUND_IDEAS,
    endpoint="generate_background",
    purpose="Make a video of a person in a place.",
)
