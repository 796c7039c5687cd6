"""What a video will cost here, in seconds and bytes: measured in the last run of its model, on this machine.

A run is taken apart into what each further one needs as well: a start, passes of the transformer, previews,
an end. A pass takes time in proportion to its tokens, and more where attention, which grows with their
square, has come to take most of it. What was measured is kept in `pace.json` in the cache's folder.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from concat_id.files.atomic import replacing
from concat_id.job import Job
from concat_id.loading.devices import choose_device
from concat_id.loading.peak_memory import MemoryWatch
from concat_id.loading.presets import FRAMES_PER_LATENT, PRESETS
from concat_id.loading.weights import cache_folder
from concat_id.settings import Settings, count_tokens
from concat_id.speed import SPEEDS

if TYPE_CHECKING:
    from diffusers import ModelMixin

    from concat_id.pipelines.outputs import Step

FILE = "pace.json"


@dataclass(frozen=True)
class Pace:
    """How fast a model ran, per unit of what a job asks for; a pixel is one of one frame."""

    start_s: float  # until the first step: references, prompt
    token_s: float  # per token and pass, apart from attention
    attention_tokens: float  # how many make attention take as long as all else
    preview_s: float  # per pixel that is previewed
    end_s: float  # per pixel of the video: decoding, scores, writing
    held_bytes: int | None = None  # before the first step; None where memory is not measured
    pixel_bytes: float = 0.0  # per pixel of the video, at the peak

    def pass_seconds(self, tokens: int) -> float:
        """What one pass over so many tokens takes."""
        return self.token_s * _weigh(tokens, self.attention_tokens)


@dataclass(frozen=True)
class Forecast:
    """What a job will take, once its model is loaded."""

    seconds: float
    memory_bytes: int | None  # at most; None where it is not known


@dataclass(eq=False)
class Stopwatch:
    """Measures a resolved job while it runs.

    Args:
        device: as torch names it.
    """

    job: Job
    device: str
    _began: float = field(default_factory=time.monotonic, init=False)
    _steps: list[float] = field(default_factory=list, init=False)
    _previews: list[float] = field(default_factory=list, init=False)

    def time_steps(self, steps: Iterator[Step]) -> Iterator[Step]:
        """The steps as they come; what is done between them does not count."""
        self._memory = MemoryWatch(self.device)
        began = self._began  # with what comes before the first
        for step in steps:
            self._steps.append(time.monotonic() - began)
            yield step
            began = time.monotonic()
        self._denoised = time.monotonic()

    @contextmanager
    def previewing(self) -> Iterator[None]:
        """Measure a preview."""
        began = time.monotonic()
        yield
        self._previews.append(time.monotonic() - began)

    def finish(self, transformer: ModelMixin) -> Pace | None:
        """What the run that ends now has shown; None if it had one step, which tells nothing apart."""
        if len(self._steps) < 2:
            return None
        settings, preset = self.job.settings, PRESETS[self.job.preset]
        computed = SPEEDS[settings.speed].count_computed(len(self._steps))
        # What no step computes costs next to nothing; the first step has all that comes before it.
        step_s = median(sorted(self._steps[1:])[1 - computed :]) if computed > 1 else 0.0
        attention = count_attention_tokens(transformer)
        pixels = _count_pixels(settings)
        memory = self._memory.read()
        per_pass = step_s / count_passes(settings)
        preview_s = median(self._previews) if self._previews else 0.0
        return Pace(
            start_s=max(0.0, self._steps[0] - step_s),
            token_s=per_pass / _weigh(_count_tokens(self.job), attention),
            attention_tokens=attention,
            preview_s=preview_s / _count_pixels(settings, preset.preview_latent_frames),
            end_s=(time.monotonic() - self._denoised) / pixels,
            held_bytes=memory.held if memory else None,
            pixel_bytes=(memory.peak - memory.held) / pixels if memory else 0.0,
        )


def count_attention_tokens(transformer: ModelMixin) -> float:
    """How many tokens make a transformer's attention take as long as all else.

    A token goes through each parameter once; to each other token, in each layer, it takes two products of the
    width of the attention.
    """
    config = transformer.config
    width = config.num_attention_heads * config.attention_head_dim
    parameters = sum(parameter.numel() for parameter in transformer.parameters())
    return parameters / (2 * width * config.num_layers)


def count_passes(settings: Settings) -> int:
    """How often the transformer is asked in a step."""
    return 1 + (settings.guidance_scale > 1) + (settings.reference_guidance_scale != 1)


def count_previews(steps: int, every: int) -> int:
    """How many previews a run of so many steps shows; the last step's is the video."""
    return len(range(0, steps - 1, every)) if every else 0


def forecast(
    job: Job, *, preview_every: int, device: str | None = None, memory: str | None = None
) -> Forecast | None:
    """What a resolved job will take on a device of this machine; None before any run of its model.

    Args:
        preview_every, device, memory: as for `generate`.
    """
    pace = _read_all().get(_name(job, choose_device(device), memory))
    if pace is None:
        return None
    settings, preset = job.settings, PRESETS[job.preset]
    pixels = _count_pixels(settings)
    step_s = count_passes(settings) * pace.pass_seconds(_count_tokens(job))
    previews = count_previews(settings.num_inference_steps, preview_every)
    preview_s = pace.preview_s * _count_pixels(settings, preset.preview_latent_frames)
    steps = SPEEDS[settings.speed].count_computed(settings.num_inference_steps)
    seconds = pace.start_s + steps * step_s + previews * preview_s
    held = pace.held_bytes
    return Forecast(
        seconds + pace.end_s * pixels, None if held is None else round(held + pace.pixel_bytes * pixels)
    )


def remember(job: Job, device: str, memory: str | None, pace: Pace | None) -> None:
    """Keep what was measured for the next forecast; where it cannot be kept, there is none."""
    if pace is None:
        return
    known = {name: asdict(entry) for name, entry in _read_all().items()}
    known[_name(job, device, memory)] = asdict(pace)
    with suppress(OSError), replacing(cache_folder() / FILE) as path:
        path.write_text(json.dumps(known, indent=1), encoding="utf-8")


def _read_all() -> dict[str, Pace]:
    """All that is known; nothing, where the file is not as it was written here."""
    try:
        data: dict[str, dict[str, Any]] = json.loads((cache_folder() / FILE).read_text(encoding="utf-8"))
        return {name: Pace(**entry) for name, entry in data.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _name(job: Job, device: str, memory: str | None) -> str:
    """What was measured: presets of the same weights are as fast as each other."""
    preset = PRESETS[job.preset]
    return " ".join(str(part) for part in (preset.base, preset.checkpoint, device, memory or "auto"))


def _count_tokens(job: Job) -> int:
    """Tokens of a job's video and references."""
    settings, preset = job.settings, PRESETS[job.preset]
    return count_tokens(settings.width, settings.height, settings.num_frames, preset, len(job.references))


def _weigh(tokens: int, attention_tokens: float) -> float:
    """The work of a pass, in tokens without attention."""
    return tokens * (1 + tokens / attention_tokens)


def _count_pixels(settings: Settings, latent_frames: int | None = None) -> int:
    """Pixels of all frames, or of those that the first latent frames decode to."""
    frames = settings.num_frames
    if latent_frames is not None:
        frames = min(frames, FRAMES_PER_LATENT * (latent_frames - 1) + 1)
    return frames * settings.height * settings.width
