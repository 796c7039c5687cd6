"""`evaluate`: the benchmark."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from concat_id.commands.options import (
    add_benchmark,
    add_device,
    add_json,
    add_memory,
    add_preset,
    add_weights,
    check_videos,
    read_weights,
)
from concat_id.commands.printing import finish, say
from concat_id.errors import InvalidJob
from concat_id.loading.presets import DEFAULT_PRESET

if TYPE_CHECKING:
    from concat_id.evaluation.run import Progress


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `evaluate`."""
    add = parser.add_argument
    add_benchmark(parser)
    protocols = ("auto", "consisid-16", "opens2v-32")
    add("--protocol", default="auto", choices=protocols, help="which frames count (default: auto)")
    add_preset(parser)
    add_weights(parser)
    made = "folder of videos that another system made, with its system.json; see `benchmark export`"
    add("--videos-from", type=Path, help=made)
    truth = "measure the renderer's own clips instead of a model's: the judges' ceiling, rows of their own"
    add("--truth", action="store_true", help=truth)
    speeds = "make some videos at every speed, and print what each saves and costs"
    add("--speeds", action="store_true", help=speeds)
    add("--redraw", action="store_true", help="make nothing; write what compares the output's reports anew")
    add("--output", type=Path, default=Path("outputs/evaluation"), help="folder to write to and to go on in")
    add_device(parser)
    add_memory(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Run the benchmark."""
    check_videos(options.videos)
    from concat_id.evaluation.benchmark import DEFAULT_BENCHMARK
    from concat_id.evaluation.evaluate import (
        Plan,
        evaluate,
        evaluate_truth,
        read_benchmark,
        write_comparison,
    )
    from concat_id.evaluation.found_videos import FoundVideos
    from concat_id.evaluation.prices import read_prices, tabulate_prices
    from concat_id.evaluation.speeds import measure_speeds

    if options.redraw:
        finish(options, scores=None, report=str(write_comparison(options.output)))
        return
    if options.videos_from and (options.weights or options.truth):
        raise InvalidJob("--videos-from takes videos that are there; leave --weights and --truth out.")
    if options.speeds and (options.videos_from or options.truth):
        raise InvalidJob("--speeds takes a model's videos; leave --videos-from and --truth out.")
    weights = read_weights(options)
    preset = weights.name if weights else options.preset or DEFAULT_PRESET
    plan = Plan(
        options.output,
        preset,
        weights=weights,
        task=options.task,
        videos=options.videos,
        protocol=options.protocol,
        benchmark=options.benchmark or DEFAULT_BENCHMARK,
        people=options.people,
        device=options.device,
        memory=options.memory,
        found=FoundVideos.read(options.videos_from, preset) if options.videos_from else None,
    )
    if options.speeds:
        prices = measure_speeds(plan, _show_case)
        print(tabulate_prices(read_prices(plan.folder)), file=sys.stderr)
        if any(plan.output.glob("*/report.json")):
            write_comparison(plan.output)
        finish(options, scores=None, report=str(prices))
        return
    if plan.found:
        say(plan.found.check(read_benchmark(plan.benchmark, plan.people)))
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
