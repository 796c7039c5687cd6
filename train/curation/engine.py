"""A run of curation: Ray Data sends sources through the steps, and the tables are made of what they found.

Here Ray starts workers on this machine; with an address it uses those of a cluster, whose machines see the
input, the output and this code under the same paths. Decoding and the models are two operators: where they
need the same, Ray fuses them to one process for each worker; where the models take GPUs, it streams clips
between them and slows decoding down when the models fall behind. A broken-off run goes on where it was: what
a step has found out lies in the output's `work` folder. A worker that is killed is started again, up to three
times at one file (`attempts`).
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from concat_id.errors import InputError
from concat_id.files.atomic import replacing
from train.curation.compiling import compile_tables
from train.curation.job import ALBUMS, Job
from train.curation.looking import LookAtClips
from train.curation.models import Preset, find_preset
from train.curation.pairing import mine, read_cast, write_pairs
from train.curation.reading import ReadClips, is_done
from train.curation.report import write_report
from train.curation.rules import Rules
from train.curation.sources import Source, read_sources
from train.curation.work import Work, tag_steps

if TYPE_CHECKING:
    import ray.data

SOURCES_PER_BLOCK = 16
BLOCKS_PER_WORKER = 8
STARTS = 5
DESCRIPTION = "dataset.json"


class ForeignFolder(InputError):
    """The output folder holds something else than a dataset of ours."""


class DatasetInUse(InputError):
    """Another run writes to the dataset."""


def curate(
    input: Path,
    output: Path,
    *,
    preset: str = "embedded",
    rules: Rules | None = None,
    workers: int = 1,
    address: str | None = None,
    gpus_per_worker: float = 0.0,
) -> dict[str, int]:
    """Make a dataset, or bring one up to date.

    Args:
        input: see `sources.read_sources`.
        output: the dataset's folder.
        preset: of models, see `models.PRESETS`.
        rules: by which the steps work.
        workers: processes that look at clips, each on a core; 0: this process does, without Ray.
        address: of a Ray cluster; None: this machine.
        gpus_per_worker: that the models of each worker take, also a share of one.

    Returns:
        Rows of each table, by its name.

    Raises:
        InputError: something about the input, the output or the settings; nothing was written then.
    """
    models, rules = find_preset(preset), rules or Rules()
    if workers < 0:
        raise InputError(f"workers is {workers}, but must be 0 or more.")
    sources = read_sources(input)
    _check_output(input, output)
    work = Work(output / "work", tag_steps(rules, models.names()))
    job = Job(output, rules, preset, "cuda" if gpus_per_worker else "cpu", work)
    with locked(output):
        _describe(output, preset, models, rules, input)
        _sweep_unfinished(output)
        job.attempts.forget()
        look_at(sources, job, workers=workers, address=address, gpus_per_worker=gpus_per_worker)
        job.attempts.forget()
        with replacing(output / "tables") as tables:
            tables.mkdir()
            videos = compile_tables(sources, job, tables)
            cast = read_cast(tables)
            pairs = dict(write_pairs(mine(cast, models.bands, rules.pairs), cast, tables))
        _sweep_outdated(job, videos)
        counts = {"videos": len(sources), "people": len(cast.people), "references": len(cast.references)}
        counts |= {f"pairs_{kind}": count for kind, count in pairs.items()}
        write_report(output, models)
    return counts


def read_preset(dataset: Path) -> str:
    """Name of the models that a dataset was made with. Raises: ForeignFolder: it is none."""
    try:
        return json.loads((dataset / DESCRIPTION).read_text())["preset"]
    except (OSError, ValueError, KeyError) as error:
        raise ForeignFolder(
            f"'{dataset}' is no dataset; make it with `python -m train.curation run`."
        ) from error


def look_at(
    sources: Sequence[Source], job: Job, *, workers: int, address: str | None, gpus_per_worker: float
) -> None:
    """Steps 1 to 4 and 6 on all sources that need them, with a progress bar."""
    left = [source for source in tqdm(sources, desc="Known", unit="video") if not is_done(source, job)]
    with tqdm(total=len(sources), initial=len(sources) - len(left), desc="Videos", unit="video") as bar:
        if not left:
            return
        if workers == 0:
            read, look = ReadClips(job), LookAtClips(job)
            for source in left:
                for name, clip in read.read(source):
                    look.look(name, clip)
                bar.update(1)
            return
        with started_ray(workers, address):
            for batch in compose(left, job, workers, gpus_per_worker).iter_batches(batch_size=None):
                bar.update(int(batch["done"].sum()))


def compose(sources: Sequence[Source], job: Job, workers: int, gpus_per_worker: float) -> ray.data.Dataset:
    """The steps as operators of Ray Data, from sources to how far they are."""
    import ray.data

    # Small blocks, so that no worker waits long for the last one.
    blocks = max(-(-len(sources) // SOURCES_PER_BLOCK), min(len(sources), BLOCKS_PER_WORKER * workers))
    return (
        ray.data.from_items([asdict(source) for source in sources], override_num_blocks=blocks)
        .map_batches(ReadClips(job), batch_size=1)
        .map_batches(
            LookAtClips,
            fn_constructor_args=(job,),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
            num_gpus=gpus_per_worker or None,
        )
    )


@contextmanager
def started_ray(workers: int, address: str | None) -> Iterator[None]:
    """Ray, started here for so many workers, or joined, without its chatter."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    import ray.data

    # One thread a worker: they share the cores among them.
    environment = {"env_vars": {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}}
    options = {"num_cpus": workers, "include_dashboard": False} if address is None else {}
    options |= {"logging_level": logging.ERROR, "log_to_driver": False, "runtime_env": environment}
    for left in reversed(range(STARTS)):
        try:
            ray.init(address=address or "local", **options)
            break
        except Exception as error:  # Ray has no name for it
            # It gives its own processes half a minute, which a machine with much else to do exceeds.
            if "timed out during startup" not in str(error) or not left:
                raise
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def _check_output(input: Path, output: Path) -> None:
    """Refuse to write among other things, or into the input."""
    if output.exists() and not output.is_dir():
        raise ForeignFolder(f"'{output}' is a file; name a folder for the dataset.")
    holds = output.is_dir() and any(not path.name.startswith(".") for path in output.iterdir())
    if holds and not (output / DESCRIPTION).is_file():
        raise ForeignFolder(f"'{output}' holds other things than a dataset; name a new folder.")
    if input.is_dir() and input.resolve() in (output.resolve(), *output.resolve().parents):
        raise ForeignFolder(f"the dataset '{output}' would lie among its videos; name a folder outside.")


