"""ArcSim: how much the person in a frame looks like the person of the reference."""

from __future__ import annotations

import numpy as np


def arc_similarity(reference: np.ndarray, face: np.ndarray) -> float:
    """Cosine of two face embeddings (D,) of unit length, clamped at 0 as in ConsisID's evaluation."""
    return max(0.0, float(reference @ face))
