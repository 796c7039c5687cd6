"""What a video is compared with: the references of its job, whatever they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from concat_id.references.faces import Face
from concat_id.references.parsing import Parser
from concat_id.references.reference import Role
from concat_id.scoring.scorer import ReferenceFace, Sampling, Scorer, Scores, mean_found, sample_frames
from concat_id.scoring.surroundings import COMPARISONS

if TYPE_CHECKING:
    from concat_id.scoring.curricularface import CurricularEmbedder
    from concat_id.scoring.video_clip import VideoTextScorer


@dataclass(frozen=True, eq=False)
class Target:
    """The references of a job, ready to be compared with its video."""

    scorer: Scorer
    faces: tuple[ReferenceFace, ...]  # one or more, from left to right
    clothes_parser: Parser | None = None  # needed with others than faces
    others: Mapping[Role, Image.Image] = field(default_factory=dict)  # by role, as prepared
    # What looks at finished videos only, where it is on this machine
    curricular: CurricularEmbedder | None = None  # `faces` are described by it, too
    video_text: VideoTextScorer | None = None

    def score(self, frames: np.ndarray, *, sampling: Sampling | int = "auto") -> Scores:
        """Score frames, (T, H, W, 3) uint8 RGB.

        Args:
            sampling: which frames: a named rule, or a number of evenly spaced frames.
        """
        return self._score(frames, sampling)[0]

    def score_finished(self, frames: np.ndarray, prompt: str, *, sampling: Sampling = "auto") -> Scores:
        """Score a finished video, (T, H, W, 3) uint8 RGB, also by what takes too long for previews.

        Args:
            prompt: what `video_text` compares the video with.
            sampling: as for `score`; `video_text` has a sampling of its own.
        """
        scores, tracks = self._score(frames, sampling)
        if self.curricular:
            seen = frames[list(scores.frames.indices)]
            scores = add_cursim(
                scores,
                [
                    mean_found(self.curricular.compare(face.curricular, track, seen))
                    for face, track in zip(self.faces, tracks, strict=True)
                ],
            )
        if self.video_text:
            scores = replace(scores, viclip=self.video_text.score(frames, prompt))
        return scores

    def _score(
        self, frames: np.ndarray, sampling: Sampling | int
    ) -> tuple[Scores, list[tuple[Face | None, ...]]]:
        """Scores, and the faces they were computed of."""
        indices = sample_frames(len(frames), sampling)
        seen, tools = frames[indices], (self.clothes_parser, self.scorer.clip)
        tracks = self.scorer.track(self.faces, seen)
        scores = self.scorer.compare(self.faces, seen, indices, tracks)
        for role, picture in self.others.items():
            likenesses = COMPARISONS[role]([picture], seen, *tools)
            scores = replace(scores, **{role: likenesses[0] if likenesses else None})
        return scores, tracks


def add_cursim(scores: Scores, cursim: Sequence[float]) -> Scores:
    """Scores with each person's CurSim, and the mean over several people."""
    # One person alone is not listed.
    listed = zip(scores.people, cursim, strict=False)
    people = tuple(replace(person, cursim=value) for person, value in listed)
    return replace(scores, people=people, cursim=sum(cursim) / len(cursim))