@contextmanager
def locked(output: Path) -> Iterator[None]:
    """Keep other runs away; a run that is ended, however hard, keeps nobody away."""
    output.mkdir(parents=True, exist_ok=True)
    path = output / ".lock"
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DatasetInUse(f"another run writes to '{output}'; wait for it or end it.") from error
        yield
        path.unlink()


def _describe(output: Path, preset: str, models: Preset, rules: Rules, input: Path) -> None:
    """Write down how the dataset is made, before anything else: the folder is then known as ours."""
    bands = {name: [band.low, band.high] for name, band in models.bands.items()}
    facts = {"input": str(input), "preset": preset, "licence": models.licence, "bands": bands}
    with replacing(output / DESCRIPTION) as unfinished:
        unfinished.write_text(json.dumps(facts | {"rules": asdict(rules)}, indent=1) + "\n")


def _sweep_unfinished(output: Path) -> None:
    """Remove what a run that was broken off was writing."""
    for folder in (*ALBUMS, "work"):
        for path in (output / folder).rglob(".*.part"):
            path.unlink()


def _sweep_outdated(job: Job, videos: set[str]) -> None:
    """Remove results and pictures by other rules, or of videos that are gone or have changed."""
    tags = {**job.work.tags, **{album: job.work.tags[step] for album, (step, _) in ALBUMS.items()}}
    folders = [job.work.folder / step for step in job.work.tags] + [job.output / album for album in ALBUMS]
    for folder in folders:
        for path in folder.glob("*/*"):
            name, _, tag = path.stem.rpartition("-")
            if "-".join(name.split("-")[:2]) not in videos or tag != tags[folder.name]:
                path.unlink()
