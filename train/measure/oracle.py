"""Where faces break: the model goes on from the truth under some noise, with the preset's own settings.

    python -m train.measure.oracle [--noise 0.5 0.3] [--clips 16] [--stills] [--sheet sheet.png]

From noise 1 it makes everything itself; the less noise, the more it is told. People, places and captions are
of the validation split. Prints the share of frames with a whole face, the share of clips whose expression is
read right, and the gradient inside the face as a share of the truth's; beside each its share of what the
truth itself reaches through the autoencoder, which is the judges' ceiling. A clip takes 3 s of a core and of
each noise level, a still .5 s.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from concat_id.evaluation.judges import READER, WHOLENESS
from concat_id.evaluation.reader import ClipReader
from concat_id.evaluation.sharpness import mean_gradient
from concat_id.evaluation.wholeness import WholenessJudge
from concat_id.loading.load import load_face_tools, load_pipeline
from concat_id.loading.presets import DEFAULT_PRESET, PRESETS
from concat_id.people import EXPRESSIONS
from concat_id.references.faces import FaceFinder
from train.transformer.continuation import (
    ContinuingPipeline,
    Truth,
    continue_from,
    decode,
    draw_noise,
    film_truth,
    to_pixels,
)
from train.transformer.gallery import contact_sheet

SEED = 3
AT_ONCE = 4
DRAWN, CODED = "truth, as drawn", "truth, autoencoder"
SHEET_CLIPS = 8


@dataclass(frozen=True)
class Reading:
    """What the judges say of one clip."""

    whole: float  # share of the frames with a whole face
    expression: float  # 1 if it was read right
    gradient: float | None  # inside the face; None where no frame has one


class Jury:
    """The judges of faces and expressions."""

    def __init__(self, finder: FaceFinder, reader: ClipReader, wholeness: WholenessJudge) -> None:
        self.finder, self.reader, self.wholeness = finder, reader, wholeness

    def read(self, frames: np.ndarray, expression: str) -> Reading:
        """Read a clip, (T, H, W, 3) uint8; T may be 1."""
        faces = [self.finder.find_largest(frame) for frame in frames]
        found = [[face] if face else [] for face in faces]
        return Reading(
            whole=float(self.wholeness.are_whole(frames, found).mean()),
            expression=float(self.reader.read(frames)["expression"] == expression),
            gradient=mean_gradient(frames, faces),
        )


def film_clips(pipeline: ContinuingPipeline, count: int, *, stills: bool) -> Iterator[tuple[int, Truth]]:
    """Clips of the validation split, a few at once, and the number of the first; all expressions in turn."""
    for start in range(0, count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, count))
        expressions = [EXPRESSIONS[number % len(EXPRESSIONS)] for number in numbers]
        yield (
            start,
            film_truth(
                pipeline,
                PRESETS[DEFAULT_PRESET],
                SEED + start,
                len(numbers),
                split="validation",
                stills=stills,
                expressions=expressions,
            ),
        )


def show_all(pipeline: ContinuingPipeline, truth: Truth, levels: list[float]) -> dict[str, np.ndarray]:
    """Videos (B, T, H, W, 3) uint8 by what they start from: each noise level, and the truths."""
    noise = draw_noise(truth, SEED)
    made = {
        f"noise {level:g}": continue_from(pipeline, PRESETS[DEFAULT_PRESET], truth, level, noise)
        for level in levels
    }
    videos = {name: to_pixels(decode(pipeline, latents)) for name, latents in made.items()}
    coded = to_pixels(decode(pipeline, truth.latents))
    return {**videos, CODED: coded, DRAWN: to_pixels(truth.frames)}


def describe(readings: list[Reading], truths: list[Reading], ceiling: list[Reading] | None) -> str:
    """The three figures of some clips, with their shares of the ceiling's where there is one.

    Args:
        truths: of the same clips as drawn, whose gradient counts as 1.
    """

    def figures(of: list[Reading]) -> tuple[float, float, float]:
        ratios = [
            one.gradient / true.gradient
            for one, true in zip(of, truths, strict=True)
            if one.gradient and true.gradient
        ]
        return (
            100 * float(np.mean([one.whole for one in of])),
            100 * float(np.mean([one.expression for one in of])),
            float(np.mean(ratios)) if ratios else 0.0,
        )

    whole, expression, gradient = figures(readings)
    cells = [f"{whole:5.1f} %", f"{expression:5.1f} %", f"{gradient:7.3f}"]
    if ceiling:
        shares = [
            f"{100 * own / best:4.0f} %" if best else "   - %"
            for own, best in zip((whole, expression, gradient), figures(ceiling), strict=True)
        ]
    else:
        shares = [" " * 6] * 3
    return "   ".join(f"{cell} {share}" for cell, share in zip(cells, shares, strict=True))


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--noise", type=float, nargs="+", default=[0.5], help="levels to start from, to 1")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--stills", action="store_true", help="one moment of each clip: six times as fast")
    parser.add_argument("--sheet", type=Path, help="write the middle frames of 8 clips, as PNG")
    options = parser.parse_args(arguments)
    if not all(0 < level <= 1 for level in options.noise) or options.clips < 1:
        parser.error("--noise takes levels above 0 and up to 1, --clips 1 or more.")
    pipeline = ContinuingPipeline(**load_pipeline(DEFAULT_PRESET).components)
    pipeline.set_progress_bar_config(disable=True)
    finder = load_face_tools(DEFAULT_PRESET).finder
    jury = Jury(finder, ClipReader(READER), WholenessJudge(WHOLENESS))
    readings: dict[str, list[Reading]] = {}
    rows = []
    for start, truth in film_clips(pipeline, options.clips, stills=options.stills):
        videos = show_all(pipeline, truth, options.noise)
        names = [names[0] for names in truth.scenes.expression_names]
        for kind, clips in videos.items():
            read = [jury.read(clip, name) for clip, name in zip(clips, names, strict=True)]
            readings.setdefault(kind, []).extend(read)
        middles = np.stack([clips[:, clips.shape[1] // 2] for clips in videos.values()], 1)  # (B, kinds, ...)
        rows += list(torch.from_numpy(middles).permute(0, 1, 4, 2, 3) / 255)
        print(f"\r{start + len(names)}/{options.clips}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    what = "stills" if options.stills else "clips"
    print(f"{options.clips} {what}, validation split; in the second columns, of the autoencoder's own")
    print(f"{'from':20s} {'whole faces':>14s}   {'expression':>14s}   {'gradient':>14s}")
    for kind, read in readings.items():
        ceiling = None if kind == DRAWN else readings[CODED]
        print(f"{kind:20s} {describe(read, readings[DRAWN], ceiling)}")
    if options.sheet:
        contact_sheet(rows[:SHEET_CLIPS]).save(options.sheet)


if __name__ == "__main__":
    main()
