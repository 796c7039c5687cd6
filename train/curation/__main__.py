"""From footage to training pairs, on the command line.

    python -m train.curation run --input VIDEOS --output DATASET [--preset real] [--workers 2]
    python -m train.curation encode --dataset DATASET --model MODEL [--workers 2]
    python -m train.curation decontaminate --dataset DATASET --benchmark PEOPLE
    python -m train.curation footage --output VIDEOS --truth TRUTH.json

`run` makes a dataset or brings it up to date: what was done before is not done again. Every rule is an
option: `--rules.clips.sample_fps 1`. `encode` stores what training would else encode in its steps.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from jsonargparse import auto_cli

from concat_id.errors import InputError
from train.curation.decontamination import check_benchmark
from train.curation.encoding import encode_dataset
from train.curation.engine import curate, read_preset
from train.curation.models import Models, find_preset
from train.curation.rendered_footage import Plan, film_footage
from train.curation.rules import Rules
from train.curation.training_clips import Format


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


def encode(
    dataset: Path,
    model: Path,
    shape: Format = Format(),  # noqa: B008, it is frozen
    versions: int = 2,
    workers: int = 1,
    address: str | None = None,
    gpus_per_worker: float = 0.0,
) -> None:
    """Encode a dataset's clips, references and captions for training, or bring that up to date.

    Args:
        dataset: as `run` made it.
        model: a diffusers folder, whose autoencoder and text encoder are used.
        shape: what the model takes; train with the same.
        versions: of each clip, parts that begin elsewhere, and of each reference, under other noise.
        workers: processes that encode; 0: this one does, without Ray.
        address: of a Ray cluster; none: this machine.
        gpus_per_worker: that the models of each worker take.
    """
    counts = encode_dataset(
        dataset,
        model,
        shape=shape,
        versions=versions,
        workers=workers,
        address=address,
        gpus_per_worker=gpus_per_worker,
    )
    for kind, count in counts.items():
        print(f"{count:>9} {kind}")


def decontaminate(dataset: Path, benchmark: Path) -> None:
    """Drop whoever of a benchmark looks like anybody in a dataset.

    DATASET/decontamination says who, and shows everybody's nearest references.

    Args:
        dataset: as `run` made it.
        benchmark: a folder with a picture, or a folder of pictures, for each person.
    """
    preset = find_preset(read_preset(dataset))
    output = dataset / "decontamination"
    finder = Models(preset).finder
    verdicts = check_benchmark(dataset, benchmark, finder, max_cosine=preset.leak_cosine, output=output)
    dropped = [verdict for verdict in verdicts if not verdict.kept]
    print(f"{len(dropped)} of {len(verdicts)} people are dropped: see {output / 'people.csv'}")
    print(f"Look at everybody's nearest references yourself: {output / 'nearest.png'}")


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
        auto_cli([run, encode, decontaminate, footage], args=arguments, as_positional=False)
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
