"""The evaluation of a preset from end to end: videos, figures, report, plots, contact sheets.

The output folder holds one folder for each preset that was evaluated into it, and on top what compares them:
`report.md` and `likeness.png`. Beside the presets may be evaluated the truth, which are the renderer's own
clips, and systems whose videos were made elsewhere.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
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
from concat_id.evaluation.figures import CODED, TRUTHS
from concat_id.evaluation.found_videos import FoundVideos
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
from concat_id.evaluation.truth import TruthMaker, check_drawn
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
    found: FoundVideos | None = None  # a system's videos instead of the preset's, whose tools score them

    @property
    def folder(self) -> Path:
        """The folder in the output, of the preset, of the truth or of the system."""
        return self.output / (self.truth or (self.found.system.name if self.found else self.preset))

    @property
    def maker(self) -> Maker:
        """What makes the videos."""
        if self.found:
            return self.found
        if self.truth is None:
            return ModelMaker(self.preset, self.device, self.memory)
        return TruthMaker(self.preset, self.truth == CODED, self.device)

    @property
    def title(self) -> str:
        """What the rows are called in full."""
        if self.found:
            return self.found.system.name
        return TRUTHS[self.truth] if self.truth else PRESETS[self.preset].title

    @property
    def command(self) -> str:
        """The command line that does the same."""
        own = self.weights
        options = {
            "--preset": own.preset if own else self.preset,
            "--weights": own and own.path,
            "--name": own and own.name,
            "--videos-from": self.found and self.found.folder,
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
    check_task(plan.preset, plan.task)
    check_folder(plan.folder)
    benchmark = read_benchmark(plan.benchmark, plan.people)
    able = list_cases(benchmark, plan.preset, plan.videos)
    asked = [name for name, cases in able.items() if not _find_reason(plan, name, cases)]
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
    check_drawn(read_benchmark(plan.benchmark, plan.people), plan.people or plan.benchmark)
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
        # Of a case that failed, an earlier video may be there.
        measured = {result["name"] for result in results[name]}
        sheet = plan.folder / f"sheet-{name}.webp"
        write_sheet([case for case in cases if case.name in measured], plan.folder / "videos", sheet)
    return write_comparison(plan.output)


def write_comparison(output: Path) -> Path:
    """What compares all presets, from the reports that are there. Returns the Markdown report."""
    reports = load_reports(output)
    if not reports:
        raise InvalidJob(f"there is no report in '{output}'; evaluate a preset into it first.")
    plot_likeness(reports, output / "likeness.png")
    return write_markdown(reports, output / "report.md")


def read_benchmark(folder: Path, people: Path | None) -> Benchmark:
    """The benchmark, with other people if a folder of their pictures is given."""
    benchmark = load_benchmark(folder)
    return benchmark.with_people(people) if people else benchmark


def check_task(preset: str, task: Task | None) -> None:
    """Refuse a task that a preset cannot do."""
    tasks = PRESETS[preset].tasks
    if task not in (None, *tasks):
        able = " or ".join(f"'{name}'" for name in tasks)
        raise InvalidJob(f"preset '{preset}' cannot do the task '{task}'; it can do {able}.")


def list_cases(benchmark: Benchmark, preset: str, videos: int | None) -> dict[str, list[Case]]:
    """By set, the cases that a preset can make.

    Args:
        videos: how many of each set; None: all.
    """
    return {
        name: benchmark.cases(name)[:videos]
        for name, kind in SETS.items()
        if not _find_obstacle(kind, PRESETS[preset])
    }


def _find_obstacle(kind: SetKind, preset: Preset) -> str | None:
    """Why a preset cannot make a set's videos; None if it can."""
    if kind.task not in preset.tasks:
        return f"it cannot do the task '{kind.task}'"
    if kind.num_references > preset.max_references:
        return f"it takes at most {preset.max_references} references"
    return None


def _find_reason(plan: Plan, name: str, cases: Sequence[Case]) -> str | None:
    """Why a set is not computed though the preset could; None if it is."""
    if plan.task not in (None, SETS[name].task):
        return "the task was not asked for"
    if plan.found and not (plan.task or plan.found.has_any(cases) or load_results(plan.folder, cases)):
        return f"there is no video of it among those of {plan.found.system.name}"
    return None


def _report(
    plan: Plan,
    shown: dict[str, Sequence[Case]],
    results: dict[str, list[dict[str, Any]]],
    judges: Judges,
) -> dict[str, Any]:
    """A preset's report as JSON types."""
    reasons = {
        name: _find_obstacle(kind, PRESETS[plan.preset]) or _find_reason(plan, name, ())
        for name, kind in SETS.items()
        if name not in shown
    }
    made_here = plan.truth is None and plan.found is None
    return {
        "title": plan.title,
        "command": plan.command,
        "protocol": plan.protocol,
        "system": asdict(plan.found.system) if plan.found else None,
        "weights_sha256": weights_digest(plan.preset) if made_here else None,
        "settings": None if plan.found else Settings.of(PRESETS[plan.preset]).to_dict(),
        "reader_accuracy": judges.reader.accuracy if judges.reader else {},
        "not_computed": reasons,
        "sets": {
            name: report_set(results[name], load_errors(plan.folder, cases), len(cases))
            for name, cases in shown.items()
        },
    }
