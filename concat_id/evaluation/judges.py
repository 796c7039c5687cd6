"""The models that judge videos: the preset's own scorer, a second recogniser, a video-text model, a reader.

Drawn people are judged by the embedded models, photographs by the published ones. Axes: D embedding width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from concat_id.evaluation.benchmark import Subject
from concat_id.evaluation.curricularface import CurricularEmbedder
from concat_id.evaluation.reader import ClipReader
from concat_id.evaluation.video_clip import VideoClip, VideoTextScorer, load_viclip
from concat_id.pictures import load_picture
from concat_id.presets import EMBEDDED, PRESETS, load_face_tools
from concat_id.scoring import ReferenceFace, Scorer
from concat_id.weights import Source, locate


@dataclass(frozen=True)
class JudgeSources:
    """Where judges come from, see `concat_id.weights`."""

    curricular: Source
    video_clip: Source
    reader: Source | None  # None: what happens in photographed videos is not read back


EMBEDDED_JUDGES = JudgeSources(
    curricular=EMBEDDED / "evaluation" / "cur.onnx",
    video_clip=EMBEDDED / "evaluation" / "video_clip",
    reader=EMBEDDED / "evaluation" / "reader.onnx",
)
PUBLISHED_JUDGES = JudgeSources(
    curricular="hub:BestWishYsh/ConsisID-preview/face_encoder/glint360k_curricular_face_r101_backbone.bin",
    video_clip="hub:OpenGVLab/ViCLIP/ViClip-InternVid-10M-FLT.pth",
    reader=None,
)


@dataclass(frozen=True, eq=False)
class KnownFace:
    """A benchmark person as both recognisers see them."""

    reference: ReferenceFace
    curricular: np.ndarray  # (D,) float32, unit length


@dataclass(frozen=True, eq=False)
class Judges:
    """All judges of a preset."""

    scorer: Scorer
    curricular: CurricularEmbedder
    video_text: VideoTextScorer
    reader: ClipReader | None
    fingerprint: str  # changes with the judges' files
    _known: dict[Path, KnownFace | None] = field(default_factory=dict)

    def know(self, person: Subject) -> KnownFace | None:
        """A person's face, None if the scorer finds none in the picture; kept from one call to the next."""
        if person.picture not in self._known:
            picture = load_picture(person.picture)
            faces = self.scorer.finder.find(picture)
            self._known[person.picture] = (
                KnownFace(
                    self.scorer.describe(picture, faces[0]),
                    self.curricular.embed(picture, [faces[0].landmarks])[0],
                )
                if faces
                else None
            )
        return self._known[person.picture]


@lru_cache(maxsize=1)
def load_judges(preset: str) -> Judges:
    """The judges of a preset, kept until another one's are asked for.

    What is missing is named in a `WeightsUnavailable`.
    """
    from transformers import CLIPTokenizer

    is_drawn = isinstance(PRESETS[preset].score_pack, Path)
    sources = EMBEDDED_JUDGES if is_drawn else PUBLISHED_JUDGES
    curricular, weights = locate(sources.curricular), locate(sources.video_clip)
    if is_drawn:
        model, tokenizer = VideoClip.from_pretrained(weights).float(), weights
    else:
        # ViCLIP took over CLIP's vocabulary.
        model, tokenizer = load_viclip(weights), locate(PRESETS[preset].clip)
    return Judges(
        scorer=load_face_tools(preset).scorer,
        curricular=CurricularEmbedder.load(curricular),
        video_text=VideoTextScorer(model, CLIPTokenizer.from_pretrained(tokenizer)),
        reader=ClipReader(locate(sources.reader)) if sources.reader else None,
        fingerprint=_fingerprint(
            [
                curricular,
                weights,
                tokenizer,
                *map(locate, (PRESETS[preset].score_pack, PRESETS[preset].clip)),
                *([locate(sources.reader)] if sources.reader else []),
            ]
        ),
    )


def _fingerprint(paths: Iterable[Path]) -> str:
    """A digest of what files there are, by name, size and time: reading gigabytes would take too long."""
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
