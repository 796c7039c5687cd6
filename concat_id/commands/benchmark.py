"""`benchmark export`: what another system needs to make the benchmark's videos."""

from __future__ import annotations

import argparse
from pathlib import Path

from concat_id.commands.options import add_benchmark, add_json, add_preset, check_videos
from concat_id.commands.printing import finish
from concat_id.loading.presets import DEFAULT_PRESET


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `benchmark export`."""
    said = "write reference pictures, prompts and a table of the videos to make"
    export = parser.add_subparsers(required=True, metavar="export").add_parser("export", help=said)
    export.add_argument("folder", type=Path, help="folder to write to")
    add_benchmark(export)
    add_preset(export)
    add_json(export)


def run(options: argparse.Namespace) -> None:
    """Write the benchmark for another system."""
    check_videos(options.videos)
    from concat_id.evaluation.benchmark import DEFAULT_BENCHMARK, SETS
    from concat_id.evaluation.evaluate import check_task, list_cases, read_benchmark
    from concat_id.evaluation.export import export_benchmark

    preset = options.preset or DEFAULT_PRESET
    check_task(preset, options.task)
    benchmark = read_benchmark(options.benchmark or DEFAULT_BENCHMARK, options.people)
    able = list_cases(benchmark, preset, options.videos)
    chosen = [cases for name, cases in able.items() if options.task in (None, SETS[name].task)]
    table = export_benchmark(options.folder, sum(chosen, []), preset)
    finish(options, scores=None, videos=sum(map(len, chosen)), table=str(table))
