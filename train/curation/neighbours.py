"""Step 5a: whose references lie near to whom, among any number of them, by FAISS.

Up to some tens of thousands every one is compared with every other. Beyond, an inverted file (Johnson et al.,
2017) compares with those of the nearest cells only, stored as half floats; what it proposes is scored again
with the exact embeddings, so that a cosine is never approximate: all that can happen is that a pair is
    missed.

Axes: Q queries, N references, D embedding, M pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import faiss
import numpy as np

from train.curation.bands import Band

# Queries at once: bounds the memory for what lies in the band.
CHUNK = 4096
TRAINING_PER_CELL = 40
PROBED_CELLS = 80
# How far a cosine of half floats may err, generously.
MARGIN = 0.005

Name = TypeVar("Name", bound=str)


@dataclass(frozen=True, eq=False)
class Found:
    """Pairs inside a band: numbers of queries and of references, and their cosines, (M,) each."""

    queries: np.ndarray
    references: np.ndarray
    cosines: np.ndarray


class ReferenceIndex:
    """References to search among.

    Args:
        embeddings: of unit length, (N, D) float32; kept, not copied: may be a memory map.
        videos: the video that each comes from, (N,) int64.
        exact_below: up to so many, search is exhaustive.
    """

    def __init__(self, embeddings: np.ndarray, videos: np.ndarray, *, exact_below: int) -> None:
        self._embeddings, self._videos = embeddings, videos
        self.is_exact = len(embeddings) <= exact_below
        self._index = _build_flat(embeddings) if self.is_exact else _build_cells(embeddings)

    def search(
        self, queries: np.ndarray, videos: np.ndarray, bands: Mapping[Name, Band], *, most: int
    ) -> Iterator[dict[Name, Found]]:
        """References inside bands, chunk by chunk; of each query the nearest, never of its own video.

        Args:
            queries: of unit length, (Q, D) float32.
            videos: of the queries, (Q,) int64.
            bands: by name; all are searched at once.
            most: references of each query, in each band.
        """
        low = min(band.low for band in bands.values()) - (0 if self.is_exact else MARGIN)
        for start in range(0, len(queries), CHUNK):
            part = np.ascontiguousarray(queries[start : start + CHUNK], np.float32)
            limits, _, numbers = self._index.range_search(part, low)
            rows = np.repeat(np.arange(len(part)), np.diff(limits.astype(np.int64)))
            other = videos[start + rows] != self._videos[numbers]
            rows, numbers = rows[other], numbers[other]
            cosines = np.einsum("md,md->m", part[rows], self._embeddings[numbers], dtype=np.float32)
            # Nearest first, and of equal ones the first: the same whatever order FAISS found them in.
            order = np.lexsort((numbers, -cosines, rows))
            near = Found(rows[order], numbers[order], cosines[order])
            yield {name: _take(near, band, start, most) for name, band in bands.items()}


def _take(near: Found, band: Band, start: int, most: int) -> Found:
    """Of pairs in order, the first ones of each query inside a band.

    Args:
        start: number of the first query.
    """
    held = (near.cosines >= band.low) & (near.cosines <= band.high)
    rows = near.queries[held]
    best = np.flatnonzero(held)[np.arange(len(rows)) - np.searchsorted(rows, rows) < most]
    return Found(start + near.queries[best], near.references[best], near.cosines[best])


def _build_flat(embeddings: np.ndarray) -> faiss.Index:
    index = faiss.IndexFlatIP(embeddings.shape[1])
    index.add(np.ascontiguousarray(embeddings, np.float32))
    return index


def _build_cells(embeddings: np.ndarray) -> faiss.Index:
    """An inverted file with as many cells as keep both searches, for cells and in them, about equally
    long."""
    count, width = embeddings.shape
    cells = int(2 ** np.ceil(np.log2(4 * count**0.5)))
    quantizer = faiss.IndexFlatIP(width)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, width, cells, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT, False
    )
    index.cp.niter, index.cp.seed = 8, 0
    index.cp.min_points_per_centroid = 1
    sample = np.random.default_rng(0).choice(count, min(count, TRAINING_PER_CELL * cells), replace=False)
    index.train(np.ascontiguousarray(embeddings[np.sort(sample)], np.float32))
    for start in range(0, count, 16 * CHUNK):
        index.add(np.ascontiguousarray(embeddings[start : start + 16 * CHUNK], np.float32))
    index.nprobe = min(PROBED_CELLS, cells)
    return index
