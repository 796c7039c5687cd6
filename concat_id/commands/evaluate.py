"""`evaluate`: the benchmark."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from concat_id.commands.options import (
    add_device,
    add_json,
    add_memory,
    add_preset,
    add_weights,
    read_weights,
)
from concat_id.commands.printing import finish
from concat_id.errors import InvalidJob
from concat_id.loading.presets import DEFAULT_PRESET, Task

if TYPE_CHECKING:
    from concat_id.evaluation.run import Progress


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `evaluate`."""
    add = parser.add_argument
    add("--task", choices=get_args(Task), help="which task (default: all that the preset can do)")
    add("--videos", type=int, help="how many of each set (default: all)")
    protocols = ("auto", "consisid-16", "opens2v-32")
    add("--protocol", default="auto", choices=protocols, help="which frames count (default: auto)")
    add("--benchmark", type=Path, help="folder with a benchmark.json (default: the drawn people's)")
    add("--people", type=Path, help="folder with a picture of each person, instead of the benchmark's")
    add_preset(parser)
    add_weights(parser)
    truth = "measure the renderer's own clips instead of a model's: the judges' ceiling, rows of their own"
    add("--truth", action="store_true", help=truth)
    add("--redraw", action="store_true", help="make nothing; write what compares the output's reports anew")
    add("--output", type=Path, default=Path("outputs/evaluation"), help="folder to write to and to go on in")
    add_device(parser)
    add_memory(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Run the benchmark."""
    if options.videos is not None and options.videos < 1:
        raise InvalidJob(f"--videos is {options.videos}; give 1 or more, or leave it out for all.")
    from concat_id.evaluation.benchmark import DEFAULT_BENCHMARK
    from concat_id.evaluation.evaluate import Plan, evaluate, evaluate_truth, write_comparison

    if options.redraw:
        finish(options, scores=None, report=str(write_comparison(options.output)))
        return
    weights = read_weights(options)
    plan = Plan(
        options.output,
        weights.name if weights else options.preset or DEFAULT_PRESET,
        weights=weights,
        task=options.task,
        videos=options.videos,
        protocol=options.protocol,
        benchmark=options.benchmark or DEFAULT_BENCHMARK,
        people=options.people,
        device=options.device,
        memory=options.memory,
    )
    done: list[Progress] = []

    def report_progress(progress: Progress) -> None:
        done.append(progress)
        _show_case(progress)

    report = (evaluate_truth if options.truth else evaluate)(plan, report_progress)
    failed = sum(progress.error is not None for progress in done)
    finish(options, scores=None, videos=len(done) - failed, failed=failed, report=str(report))


def _show_case(progress: Progress) -> None:
    """One line on standard error for each video."""
    state = progress.error or "done"
    print(f"{progress.number}/{progress.total} {progress.case.name}: {state}", file=sys.stderr, flush=True)
