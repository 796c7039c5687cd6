"""`python -m train.benchmark`: see `train.benchmark.people`."""

from __future__ import annotations

from train.benchmark.people import main

if __name__ == "__main__":
    main()
