"""What a video is compared with: the references of its job, whatever they are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from concat_id.parsing import Parser
from concat_id.scoring.scorer import ReferenceFace, Sampling, Scorer, Scores
from concat_id.scoring.surroundings import score_garment, score_place


@dataclass(frozen=True, eq=False)
class Target:
    """The references of a job, ready to be compared with its video."""

    scorer: Scorer
    faces: tuple[ReferenceFace, ...]  # one or more, from left to right
    clothes_parser: Parser | None = None  # needed with a garment or a place
    garment: Image.Image | None = None  # as prepared: on black
    place: Image.Image | None = None  # as prepared: without people

    def score(self, frames: np.ndarray, *, sampling: Sampling | int = "auto") -> Scores:
        """Score frames, (T, H, W, 3) uint8 RGB.

        Args:
            sampling: which frames: a named rule, or a number of evenly spaced frames.
        """
        if len(self.faces) == 1:
            scores = self.scorer.score(self.faces[0], frames, sampling=sampling)
        else:
            scores = self.scorer.score_people(self.faces, frames, sampling=sampling)
        seen, tools = frames[list(scores.frames.indices)], (self.clothes_parser, self.scorer.clip)
        if self.garment:
            scores = replace(scores, garment=score_garment(self.garment, seen, *tools))
        if self.place:
            scores = replace(scores, background=score_place(self.place, seen, *tools))
        return scores
