"""The models that judge videos: the preset's own scorer, a second recogniser, a video-text model, a reader.

Drawn people are judged by the embedded models, photographs by the published ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from concat_id.evaluation.benchmark import Subject
from concat_id.evaluation.reader import ClipReader
from concat_id.pictures import load_picture
from concat_id.presets import EMBEDDED, PRESETS, load_curricular, load_face_tools, load_video_text
from concat_id.scoring import ReferenceFace, Scorer
from concat_id.scoring.curricularface import CurricularEmbedder
from concat_id.scoring.video_clip import VideoTextScorer
from concat_id.weights import locate

# Reads back what happens in videos of drawn people; in photographed ones it is not read.
READER = EMBEDDED / "evaluation" / "reader.onnx"


@dataclass(frozen=True, eq=False)
class Judges:
    """All judges of a preset."""

    scorer: Scorer
    curricular: CurricularEmbedder
    video_text: VideoTextScorer
    reader: ClipReader | None
    fingerprint: str  # changes with the judges' files
    _known: dict[Path, ReferenceFace | None] = field(default_factory=dict)

    def know(self, person: Subject) -> ReferenceFace | None:
        """A person's face, None if the scorer finds none in the picture; kept from one call to the next."""
        if person.picture not in self._known:
            picture = load_picture(person.picture)
            faces = self.scorer.finder.find(picture)
            self._known[person.picture] = (
                self.scorer.describe(picture, faces[0], curricular=self.curricular) if faces else None
            )
        return self._known[person.picture]


@lru_cache(maxsize=1)
def load_judges(preset: str) -> Judges:
    """The judges of a preset, kept until another one's are asked for.

    What is missing is named in a `WeightsUnavailable`.
    """
    model = PRESETS[preset]
    reader = READER if model.knows_drawn_people_only else None
    sources = [model.curricular, model.video_clip, model.score_pack, model.clip]
    weights = [locate(source) for source in [*sources, *([reader] if reader else [])]]
    return Judges(
        scorer=load_face_tools(preset).scorer,
        curricular=load_curricular(preset),
        video_text=load_video_text(preset),
        reader=ClipReader(reader) if reader else None,
        fingerprint=_fingerprint(weights),
    )


def _fingerprint(paths: Iterable[Path]) -> str:
    """A digest of what files there are, by name, size and time: reading gigabytes would take too long."""
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
