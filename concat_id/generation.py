"""Running a job: previews and live scores while the video forms, then the MP4 with its sidecar files.

    for event in generate(job, Path("outputs")):
        ...

The one line through the product: the app and the command line iterate it. Axes: T frames, H, W in px.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from concat_id.errors import NoFaceFound
from concat_id.job import Job
from concat_id.loading.devices import choose_device
from concat_id.loading.load import (
    load_clothes_parser,
    load_curricular,
    load_face_tools,
    load_pipeline,
    load_video_text,
    weights_digest,
)
from concat_id.loading.memory import describe_bits
from concat_id.loading.presets import DEFAULT_PRESET, PRESETS
from concat_id.output.credentials import load_credentials
from concat_id.output.destination import choose_video
from concat_id.output.video_files import describe_run, write_or_rescue, write_result
from concat_id.pace import Stopwatch, remember
from concat_id.pipelines.encoded_inputs import encode_inputs
from concat_id.prompts.unread import describe_unread
from concat_id.references.prepare import (
    MIN_FACE_PX,
    TURNED,
    PreparedReference,
)
from concat_id.references.reference import Reference
from concat_id.references.roles import ROLES, load_reference
from concat_id.references.upright import stand_upright
from concat_id.references.white_crops import crop_on_white
from concat_id.scoring import Scores, Target
from concat_id.speed import SPEEDS, Speed, at_speed

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from concat_id.people.portrait import Traits
    from concat_id.pipelines.outputs import Step
    from concat_id.pipelines.pipeline import ConcatIDPipeline

LOGGER = logging.getLogger(__name__)

PREVIEW_EVERY = 2
PREVIEW_SCORED_FRAMES = 5
NOT_SCORED = "The video is finished, but the scores could not be computed; the log says why."
DRAWN_ONLY = "This model knows drawn people only: for photographs choose another one, such as wan-1.3b-adaln."


@dataclass(frozen=True, eq=False)
class Progress:
    """A denoising step is done."""

    index: int  # of the step, from 0
    total: int  # number of steps
    seconds: float  # since the start
    seconds_left: float  # estimated
    notes: tuple[str, ...] = field(default=(), kw_only=True)  # on references and prompt, in sentences


@dataclass(frozen=True, eq=False)
class Preview(Progress):
    """The video as the model predicts it while it is still denoising."""

    frames: np.ndarray  # (T, H, W, 3) uint8; only the clip's first frames where decoding all would take long
    scores: Scores | None  # None where a face reference shows no face to compare with


@dataclass(frozen=True, eq=False)
class Result:
    """The finished video."""

    video: Path  # MP4
    sidecar: Path  # JSON: the job, the scores, versions, seconds
    job: Job  # with all settings, and the pictures beside the video: running it again gives the same video
    scores: Scores | None  # None where a face reference shows no face to compare with
    seconds: float  # since the start
    frames: np.ndarray  # (T, H, W, 3) uint8
    notes: tuple[str, ...] = ()  # as of `Progress`


def generate(
    job: Job,
    output: Path,
    *,
    preview_every: int = PREVIEW_EVERY,
    device: str | None = None,
    memory: str | None = None,
) -> Iterator[Progress | Result]:
    """Run a job. Closing the generator, which yields at every step, stops it and leaves nothing behind.

    Args:
        output: the MP4 to write, or a folder to write it into.
        preview_every: steps from one preview to the next; 0 for none.
        device, memory: see `load_pipeline`.

    Yields:
        For each step its progress, which at some of them is a preview, then one result.
    """
    started = time.monotonic()
    # 1. Check
    job = job.resolve()
    device = choose_device(device)
    video = choose_video(output, job)
    load_credentials()  # what the video cannot be signed with is refused now, not after minutes
    # 2. Prepare the references
    pictures = [load_reference(reference) for reference in job.references]
    prepared = [
        prepare_picture(reference, picture, job.preset)
        for reference, picture in zip(job.references, pictures, strict=True)
    ]
    target = describe_target(job.references, pictures, prepared, job.preset)
    notes = (
        *collect_notes(prepared),
        *describe_unread(job.prompt, job.settings, job.preset),
        *describe_bits(memory),
    )
    # 3. Denoise
    pipeline = load_pipeline(job.preset, device, memory=memory, loras=job.loras)
    stopwatch = Stopwatch(job, device)
    watch = _Watch(pipeline, target, PRESETS[job.preset].preview_latent_frames, started, notes)
    with closing(stream_job(pipeline, job, prepared)) as steps:
        for step in stopwatch.time_steps(steps):
            is_last = step.index + 1 == step.total
            if preview_every and step.index % preview_every == 0 and not is_last:
                with stopwatch.previewing():
                    preview = watch.preview(step)
                yield preview
            else:
                yield watch.progress(step)
    # 4. Decode and score
    frames = decode_frames(pipeline, step.latents)
    scores = None
    try:
        scores = target.score_finished(frames, job.prompt) if target else None
    # Whatever befalls a judge at the end: the work of hours must not be lost for a number.
    except Exception:
        LOGGER.exception("a finished video could not be scored")
        notes = (*notes, NOT_SCORED)
    # 5. Write
    said = [reference.notes for reference in prepared]
    facts = describe_run(pictures, said, scores, PRESETS[job.preset].title, weights_digest(job.preset))
    files = write_or_rescue(video, lambda path: write_result(path, job, frames, pictures, facts, started))
    remember(job, device, memory, stopwatch.finish(pipeline.transformer))
    yield Result(files.video, files.sidecar, files.job, scores, files.seconds, frames, notes)


def prepare_reference(reference: Reference, preset: str = DEFAULT_PRESET) -> PreparedReference:
    """A reference as the model of a preset will see it, to show it beforehand."""
    return prepare_picture(reference, load_reference(reference), preset)


def describe_person(reference: Reference, preset: str = DEFAULT_PRESET) -> Traits:
    """The drawn person who is most like the one in a reference picture, by the face tools of a preset."""
    from concat_id.people.lookalike import read_traits
    from concat_id.people.portrait import roll_seed

    prepared = prepare_reference(reference, preset)
    picture = prepared.upright or load_reference(reference)
    return read_traits(picture, prepared.face, load_face_tools(preset).parser, roll_seed())


def decode_frames(pipeline: ConcatIDPipeline, latents: Tensor) -> np.ndarray:
    """Decode normalised latents of one video, (1, C, F, H / 8, W / 8), to (T, H, W, 3) uint8."""
    import torch

    with torch.inference_mode():
        video = pipeline.decode_latents(latents)[0]  # (T, 3, H, W)
        return (video.float() * 255).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()


class _Watch:
    """Turns denoising steps into progress and previews, and knows how long everything takes."""

    def __init__(
        self,
        pipeline: ConcatIDPipeline,
        target: Target | None,
        latent_frames: int | None,
        started: float,
        notes: tuple[str, ...],
    ) -> None:
        self._pipeline = pipeline
        self._target = target
        self._latent_frames = latent_frames
        self._started = started
        self._notes = notes
        self._loop_started = time.monotonic()
        self._ending_s = 0.0  # what decoding and scoring at the end may take; known after the first preview

    def progress(self, step: Step) -> Progress:
        """How far a step has brought the video."""
        now = time.monotonic()
        per_step = (now - self._loop_started) / (step.index + 1)
        seconds_left = per_step * (step.total - step.index - 1) + self._ending_s
        return Progress(step.index, step.total, now - self._started, seconds_left, notes=self._notes)

    def preview(self, step: Step) -> Preview:
        """Decode and score what a step predicts."""
        began = time.monotonic()
        # The autoencoder is causal: the first latent frames alone decode to exactly the first frames.
        latents = step.clean_latents[:, :, : self._latent_frames]
        frames = decode_frames(self._pipeline, latents)
        scores = None
        if self._target:
            scores = self._target.score(frames, sampling=min(PREVIEW_SCORED_FRAMES, len(frames)))
        # The end decodes all latent frames, as a preview does some.
        self._ending_s = (time.monotonic() - began) * step.clean_latents.shape[2] / latents.shape[2]
        return Preview(**vars(self.progress(step)), frames=frames, scores=scores)


def prepare_picture(
    reference: Reference, picture: Image.Image, preset: str, *, min_face_px: float = MIN_FACE_PX
) -> PreparedReference:
    """A reference, its picture loaded, as the model of a preset will see it.

    Args:
        min_face_px: side of the smallest face that is one.
    """
    kind, faces = ROLES[reference.role], load_face_tools(preset)
    if kind.tools == "clothes":
        turns = 0
        if not reference.whole_picture:
            picture, turns = stand_upright(picture, faces.finder, faces.parser)
        prepared = kind.prepare(picture, load_clothes_parser(preset), reference, min_face_px)
        return replace(prepared, notes=(TURNED[turns], *prepared.notes)) if turns else prepared
    try:
        prepared = kind.prepare(picture, faces, reference, min_face_px)
    except NoFaceFound as error:
        if PRESETS[preset].domain == "drawn":
            raise NoFaceFound(f"{error} {DRAWN_ONLY}") from error
        raise
    if PRESETS[preset].backbone == "consisid" and not reference.whole_picture:
        crop = crop_on_white(prepared.upright, prepared.face.landmarks, faces.parser)
        return replace(prepared, picture=crop)
    return prepared


def collect_notes(prepared: Sequence[PreparedReference]) -> tuple[str, ...]:
    """What the user should know of references, in sentences that name the one of several."""
    numbered = [(number, note) for number, seen in enumerate(prepared, start=1) for note in seen.notes]
    return tuple(f"Reference {number}: {note}" if len(prepared) > 1 else note for number, note in numbered)


def describe_target(
    references: Sequence[Reference],
    pictures: Sequence[Image.Image],
    prepared: Sequence[PreparedReference],
    preset: str,
    *,
    with_text: bool = True,
) -> Target | None:
    """What a video is compared with; None where a face reference is a whole picture without a face.

    Args:
        pictures: of the references, as loaded.
        prepared: of the references, as a preset's model sees them.
        with_text: whether there is a prompt to compare it with, too.
    """
    tools, curricular = load_face_tools(preset), load_curricular(preset)
    faces, others = [], {}
    for reference, picture, seen in zip(references, pictures, prepared, strict=True):
        if reference.role != "face":
            others[reference.role] = seen.picture
            continue
        face = seen.face
        if seen.upright:
            picture = seen.upright
        if face and tools.scorer.finder is not tools.finder:
            face = tools.scorer.find_again(picture, face)
        if not face:
            return None
        faces.append(tools.scorer.describe(picture, face, curricular=curricular))
    return Target(
        tools.scorer,
        tuple(faces),
        load_clothes_parser(preset) if others else None,
        others=others,
        curricular=curricular,
        video_text=load_video_text(preset) if with_text else None,
    )


def stream_job(
    pipeline: ConcatIDPipeline, job: Job, prepared: list[PreparedReference], speed: Speed | None = None
) -> Iterator[Step]:
    """The pipeline's denoising loop with a resolved job's values.

    Args:
        speed: another than the job's.
    """
    import torch

    settings = job.settings
    if settings.shift is not None:
        pipeline.scheduler.set_shift(settings.shift)
    pictures = [reference.picture for reference in prepared]
    # Without guidance there is no pass that could leave them out.
    skipped = settings.skip_guidance_layers if settings.guidance_scale > 1 else None
    with at_speed(pipeline.transformer, speed or SPEEDS[settings.speed]):
        yield from pipeline.stream(
            **encode_inputs(pipeline, job.prompt, pictures, settings),
            attention_kwargs=pipeline.describe_faces(prepared),
            height=settings.height,
            width=settings.width,
            num_frames=settings.num_frames,
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            reference_guidance_scale=settings.reference_guidance_scale,
            skip_guidance_layers=skipped,
            # Drawn on the processor: the same noise on every machine.
            generator=torch.Generator("cpu").manual_seed(settings.seed),
        )
