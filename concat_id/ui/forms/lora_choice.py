"""Which of the studio's LoRAs a form's video is made with, and how strongly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from concat_id.job import MAX_LORA_STRENGTH, Job
from concat_id.loading.loras import list_loras
from concat_id.ui.texts import LORA_INFO, NO_LORA


@dataclass(frozen=True)
class LoraChoice:
    """The components, each to be placed with `render`; unseen where there are no LoRAs."""

    name: gr.Dropdown
    strength: gr.Slider

    @property
    def inputs(self) -> dict[str, gr.components.Component]:
        """The values, by the names that programs have for them."""
        return {"lora": self.name, "lora_strength": self.strength}

    def fill(self, job: Job) -> dict[Any, Any]:
        """The updates that restore a job's LoRA."""
        lora = job.loras[0] if job.loras else None
        return {self.name: lora.name if lora else "", self.strength: lora.strength if lora else 1.0}


def build_lora_choice(page: str = "") -> LoraChoice:
    """Make the components, not rendered yet."""
    names = list(list_loras())
    name = gr.Dropdown(
        [(NO_LORA, ""), *((name, name) for name in names)],
        value="",
        label="LoRA",
        info=LORA_INFO,
        visible=bool(names),
        render=False,
        elem_id=f"{page}lora",
    )
    strength = gr.Slider(
        -MAX_LORA_STRENGTH,
        MAX_LORA_STRENGTH,
        1.0,
        step=0.05,
        label="Strength of the LoRA",
        visible=bool(names),
        render=False,
        elem_id=f"{page}lora-strength",
    )
    return LoraChoice(name, strength)
