"""An evaluation's videos as runs to compare: of presets, and of systems that made theirs elsewhere."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from concat_id.errors import InputError, RunNotFound
from concat_id.evaluation.system import System
from concat_id.job import Job
from concat_id.studio.runs import Run


@dataclass(frozen=True, eq=False)
class EvaluatedRun(Run):
    """A case's video; the settings of its job are the video's only where no system made it elsewhere."""

    system: System | None = None

    @property
    def name(self) -> str:
        """MODEL/CASE: never the name of a visitor's run."""
        return f"{self.video.parents[1].name}/{self.video.stem}"

    @property
    def model(self) -> str:
        """The preset, or the system with its licence and date."""
        return self.system.describe() if self.system else super().model

    @property
    def has_settings(self) -> bool:
        return self.system is None


@dataclass(frozen=True)
class EvaluatedVideos:
    """The videos that lie beside an evaluation's reports; nothing else is read.

    Args:
        folder: into which presets and systems were evaluated.
        reports: as `load_reports` reads them from it.
    """

    folder: Path
    reports: Mapping[str, Mapping[str, Any]]

    def list_cases(self) -> list[str]:
        """The cases of which two models or more have a video."""
        cases = [
            case
            for model, report in self.reports.items()
            for entry in report["sets"].values()
            for case in entry.get("by_case", {})
            if self._is_there(model, case)
        ]
        return [case for case, count in Counter(cases).items() if count > 1]

    def list(self, case: str) -> list[EvaluatedRun]:
        """All videos of a case: one of ours, from which more can be made, those of systems, the rest."""
        runs = []
        for model in self.reports:
            with suppress(InputError):  # not there, or cut off
                runs.append(self.open(f"{model}/{case}"))
        ours = [run for run in runs if run.has_settings]
        return [*ours[:1], *(run for run in runs if not run.has_settings), *ours[1:]]

    def open(self, name: str) -> EvaluatedRun:
        """A video by its name."""
        model, _, case = name.partition("/")
        if not self._is_there(model, case):
            raise RunNotFound("this video of the evaluation is not there.")
        sidecar, system = self._sidecar(model, case), self.reports[model].get("system")
        job = Job.load(sidecar)
        report = json.loads(sidecar.read_text(encoding="utf-8"))
        about = System(**system) if system else None
        return EvaluatedRun(sidecar.with_suffix(".mp4"), report, job, system=about)

    def _is_there(self, model: str, case: str) -> bool:
        """Whether a report names a case whose video is there; the truth's, made of no job, are not."""
        sets = self.reports.get(model, {}).get("sets", {})
        sidecar = self._sidecar(model, case)
        return (
            any(case in entry.get("by_case", {}) for entry in sets.values())
            and sidecar.is_file()
            and sidecar.with_suffix(".mp4").is_file()
        )

    def _sidecar(self, model: str, case: str) -> Path:
        return self.folder / model / "videos" / f"{case}.json"
