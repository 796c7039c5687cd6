"""The models that judge videos: the preset's own scorer, a second recogniser, a video-text model, a reader
and a judge of whole faces.

Drawn people are judged by the embedded models, photographs by the published ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL.Image import Image

from concat_id.evaluation.benchmark import Subject
from concat_id.evaluation.reader import ClipReader
from concat_id.evaluation.sharpness import face_gradient
from concat_id.evaluation.wholeness import WholenessJudge
from concat_id.job import take_more_than_faces
from concat_id.loading.load import (
    PARSER_FILES,
    load_clothes_parser,
    load_curricular,
    load_face_tools,
    load_video_text,
)
from concat_id.loading.presets import EMBEDDED, PRESETS
from concat_id.loading.weights import locate
from concat_id.references.parsing import Parser
from concat_id.references.pictures import load_picture
from concat_id.references.prepare import MIN_FACE_PX
from concat_id.references.reference import Reference, Role
from concat_id.references.roles import ROLES, load_reference
from concat_id.references.upright import Upright, find_upright
from concat_id.scoring import ReferenceFace, Scorer
from concat_id.scoring.curricularface import CurricularEmbedder
from concat_id.scoring.surroundings import COMPARISONS
from concat_id.scoring.video_clip import VideoTextScorer

# What happens in videos of drawn people is read back, and whether faces are whole; not in photographed ones.
READER = EMBEDDED / "evaluation" / "reader.onnx"
WHOLENESS = EMBEDDED / "evaluation" / "whole.onnx"
# Every fourth frame tells which garment or place it is.
RETRIEVAL_STRIDE = 4


@dataclass(frozen=True, eq=False)
class Judges:
    """All judges of a preset."""

    scorer: Scorer
    face_parser: Parser  # tells which way up a picture is
    curricular: CurricularEmbedder
    video_text: VideoTextScorer
    reader: ClipReader | None
    wholeness: WholenessJudge | None
    clothes_parser: Parser | None  # None where no task of the preset needs it
    fingerprint: str  # changes with the judges' files
    _found: dict[Path, Upright] = field(default_factory=dict)
    _known: dict[Path, ReferenceFace | None] = field(default_factory=dict)
    _gradients: dict[Path, float] = field(default_factory=dict)
    _prepared: dict[Path, Image] = field(default_factory=dict)

    def know(self, person: Subject) -> ReferenceFace | None:
        """A person's face, None if the scorer finds none in the picture; kept from one call to the next."""
        if person.picture not in self._known:
            found = self._find(person)
            self._known[person.picture] = (
                self.scorer.describe(found.picture, found.faces[0], curricular=self.curricular)
                if found.faces
                else None
            )
        return self._known[person.picture]

    def know_gradient(self, person: Subject) -> float:
        """How sharp the face in a person's picture is, who has one; kept from one call to the next."""
        if person.picture not in self._gradients:
            found = self._find(person)
            self._gradients[person.picture] = face_gradient(found.picture, found.faces[0].landmarks)
        return self._gradients[person.picture]

    def _find(self, person: Subject) -> Upright:
        """A person's picture as it stands upright, as it was when the video was made, and its faces."""
        if person.picture not in self._found:
            picture = load_picture(person.picture)
            self._found[person.picture] = find_upright(picture, self.scorer.finder, self.face_parser)
        return self._found[person.picture]

    def picks(self, role: Role, right: Subject, frames: np.ndarray, gallery: Sequence[Subject]) -> float:
        """1 if of all garments or places the right one is most like that in frames (T, H, W, 3), else 0."""
        likenesses = self.compare(role, gallery, frames[::RETRIEVAL_STRIDE])
        return float(likenesses is not None and gallery[int(np.argmax(likenesses))] == right)

    def compare(self, role: Role, subjects: Sequence[Subject], frames: np.ndarray) -> list[float] | None:
        """Likeness of frames (T, H, W, 3) to each garment or place; None where no frame shows the place."""
        pictures = [self.prepare(role, subject) for subject in subjects]
        return COMPARISONS[role](pictures, frames, self.clothes_parser, self.scorer.clip)

    def prepare(self, role: Role, subject: Subject) -> Image:
        """A garment or place as the model of the preset sees it; kept from one call to the next."""
        if subject.picture not in self._prepared:
            reference = Reference(role, subject.picture)
            picture = load_reference(reference)
            prepared = ROLES[role].prepare(picture, self.clothes_parser, reference, MIN_FACE_PX)
            self._prepared[subject.picture] = prepared.picture
        return self._prepared[subject.picture]


@lru_cache(maxsize=1)
def load_judges(preset: str) -> Judges:
    """The judges of a preset, kept until another one's are asked for.

    What is missing is named in a `WeightsUnavailable`.
    """
    model = PRESETS[preset]
    drawn = model.domain == "drawn"
    needs_clothes = take_more_than_faces(model.tasks)
    sources = [model.curricular, model.video_clip, model.score_pack, model.clip]
    weights = [locate(source) for source in [*sources, *([READER, WHOLENESS] if drawn else [])]]
    weights += [locate(model.clothes_parser, patterns=PARSER_FILES)] if needs_clothes else []
    tools = load_face_tools(preset)
    return Judges(
        scorer=tools.scorer,
        face_parser=tools.parser,
        curricular=load_curricular(preset),
        video_text=load_video_text(preset),
        reader=ClipReader(READER) if drawn else None,
        wholeness=WholenessJudge(WHOLENESS) if drawn else None,
        clothes_parser=load_clothes_parser(preset) if needs_clothes else None,
        fingerprint=_fingerprint(weights),
    )


def _fingerprint(paths: Iterable[Path]) -> str:
    """A digest of what files there are, by name, size and time: reading gigabytes would take too long."""
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    # What file managers leave among them changes no judge.
    own = [file for file in files if file.is_file() and not file.name.startswith(".")]
    facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in own]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
