"""`python -m train.benchmark`: see `train.benchmark.people`."""

from train.benchmark.people import main

if __name__ == "__main__":
    main()
