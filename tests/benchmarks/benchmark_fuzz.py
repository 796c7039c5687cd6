"""Ten thousand damaged files: `PYTHONPATH=tests python -m tests.benchmarks.benchmark_fuzz --number 10000`.

Prints for each kind of file how many were read, how many refused, and the longest that one took. Any other
error than a sentence ends it, and leaves the file.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from fuzz import answer, build_targets, mutate

from concat_id.errors import InputError


def main() -> None:
    """Damage files of every kind, and read them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=10_000, help="files in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", help="which kinds (default: all)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    targets = {
        name: target
        for name, target in build_targets(folder).items()
        if not options.kinds or name in options.kinds
    }
    for name, target in targets.items():
        read, refused, longest = 0, 0, 0.0
        for data in mutate(target, -(-options.number // len(targets)), options.seed):
            began = time.monotonic()
            found = answer(target, data, folder)
            longest = max(longest, time.monotonic() - began)
            refused += isinstance(found, InputError)
            read += not isinstance(found, InputError)
        print(f"{name:22s} read {read:5d}  refused {refused:5d}  longest {longest:6.2f} s", flush=True)


if __name__ == "__main__":
    main()
