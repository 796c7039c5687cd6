"""The nodes: load a preset, prepare a reference, generate, score.

What is wrong with an input is an `InputError`, whose sentence ComfyUI shows at the node. In numbers, -1 (and
0 of what cannot be 0) stands for the preset's own value.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from torch import Tensor

from concat_id.comfyui.host import choose_output, follow, keep_picture, make_room, show_video
from concat_id.comfyui.tensors import to_frames, to_image, to_picture
from concat_id.errors import InvalidJob, NoFaceFound
from concat_id.generation import describe_target, generate, prepare_reference
from concat_id.job import MAX_LORA_STRENGTH, TASK_ROLES, Job
from concat_id.loading.load import load_face_tools, load_pipeline, make_ready
from concat_id.loading.loras import Lora, list_loras
from concat_id.loading.memory import MemoryMode
from concat_id.loading.presets import DEFAULT_PRESET, PRESETS
from concat_id.output.watermark import mark
from concat_id.references.reference import Reference, Role
from concat_id.references.roles import load_reference
from concat_id.settings import MAX_GUIDANCE, MAX_STEPS, SEED_LIMIT, Settings

CATEGORY = "Concat-ID"
MODEL, REFERENCE = "CONCAT_ID_MODEL", "CONCAT_ID_REFERENCE"
NO_LORA = "none"
MAX_SIDE_PX, MAX_FRAMES = 4096, 512  # what widgets allow; a preset allows less, and says so
ROLES: tuple[Role, ...] = get_args(Role)
Inputs = dict[str, dict[str, tuple[Any, ...]]]


@dataclass(frozen=True)
class Model:
    """What goes through links of the type `CONCAT_ID_MODEL`."""

    preset: str
    memory: str
    loras: tuple[Lora, ...]


class LoadPreset:
    """A preset's models, fetched at first use."""

    CATEGORY = CATEGORY
    DESCRIPTION = "Loads a Concat-ID model; what is not on this machine yet is fetched."
    RETURN_TYPES, RETURN_NAMES = (MODEL,), ("model",)
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        """The widgets; LoRAs are those of the folder that CONCAT_ID_LORAS names."""
        strength = {"default": 1.0, "min": -MAX_LORA_STRENGTH, "max": MAX_LORA_STRENGTH, "step": 0.05}
        return {
            "required": {"preset": (list(PRESETS), {"default": DEFAULT_PRESET})},
            "optional": {
                "memory": (list(get_args(MemoryMode)), {"tooltip": "How much of the GPU it may count on."}),
                "lora": ([NO_LORA, *list_loras()], {"tooltip": "One of the folder CONCAT_ID_LORAS."}),
                "lora_strength": ("FLOAT", strength),
            },
        }

    def load(
        self, preset: str, memory: str = "auto", lora: str = NO_LORA, lora_strength: float = 1.0
    ) -> tuple[Model]:
        """Fetch and load, so that the nodes after it begin at once."""
        follow(make_ready(preset))
        make_room()
        loras = () if lora == NO_LORA else (Lora(lora, lora_strength),)
        load_face_tools(preset)
        if not loras:
            load_pipeline(preset, memory=memory)
        return (Model(preset, memory, loras),)


class PrepareReference:
    """A picture as the model will see it."""

    CATEGORY = CATEGORY
    DESCRIPTION = "Finds the face, garment or place in a picture; 'seen' is what the model gets of it."
    RETURN_TYPES, RETURN_NAMES = (REFERENCE, "IMAGE", "STRING"), ("reference", "seen", "notes")
    FUNCTION = "prepare"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        """A picture, its role, and what is taken of it."""
        return {
            "required": {"model": (MODEL,), "image": ("IMAGE",), "role": (list(ROLES),)},
            "optional": {
                "mask": ("MASK", {"tooltip": "What is transparent: cuts a garment out."}),
                "face_index": (
                    "INT",
                    {
                        "default": -1,
                        "min": -1,
                        "max": 99,
                        "tooltip": "Counted from the largest, 0; -1: the largest.",
                    },
                ),
                "whole_picture": ("BOOLEAN", {"default": False, "tooltip": "Take the picture as it is."}),
            },
        }

    def prepare(
        self,
        model: Model,
        image: Tensor,
        role: Role,
        mask: Tensor | None = None,
        face_index: int = -1,
        whole_picture: bool = False,
    ) -> tuple[Reference, Tensor, str]:
        """The reference, (1, H, W, 3) of what the model sees, and what to know of it."""
        picture = keep_picture(to_picture(image, mask))
        index = face_index if role == "face" and face_index >= 0 else None
        reference = Reference(role, picture, index, whole_picture)
        seen = prepare_reference(reference, model.preset)
        return reference, to_image(np.asarray(seen.picture.convert("RGB"))[None]), "\n".join(seen.notes)


