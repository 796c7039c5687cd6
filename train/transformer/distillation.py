"""A model of few steps and no guidance, which learns from the one it starts as.

    python -m train fit --config train/configs/distillation.yaml

Progressive distillation (Salimans and Ho, 2022) of a guided model (Meng et al., 2023), in one stage: the
student's schedule has few noise levels, and from each of them one step of the student has to lead where
several guided steps of the teacher lead. Teacher and student are the same transformer without and with a
LoRA, so that the student is a small file beside the model.
"""

from __future__ import annotations

import torch
from torch import Tensor

from concat_id.pipelines.guidance import guide
from train.transformer.training import ConcatIDTraining, Given


class Distillation(ConcatIDTraining):
    """Flow matching towards a guided teacher's path instead of the straight one.

    Args:
        init_from: diffusers folder of the teacher.
        num_inference_steps: of the student, at the pipeline's own schedule.
        teacher_steps: guided Euler steps for each of the student's.
        guidance_scale, reference_guidance_scale, skip_guidance_layers: of the teacher; the student has them
            built in.
    """

    def __init__(
        self,
        init_from: str,
        num_inference_steps: int = 4,
        teacher_steps: int = 3,
        guidance_scale: float = 3.0,
        reference_guidance_scale: float = 1.0,
        skip_guidance_layers: tuple[int, ...] = (),
        lora_rank: int = 32,
        lr: float = 1e-3,
        warmup_steps: int = 50,
        decay_steps: int = 400,
        shift: float = 4.0,
        face_weight: float = 1.5,
    ) -> None:
        super().__init__(
            init_from=init_from,
            train_text_encoder=False,
            lr=lr,
            warmup_steps=warmup_steps,
            decay_steps=decay_steps,
            shift=shift,
            text_dropout=0.0,
            reference_dropout=0.0,
            face_weight=face_weight,
            retake_weight=1.0,
            lora_rank=lora_rank,
        )
        # Under the command line, Lightning keeps the arguments that a recipe can give, and no others.
        self.hparams.update(references=True, text_dropout=0.0, reference_dropout=0.0, retake_weight=1.0)
        uniform = torch.linspace(1, 0, num_inference_steps + 1)
        levels = shift * uniform / (1 + (shift - 1) * uniform)
        self.register_buffer("levels", levels, persistent=False)

    def draw_sigmas(self, count: int) -> Tensor:
        return self.levels[torch.randint(len(self.levels) - 1, (count,))]

    def spread_sigmas(self, count: int) -> Tensor:
        return self.levels[torch.arange(count) % (len(self.levels) - 1)]

    @torch.no_grad()
    def find_target(self, noisy: Tensor, sigmas: Tensor, straight: Tensor, given: Given) -> Tensor:
        """The mean velocity of the teacher's path from these noise levels to the next ones."""
        ends = self.levels[(self.levels[None] >= sigmas[:, None]).sum(1)]
        strides = (ends - sigmas) / self.hparams.teacher_steps
        latents = noisy
        for step in range(self.hparams.teacher_steps):
            velocity = self.ask_teacher(latents, sigmas + step * strides, given)
            latents = latents + strides.view(-1, 1, 1, 1, 1) * velocity
        return (latents - noisy) / (ends - sigmas).view(-1, 1, 1, 1, 1)

    def ask_teacher(self, noisy: Tensor, sigmas: Tensor, given: Given) -> Tensor:
        """The guided velocity of the model without its LoRA, as `GuidanceMixin.predict_velocity` has it."""
        captions, references = given["encoder_hidden_states"], given["reference_latents"]
        empty = self.encode_captions([""] * len(noisy), torch.ones(len(noisy), dtype=torch.bool))
        skipped, none = self.hparams.skip_guidance_layers, torch.zeros_like(references)
        worse = {
            "encoder_hidden_states": empty,
            "reference_latents": none if skipped else references,
            "skip_layers": skipped,
        }
        text, reference = self.hparams.guidance_scale, self.hparams.reference_guidance_scale
        self.transformer.disable_adapters()
        cond = self.predict(noisy, sigmas, given)
        uncond = self.predict(noisy, sigmas, worse)
        blank = None
        if reference != 1:
            told = {"encoder_hidden_states": captions, "reference_latents": none}
            blank = self.predict(noisy, sigmas, told)
        self.transformer.enable_adapters()
        return guide(cond, uncond, blank, text=text, reference=reference)
