"""The evaluation of a preset from end to end: videos, figures, report, plots, contact sheets.

The output folder holds one folder for each preset that was evaluated into it, and on top what compares them:
`report.md` and `likeness.png`. Beside the presets, the truth may be evaluated, the renderer's own clips.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from concat_id.errors import InvalidJob
from concat_id.evaluation.benchmark import (
    DEFAULT_BENCHMARK,
    SETS,
    Benchmark,
    Case,
    SetKind,
    load_benchmark,
)
from concat_id.evaluation.judges import Judges, load_judges
from concat_id.evaluation.plots import plot_frames, plot_likeness
from concat_id.evaluation.report import load_reports, report_set, write_markdown, write_report
from concat_id.evaluation.run import (
    Maker,
    ModelMaker,
    Progress,
    load_errors,
    load_results,
    run_cases,
)
from concat_id.evaluation.sheets import write_sheet
from concat_id.evaluation.truth import CODED, TRUTHS, TruthMaker, check_drawn
from concat_id.files.folders import check_folder
from concat_id.loading.load import weights_digest
from concat_id.loading.memory import read_bits
from concat_id.loading.own_weights import OwnWeights
from concat_id.loading.presets import DEFAULT_PRESET, PRESETS, Preset, Task
from concat_id.settings import Settings


@dataclass(frozen=True)
class Plan:
    """What to evaluate, and where to."""

    output: Path
    preset: str = DEFAULT_PRESET
    weights: OwnWeights | None = None  # if they are the preset's
    task: Task | None = None  # None: every task of the preset
    videos: int | None = None  # of each set; None: all
    protocol: str = "auto"  # key of `PROTOCOLS`
    benchmark: Path = DEFAULT_BENCHMARK
    people: Path | None = None  # pictures of other people than the benchmark's
    device: str | None = None  # see `load_pipeline`, as the next
    memory: str | None = None
    truth: str | None = None  # key of `TRUTHS`: the renderer's clips instead of the preset's videos

    @property
    def folder(self) -> Path:
        """The folder in the output, of the preset or of the truth."""
        return self.output / (self.truth or self.preset)

    @property
    def maker(self) -> Maker:
        """What makes the videos."""
        if self.truth is None:
            return ModelMaker(self.preset, self.device, self.memory)
        return TruthMaker(self.preset, self.truth == CODED, self.device)

    @property
    def command(self) -> str:
        """The command line that does the same."""
        own = self.weights
        options = {
            "--preset": own.preset if own else self.preset,
            "--weights": own and own.path,
            "--name": own and own.name,
            "--memory": self.memory if read_bits(self.memory) else None,
            "--task": self.task,
            "--videos": self.videos,
            "--protocol": self.protocol,
            "--benchmark": self.benchmark if self.benchmark != DEFAULT_BENCHMARK else None,
            "--people": self.people,
            "--output": self.output,
        }
        given = [str(part) for name, value in options.items() if value is not None for part in (name, value)]
        given += ["--truth"] if self.truth else []
        return shlex.join(["python", "-m", "concat_id", "evaluate", *given])


def evaluate(plan: Plan, report_progress: Callable[[Progress], None]) -> Path:
    """Make and measure what is missing, then write everything that is derived from it. Returns the report."""
    preset = PRESETS[plan.preset]
    tasks = preset.tasks
    if plan.task not in (None, *tasks):
        able = " or ".join(f"'{task}'" for task in tasks)
        raise InvalidJob(f"preset '{plan.preset}' cannot do the task '{plan.task}'; it can do {able}.")
    check_folder(plan.folder)
    benchmark = _read_benchmark(plan)
    able = {
        name: benchmark.cases(name)[: plan.videos]
        for name, kind in SETS.items()
        if not _find_obstacle(kind, preset)
    }
    asked = [name for name in able if plan.task in (None, SETS[name].task)]
    judges = load_judges(plan.preset)
    for name in asked:
        for progress in run_cases(
            able[name],
            plan.folder,
            judges,
            maker=plan.maker,
            protocol=plan.protocol,
            galleries=benchmark.galleries,
        ):
            report_progress(progress)
    # What an earlier run left of other tasks is reported with it.
    shown = {name: cases for name, cases in able.items() if name in asked or load_results(plan.folder, cases)}
    return write_outputs(plan, shown, judges)


def evaluate_truth(plan: Plan, report_progress: Callable[[Progress], None]) -> Path:
    """Measure the truth of a preset's cases, as drawn and through its autoencoder: the judges' ceiling."""
    if PRESETS[plan.preset].domain != "drawn":
        raise InvalidJob(f"preset '{plan.preset}' shows photographed people; only drawn ones have a truth.")
    check_drawn(_read_benchmark(plan), plan.people or plan.benchmark)
    for name in TRUTHS:
        page = evaluate(replace(plan, truth=name), report_progress)
    return page


def write_outputs(plan: Plan, shown: dict[str, Sequence[Case]], judges: Judges) -> Path:
    """Report, plots and sheets from the results that are there. Returns the Markdown report."""
    results = {name: load_results(plan.folder, cases) for name, cases in shown.items()}
    plan.folder.mkdir(parents=True, exist_ok=True)
    write_report(_report(plan, shown, results, judges), plan.folder)
    plot_frames(results, plan.folder / "frames.png")
    for name, cases in shown.items():
        write_sheet(cases, plan.folder / "videos", plan.folder / f"sheet-{name}.webp")
    return write_comparison(plan.output)


def write_comparison(output: Path) -> Path:
    """What compares all presets, from the reports that are there. Returns the Markdown report."""
    reports = load_reports(output)
    if not reports:
        raise InvalidJob(f"there is no report in '{output}'; evaluate a preset into it first.")
    plot_likeness(reports, output / "likeness.png")
    return write_markdown(reports, output / "report.md")


def _read_benchmark(plan: Plan) -> Benchmark:
    """The benchmark, with other people if they are given."""
    benchmark = load_benchmark(plan.benchmark)
    return benchmark.with_people(plan.people) if plan.people else benchmark


def _find_obstacle(kind: SetKind, preset: Preset) -> str | None:
    """Why a preset cannot make a set's videos; None if it can."""
    if kind.task not in preset.tasks:
        return f"it cannot do the task '{kind.task}'"
    if kind.num_references > preset.max_references:
        return f"it takes at most {preset.max_references} references"
    return None


def _report(
    plan: Plan,
    shown: dict[str, Sequence[Case]],
    results: dict[str, list[dict[str, Any]]],
    judges: Judges,
) -> dict[str, Any]:
    """A preset's report as JSON types."""
    reasons = {
        name: _find_obstacle(kind, PRESETS[plan.preset]) or "the task was not asked for"
        for name, kind in SETS.items()
        if name not in shown
    }
    return {
        "title": TRUTHS[plan.truth] if plan.truth else PRESETS[plan.preset].title,
        "command": plan.command,
        "protocol": plan.protocol,
        "weights_sha256": None if plan.truth else weights_digest(plan.preset),
        "settings": Settings.of(PRESETS[plan.preset]).to_dict(),
        "reader_accuracy": judges.reader.accuracy if judges.reader else {},
        "not_computed": reasons,
        "sets": {
            name: report_set(results[name], load_errors(plan.folder, cases), len(cases))
            for name, cases in shown.items()
        },
    }
