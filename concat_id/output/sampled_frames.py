"""Some frames of a video that is too long to be held in memory, addressed as if all were there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class SampledFrames:
    """Stands for the array of all frames, (T, H, W, 3) uint8, of which only some were kept.

    Args:
        kept: (K, H, W, 3) uint8.
        indices: which frames they are, K of them, ascending.
        total: T.
    """

    def __init__(self, kept: np.ndarray, indices: Sequence[int], total: int) -> None:
        self._kept, self._total = kept, total
        self._places = {index: place for place, index in enumerate(indices)}

    def __len__(self) -> int:
        return self._total

    def __getitem__(self, indices: int | Sequence[int]) -> np.ndarray:
        """One frame, or those of several indices; an index that was not kept is a KeyError."""
        if isinstance(indices, int | np.integer):
            return self._kept[self._places[int(indices)]]
        return self._kept[[self._places[int(index)] for index in indices]]
