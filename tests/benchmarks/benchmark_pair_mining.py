"""Mining pairs among many faces: `python -m tests.benchmarks.benchmark_pair_mining [--sizes 10000 1000000]`.

Plants people in 512 dimensions, eight faces each, whose cosines among themselves lie in and around the bands,
and searches for every face. Prints minutes and memory, and of the pairs in the band the share that is found,
counted exactly for some of the faces. `--plot growth.png` draws how both grow.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import faiss
import numpy as np
from matplotlib.figure import Figure

from train.curation.bands import CROSS_VIDEO
from train.curation.neighbours import ReferenceIndex

WIDTH, FACES_OF_A_PERSON = 512, 8
# Of a face, as long as its person's centre by this factor: cosines among them lie around .8.
NOISE = 0.5
CHECKED = 1000
MOST = 50


def plant(count: int) -> np.ndarray:
    """Unit embeddings, (count, 512) float32."""
    rng = np.random.default_rng(0)
    faces = np.empty((count, WIDTH), np.float32)
    for start in range(0, count, 80_000):
        stop = min(start + 80_000, count)
        centres = rng.standard_normal((-(-(stop - start) // FACES_OF_A_PERSON), WIDTH), np.float32)
        part = centres.repeat(FACES_OF_A_PERSON, 0)[: stop - start]
        part += NOISE * rng.standard_normal(part.shape, np.float32)
        faces[start:stop] = part / np.linalg.norm(part, axis=1, keepdims=True)
    return faces


def measure(count: int, exact_below: int) -> tuple[float, float, float]:
    """Minutes to build, minutes to search, and the share found."""
    faces, videos = plant(count), np.arange(count)
    start = time.perf_counter()
    index = ReferenceIndex(faces, videos, exact_below=exact_below)
    built = time.perf_counter()
    checked = np.sort(np.random.default_rng(1).choice(count, min(CHECKED, count), replace=False))
    found = np.zeros(count, np.int64)
    for part in index.search(faces, videos, {"band": CROSS_VIDEO}, most=MOST):
        found += np.bincount(part["band"].queries, minlength=count)
    done = time.perf_counter()
    true = np.zeros(len(checked), np.int64)
    for first in range(0, count, 100_000):
        cosines = faces[checked] @ faces[first : first + 100_000].T
        true += ((cosines >= CROSS_VIDEO.low) & (cosines <= CROSS_VIDEO.high)).sum(1)
    share = np.minimum(found[checked], true).sum() / true.sum()
    return (built - start) / 60, (done - built) / 60, float(share)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--exact-below", type=int, default=50_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    faiss.omp_set_num_threads(options.threads)
    print(f"{'faces':>10}{'build, min':>12}{'search, min':>13}{'peak, GB':>10}{'found':>9}")
    minutes = []
    for count in options.sizes:
        build, search, share = measure(count, options.exact_below)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        minutes.append(build + search)
        print(f"{count:>10}{build:>12.2f}{search:>13.2f}{peak:>10.2f}{100 * share:>8.1f}%", flush=True)
    if options.plot:
        figure = Figure((6, 4), layout="constrained")
        axes = figure.subplots()
        axes.loglog(options.sizes, minutes, "o-")
        axes.set(xlabel="faces", ylabel="minutes, building and searching")
        figure.savefig(options.plot, dpi=120)


if __name__ == "__main__":
    main()
