"""Scores of a video against its reference: is it the same person, and does the face still change?"""

from concat_id.scoring.clip import ClipEmbedder
from concat_id.scoring.scorer import SAMPLINGS, FrameScores, ReferenceFace, Sampling, Scorer, Scores

__all__ = ["SAMPLINGS", "ClipEmbedder", "FrameScores", "ReferenceFace", "Sampling", "Scorer", "Scores"]
