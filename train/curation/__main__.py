"""From footage to training pairs, on the command line.

    python -m train.curation run --input VIDEOS --output DATASET [--preset real] [--workers 2]
    python -m train.curation footage --output VIDEOS --truth TRUTH.json

`run` makes a dataset or brings it up to date: what was done before is not done again. Every rule is an
option: `--rules.clips.sample_fps 1`.
"""

import logging
import sys
from pathlib import Path

from jsonargparse import auto_cli

from concat_id.errors import InputError

from .engine import curate
from .rendered_footage import Plan, film_footage
from .rules import Rules


def run(
    input: Path,
    output: Path,
    preset: str = "embedded",
    rules: Rules = Rules(),  # noqa: B008, it is frozen
    workers: int = 1,
    address: str | None = None,
    gpus_per_worker: float = 0.0,
) -> None:
    """Make a dataset of pairs from videos, or bring one up to date.

    Args:
        input: a folder of videos with captions beside them, or a CSV or Parquet file with the columns video,
            caption.
        output: the dataset's folder.
        preset: of models: embedded, for drawn people, or real.
        rules: by which the steps work.
        workers: processes that look at clips; 0: this one does, without Ray.
        address: of a Ray cluster; none: this machine.
        gpus_per_worker: that the models of each worker take.
    """
    counts = curate(
        input,
        output,
        preset=preset,
        rules=rules,
        workers=workers,
        address=address,
        gpus_per_worker=gpus_per_worker,
    )
    for name, count in counts.items():
        print(f"{count:>9} {name}")
    print(f"The report: {output / 'report.html'}")


def footage(output: Path, truth: Path, plan: Plan = Plan()) -> None:  # noqa: B008, it is frozen
    """Render footage of drawn people with known truth, and files of the kinds that spoil a pipeline.

    Args:
        output: a new folder for the videos.
        truth: the file for what they show.
        plan: how much is filmed.
    """
    film_footage(output, truth, plan)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line; what a user can put right is said in one sentence."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        auto_cli([run, footage], args=arguments, as_positional=False)
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
