"""The truth of a benchmark's cases: the renderer's own clips, as drawn and through the autoencoder.

No model can be expected to do better before the same judges: their figures of it are the ceiling.
Axes: T frames, H, W in px.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from concat_id import people
from concat_id.evaluation.benchmark import Benchmark, Case, InvalidBenchmark
from concat_id.generation import decode_frames
from concat_id.loading.load import load_pipeline
from concat_id.loading.presets import PRESETS, Preset
from concat_id.output.video import write_video
from concat_id.people import COLORS, GARMENTS, PLACES, Scenes, render, sample_scenes
from concat_id.people.outfit import PATTERNS, Outfit, sample_outfits
from concat_id.people.words import ACTIONS, FEELINGS
from concat_id.pipelines.latents import encode_videos

SPLIT = "test"
# Until one has the colour that a prompt asks for.
OUTFITS_TRIED = 2000


@dataclass(frozen=True)
class TruthMaker:
    """Draws the cases' videos instead of a model; see `concat_id.evaluation.run.Maker`.

    Args:
        preset: whose videos' size, length and autoencoder.
        is_coded: whether they go through the autoencoder.
        device: see `load_pipeline`.
    """

    preset: str
    is_coded: bool
    device: str | None = None

    def key(self, case: Case) -> dict[str, Any]:
        """The case, the renderer's code, and the autoencoder where frames go through it."""
        preset = PRESETS[self.preset]
        subjects = [*case.people, *([case.companion] if case.companion else [])]
        key = {
            "prompt": case.prompt,
            "truth": dict(case.truth),
            "seeds": [case.seed, *(subject.seed for subject in subjects)],
            "size": [preset.num_frames, preset.height, preset.width],
            "renderer_sha256": _renderer_digest(),
        }
        return key | ({"vae_sha256": _digest(Path(preset.base) / "vae")} if self.is_coded else {})

    def make(self, case: Case, video: Path) -> None:
        """Write the case's video."""
        preset = PRESETS[self.preset]
        frames = draw_case(case, preset)
        if self.is_coded:
            frames = pass_through(frames, self.preset, self.device)
        write_video(frames, preset.fps, video)


@lru_cache(maxsize=1)
def _renderer_digest() -> str:
    """Changes with the code that draws."""
    return _digest(Path(people.__file__).parent, "*.py")


def _digest(folder: Path, pattern: str = "*") -> str:
    """SHA-256 of a folder's files."""
    files = [path.read_bytes() for path in sorted(folder.glob(pattern)) if path.is_file()]
    return hashlib.sha256(b"".join(files)).hexdigest()


def check_drawn(benchmark: Benchmark, path: Path) -> None:
    """Refuse a benchmark whose people, garments or places the renderer does not know."""
    for subjects in benchmark.galleries.values():
        for subject in subjects:
            if subject.seed is None:
                raise InvalidBenchmark(
                    f"'{path}' does not say by which seed '{subject.name}' is drawn, so it has no truth; "
                    "take the benchmark of drawn people, or one that `train.benchmark` wrote."
                )


def draw_case(case: Case, preset: Preset) -> np.ndarray:
    """The case as the renderer shows it, (T, H, W, 3) uint8, of the preset's length and size."""
    rendering = render(stage(case, preset.num_frames), preset.height, preset.width)
    return (rendering.frames[0] * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


def pass_through(frames: np.ndarray, preset: str, device: str | None = None) -> np.ndarray:
    """What the preset's autoencoder makes of a clip, (T, H, W, 3) uint8."""
    pipeline = load_pipeline(preset, device)
    return decode_frames(pipeline, encode_videos(pipeline.vae, frames[None]))


def stage(case: Case, num_frames: int) -> Scenes:
    """The case's scene, B = 1: what the prompt and the pictures say, and the rest by chance."""
    import torch

    count = len(case.people)
    seeds = torch.tensor([person.seed for person in case.people])
    doings = [read_doing(part) for part in case.prompt.split("a person ")[1:]]
    given = {"headwear": "none"}
    if case.truth.get("place"):
        given["places"] = case.truth["place"]
    # Names are given for a whole clip: each person is taken from a clip in which all do the same.
    clips = [
        sample_scenes(
            case.seed,
            1,
            split=SPLIT,
            num_people=count,
            num_frames=num_frames,
            identity_seeds=seeds[None],
            **given,
            **doing,
        )
        for doing in doings
    ]
    scenes = seat(clips)
    outfit = choose_outfit(case)
    if outfit is not None:
        scenes = replace(scenes, outfit=outfit)
    companion = case.companion
    if companion and "place" in companion.truth:
        place = torch.tensor([PLACES.index(companion.truth["place"])])
        scenes = replace(scenes, place=place, place_seed=torch.tensor([companion.seed]))
    return scenes


def seat(clips: list[Scenes]) -> Scenes:
    """The first clip, with its second person as in the second clip, and so on.

    Args:
        clips: P clips of P people each.
    """
    import torch

    def join(parts: list[torch.Tensor], axis: int) -> torch.Tensor:
        return torch.stack([part.select(axis, person) for person, part in enumerate(parts)], axis)

    scenes = clips[0]
    tracks = {
        name: join([getattr(clip.performance, name) for clip in clips], 2)
        for name in vars(scenes.performance)
    }
    doings = {name: join([getattr(clip, name) for clip in clips], 1) for name in ("expression", "motion")}
    return replace(scenes, performance=type(scenes.performance)(**tracks), **doings)


def read_doing(words: str) -> dict[str, str]:
    """What one person of a prompt does, as `sample_scenes` takes it; the longest words that fit count."""
    kinds = {"expressions": FEELINGS, "motions": ACTIONS}
    found = [
        (len(phrase), topic, name)
        for topic, names in kinds.items()
        for name, phrases in names.items()
        for phrase in phrases
        if re.match(rf"{re.escape(phrase)}\b", words)
    ]
    if not found:
        return {}
    _, topic, name = max(found)
    return {topic: name}


def choose_outfit(case: Case) -> Outfit | None:
    """What the reference shows, or the prompt says, that the person wears, (1, 1); None if nothing does."""
    import torch

    kind = case.truth.get("garment")
    if kind is None:
        return None
    garment, bare = torch.tensor([[GARMENTS.index(kind)]]), torch.zeros(1, 1, dtype=torch.long)
    if case.companion:
        seeds = torch.tensor([[case.companion.seed]])
        return sample_outfits(seeds, split=SPLIT, garment=garment, headwear=bare)
    seeds = case.seed * OUTFITS_TRIED + torch.arange(OUTFITS_TRIED)[:, None]
    tried = sample_outfits(
        seeds,
        split=SPLIT,
        garment=garment.expand_as(seeds),
        headwear=bare.expand_as(seeds),
    )
    color = next((name for name in COLORS if f"{name} {kind}" in case.prompt), None)
    fits = tried.pattern == PATTERNS.index("plain")
    if color:
        fits &= tried.color == list(COLORS).index(color)
    number = int(fits.flatten().float().argmax())
    return tried.rows(slice(number, number + 1))