class Generate:
    """A job, made as the studio makes it."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Makes a video of the references, with previews, and writes it as the studio does: a signed MP4 with "
        "its settings and scores beside it. The frames carry the studio's invisible watermark."
    )
    RETURN_TYPES = ("IMAGE", "FLOAT", "STRING", "STRING")
    RETURN_NAMES = ("frames", "fps", "video", "report")
    FUNCTION = "generate"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        """One to three references, the prompt, and settings."""
        seed = {"default": 0, "min": 0, "max": SEED_LIMIT - 1, "control_after_generate": True}
        own = {"tooltip": "-1: the preset's own."}
        guidance = {"default": -1.0, "min": -1.0, "max": MAX_GUIDANCE, "step": 0.1} | own
        side = {"default": -1, "min": -1, "max": MAX_SIDE_PX, "step": 1} | own
        return {
            "required": {
                "model": (MODEL,),
                "reference_1": (REFERENCE, {"tooltip": "People as they stand, from left to right."}),
                "prompt": ("STRING", {"multiline": True, "default": "a person laughing on a beach"}),
                "seed": ("INT", seed),
            },
            "optional": {
                "reference_2": (REFERENCE,),
                "reference_3": (REFERENCE,),
                "steps": ("INT", {"default": -1, "min": -1, "max": MAX_STEPS} | own),
                "guidance": ("FLOAT", guidance),
                "likeness": ("FLOAT", guidance),
                "width": ("INT", side),
                "height": ("INT", side),
                "frames": ("INT", {"default": -1, "min": -1, "max": MAX_FRAMES} | own),
                "negative_prompt": ("STRING", {"multiline": True, "tooltip": "Empty: the preset's own."}),
                "filename_prefix": ("STRING", {"default": "concat-id/video"}),
            },
        }

    def generate(
        self,
        model: Model,
        reference_1: Reference,
        prompt: str,
        seed: int,
        reference_2: Reference | None = None,
        reference_3: Reference | None = None,
        steps: int = -1,
        guidance: float = -1.0,
        likeness: float = -1.0,
        width: int = -1,
        height: int = -1,
        frames: int = -1,
        negative_prompt: str = "",
        filename_prefix: str = "concat-id/video",
    ) -> dict[str, Any]:
        """Run the job. The result: (T, H, W, 3) frames, their rate, the MP4's path, scores as JSON."""
        references = order(reference_1, reference_2, reference_3)
        settings = Settings(
            seed=seed,
            num_inference_steps=None if steps < 1 else steps,
            guidance_scale=None if guidance < 0 else guidance,
            reference_guidance_scale=None if likeness < 0 else likeness,
            negative_prompt=negative_prompt.strip() or None,
            num_frames=None if frames < 1 else frames,
            height=None if height < 1 else height,
            width=None if width < 1 else width,
        )
        job = Job(name_task(references), references, prompt, settings, model.preset, model.loras).resolve()
        make_room()
        result = follow(generate(job, choose_output(filename_prefix), memory=model.memory))
        scores = result.scores.to_dict() if result.scores else None
        report = {"scores": scores, "seed": seed, "seconds": result.seconds, "notes": result.notes}
        made = to_image(mark(result.frames)), float(job.settings.fps), str(result.video), json.dumps(report)
        return {"ui": show_video(result.video), "result": made}


class Score:
    """Likeness of any frames."""

    CATEGORY = CATEGORY
    DESCRIPTION = "Compares the frames of a video with references: 1 is the same face, 0 a stranger's."
    RETURN_TYPES, RETURN_NAMES = ("FLOAT", "STRING"), ("arcsim", "report")
    FUNCTION = "score"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        """Frames, and one to three references; with a prompt, what is seen is compared with it, too."""
        return {
            "required": {"model": (MODEL,), "frames": ("IMAGE",), "reference_1": (REFERENCE,)},
            "optional": {
                "reference_2": (REFERENCE,),
                "reference_3": (REFERENCE,),
                "prompt": ("STRING", {"multiline": True}),
            },
        }

    def score(
        self,
        model: Model,
        frames: Tensor,
        reference_1: Reference,
        reference_2: Reference | None = None,
        reference_3: Reference | None = None,
        prompt: str = "",
    ) -> tuple[float, str]:
        """Mean cosine of the people's faces, and all scores as JSON. Frames: (T, H, W, 3)."""
        references = order(reference_1, reference_2, reference_3)
        if all(reference.role != "face" for reference in references):
            raise InvalidJob("there is nobody to compare with; give a reference with the role 'face'.")
        pictures = [load_reference(reference) for reference in references]
        prepared = [prepare_reference(reference, model.preset) for reference in references]
        text = prompt.strip()
        target = describe_target(references, pictures, prepared, model.preset, with_text=bool(text))
        if target is None:
            raise NoFaceFound("no face was found in a reference; choose one that shows a face clearly.")
        scores = target.score_finished(to_frames(frames)[..., :3], text)
        return scores.arcsim, json.dumps(scores.to_dict())


def order(*given: Reference | None) -> tuple[Reference, ...]:
    """The references that are linked: people first, as they stand, then a garment, then a place."""
    linked = [reference for reference in given if reference is not None]
    return tuple(sorted(linked, key=lambda reference: ROLES.index(reference.role)))


def name_task(references: tuple[Reference, ...]) -> str:
    """The task whose references these are; what is none's is refused by the job."""
    roles = tuple(reference.role for reference in references)
    with suppress(StopIteration):
        return next(task for task, takes in TASK_ROLES.items() if roles in takes)
    return "single"


NODE_CLASS_MAPPINGS = {
    "ConcatIDLoadPreset": LoadPreset,
    "ConcatIDPrepareReference": PrepareReference,
    "ConcatIDGenerate": Generate,
    "ConcatIDScore": Score,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "ConcatIDLoadPreset": "Concat-ID: load preset",
    "ConcatIDPrepareReference": "Concat-ID: prepare reference",
    "ConcatIDGenerate": "Concat-ID: generate",
    "ConcatIDScore": "Concat-ID: score",
}
