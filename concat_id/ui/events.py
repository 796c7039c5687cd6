"""From a job to a video: runs it, one at a time, and says what the visitor can put right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Semaphore
from typing import TYPE_CHECKING, Any, TypeAlias

import gradio as gr

from concat_id.errors import InputError, RunTooLong
from concat_id.generation import PREVIEW_EVERY, Progress
from concat_id.limits import DEFAULTS, Limits
from concat_id.loading.load import make_ready
from concat_id.loading.presets import PRESETS, Backbone
from concat_id.pace import count_passes
from concat_id.settings import count_tokens
from concat_id.speed import SPEEDS
from concat_id.studio.runs import Library
from concat_id.ui.texts import sentence

if TYPE_CHECKING:
    from concat_id.generation import Result
    from concat_id.job import Job
    from concat_id.loading.load import Loading
    from concat_id.loading.weights import Fetching
    from concat_id.serve.messages import Waiting

# Takes a job, a folder and, where it is asked for, `memory`.
Generate = Callable[..., Iterator["Waiting | Progress | Result"]]
# What a run goes through; the first two only where its preset is not the last run's, the third at a backend.
Event: TypeAlias = "Fetching | Loading | Waiting | Progress | Result"

# Runs wait in one line, whichever tab or program asks for them.
RUN_QUEUE = "runs"

# For what takes no time: others need not wait for it, and nothing says that something is under way.
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}

# What a shared GPU is asked for; estimates, rather too much: it is taken away when they are over.
START_SECONDS = 15
# Per denoising pass and latent token; about a second for 81 frames of 480 x 832 on Wan 1.3B. CogVideoX 5B has
# four times its parameters, and counts 2.4 times its operations a token.
SECONDS_PER_TOKEN: dict[Backbone, float] = {"wan": 3e-5, "cogvideox": 7e-5, "consisid": 7e-5}
# A few frames are decoded, and five of them looked at by the processor.
PREVIEW_SECONDS = 2
# At the end every frame is decoded, many are looked at by three models, and all are written.
END_SECONDS_PER_FRAME = 0.4


@contextmanager
def as_sentences() -> Iterator[None]:
    """The one place where what the visitor can put right becomes a message; the rest keeps its traceback."""
    try:
        yield
    except InputError as error:
        raise gr.Error(sentence(error), print_exception=False) from error


@dataclass(eq=False)
class Runner:
    """Runs jobs for every visitor, each run in a folder of its own; forms begin with the preset.

    Attributes:
        replicas: of a backend, by which runs are made; None: on this machine, one at a time.
    """

    generate: Generate
    preset: str
    library: Library
    limits: Limits = DEFAULTS
    replicas: int | None = None
    # Gradio lets the next run begin as soon as one is cancelled, while its last step is still being computed.
    _turn: Semaphore = field(init=False, repr=False)
    _loaded: str = field(init=False)  # the last run's preset; at first the page's, loaded at the start

    def __post_init__(self) -> None:
        self._loaded = self.preset
        self._turn = Semaphore(self.replicas or 1)

    @property
    def queue(self) -> dict[str, Any]:
        """How events wait that run jobs."""
        return {"concurrency_id": RUN_QUEUE, "concurrency_limit": self.replicas or 1}

    def run(self, job: Job, visitor: str | None = None, memory: str | None = None) -> Iterator[Event]:
        """Run a job into a fresh folder whose name cannot be guessed; what its preset lacks is fetched first.

        Args:
            visitor: the token of who will find it among the runs; None, as for programs: nobody.
            memory: see `load_pipeline`.
        """
        with as_sentences(), self._turn:
            self._tidy()
            if self.replicas is None and job.preset != self._loaded:
                # Before `generate`: a shared GPU is not asked for to wait for a network.
                yield from make_ready(job.preset)
            given = {"memory": memory} if memory else {}
            with closing(self.generate(job, self.library.new_folder(visitor), **given)) as events:
                for event in events:
                    self._loaded = job.preset
                    if isinstance(event, Progress):
                        self._check_time(event.seconds)
                    yield event

    def _tidy(self) -> None:
        """Make room for the next run."""
        hours = self.limits.expire_hours
        self.library.tidy(hours and 3600 * hours, self.limits.output_bytes)

    def _check_time(self, seconds: float) -> None:
        """Refuse to go on for longer than a run may take; a video that is finished is kept all the same."""
        most = self.limits.run_seconds
        if most and seconds > most:
            raise RunTooLong(
                f"the run was stopped after {seconds:.0f} s; {most} s are allowed here. Take fewer steps."
            )


def gpu_seconds(job: Job, output: Path, memory: str | None = None) -> int:
    """How long a shared GPU is asked for, in seconds: from the start to the video's file."""
    settings = job.settings
    preset = PRESETS[job.preset]
    tokens = count_tokens(settings.width, settings.height, settings.num_frames, preset, len(job.references))
    steps = settings.num_inference_steps
    computed = SPEEDS[settings.speed].count_computed(steps)
    denoising = (
        computed * count_passes(settings) * tokens * SECONDS_PER_TOKEN[preset.backbone]
        + steps // PREVIEW_EVERY * PREVIEW_SECONDS
    )
    return START_SECONDS + round(denoising + settings.num_frames * END_SECONDS_PER_FRAME)
