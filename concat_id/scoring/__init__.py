"""Scores of a video against its references: are they the same people, does their face still change, do they
wear the garment, are they in the place?"""

from __future__ import annotations

from concat_id.scoring.clip import ClipEmbedder
from concat_id.scoring.scorer import FrameScores, ReferenceFace, Sampling, Scorer, Scores
from concat_id.scoring.target import Target

__all__ = [
    "ClipEmbedder",
    "FrameScores",
    "ReferenceFace",
    "Sampling",
    "Scorer",
    "Scores",
    "Target",
]
