"""`generate --jobs`: a file of jobs becomes a folder of videos."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from concat_id.commands.printing import finish
from concat_id.errors import InvalidJob

if TYPE_CHECKING:
    from concat_id.batch import Outcome, Planned


def run_jobs(options: argparse.Namespace) -> int:
    """Make what is missing of a file's videos. Returns the exit code: 1 if a job failed."""
    if options.output.suffix.lower() == ".mp4":
        raise InvalidJob(f"'{options.output}' is one file, and --jobs makes many; give a folder.")
    from concat_id.batch import plan_batch

    outcomes = _run(plan_batch(options.jobs, options.output), options.device, options.memory)
    failures = [outcome for outcome in outcomes if outcome.error]
    for outcome in failures:
        print(f"job {outcome.number}: {outcome.error}", file=sys.stderr)
    made = sum(outcome.is_new for outcome in outcomes)
    counts = {"made": made, "kept": len(outcomes) - made - len(failures), "failed": len(failures)}
    jobs = {"jobs": [_describe(outcome) for outcome in outcomes]} if options.json else {}
    finish(options, scores=None, **counts, output=str(options.output), **jobs)
    return 1 if failures else 0


def _run(planned: list[Planned | Outcome], device: str | None, memory: str | None) -> list[Outcome]:
    """Run a batch under one progress bar, which counts the denoising steps that are still to be done."""
    from tqdm import tqdm

    from concat_id.batch import Outcome, Planned, run_batch

    missing = {
        item.video: item.steps for item in planned if isinstance(item, Planned) and not item.video.is_file()
    }
    outcomes = []
    with tqdm(total=sum(missing.values()), unit="step", desc=f"0/{len(planned)}") as bar:
        for event in run_batch(planned, device, memory):
            if isinstance(event, Outcome):
                outcomes.append(event)
                bar.set_description(f"{event.number}/{len(planned)}")
            else:
                bar.update()
    return outcomes


def _describe(outcome: Outcome) -> dict[str, Any]:
    """A job's end as JSON types."""
    if outcome.video is None:
        return {"number": outcome.number, "error": outcome.error}
    sidecar = outcome.video.with_suffix(".json")
    report = json.loads(sidecar.read_text(encoding="utf-8"))
    return {
        "number": outcome.number,
        "scores": report["scores"],
        "seed": report["job"]["settings"]["seed"],
        "output": str(outcome.video),
        "sidecar": str(sidecar),
    }
