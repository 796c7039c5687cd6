"""Videos of the benchmark that a system made elsewhere: `CASE.mp4` in a folder, scored as if made here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from concat_id.errors import UnreadableVideo
from concat_id.evaluation.benchmark import SETS, Benchmark, Case
from concat_id.evaluation.system import FILE_NAME, InvalidSystem, System, read_system
from concat_id.files.atomic import replacing
from concat_id.files.folders import quote
from concat_id.generation import describe_target, prepare_picture
from concat_id.output.video import check_video_file, read_video
from concat_id.output.video_files import describe_run, write_pictures
from concat_id.references.roles import load_reference

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".gif")
# So many files at most are named in a sentence.
NAMED = 10


@dataclass(frozen=True)
class FoundVideos:
    """Takes the cases' videos from a folder; see `concat_id.evaluation.run.Maker`.

    Args:
        folder: with `CASE.mp4`, and `system.json` (see `concat_id.evaluation.system`).
        system: whose they are.
        preset: by whose tools they are scored.
    """

    folder: Path
    system: System
    preset: str

    @classmethod
    def read(cls, folder: Path, preset: str) -> FoundVideos:
        """The videos of a folder, whose `system.json` is checked."""
        return cls(folder, read_system(folder), preset)

    def key(self, case: Case) -> dict[str, Any]:
        """The video, and what it is compared with."""
        source = self._find(case)
        check_video_file(source)  # a digest reads all of it
        pictures = [reference.picture for reference in case.job(self.preset).references]
        return {
            "found_sha256": _digest(source),
            "prompt": case.prompt,
            "pictures": [_digest(Path(picture)) for picture in pictures],
            "preset": self.preset,
        }

    def make(self, case: Case, video: Path) -> None:
        """Copy the case's video, and write what lies beside every video: reference pictures and a sidecar."""
        source = self._find(case)
        frames = read_video(source).frames  # what cannot be read is not copied
        job = case.job(self.preset).resolve()
        pictures = [load_reference(reference) for reference in job.references]
        prepared = [
            prepare_picture(reference, picture, self.preset)
            for reference, picture in zip(job.references, pictures, strict=True)
        ]
        target = describe_target(job.references, pictures, prepared, self.preset)
        scores = target.score_finished(frames, case.prompt) if target else None
        facts = describe_run(pictures, [seen.notes for seen in prepared], scores, self.system.name, "")
        with replacing(video) as unfinished:
            unfinished.write_bytes(source.read_bytes())
        names = write_pictures(pictures, video.parent, video.stem)
        # Its settings are not known: the preset's stand for them, with which ours is made beside it.
        job = replace(job, preset=self.system.name).with_pictures(names)
        report = {"job": job.to_dict()} | {name: facts[name] for name in ("references", "scores")}
        with replacing(video.with_suffix(".json")) as unfinished:
            unfinished.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def has_any(self, cases: Sequence[Case]) -> bool:
        """Whether there is a video of one of these cases."""
        return any((self.folder / f"{case.name}.mp4").is_file() for case in cases)

    def check(self, benchmark: Benchmark) -> list[str]:
        """What the user should know of the folder, in sentences; a folder without any of the videos is
        refused."""
        cases = [case for name in SETS for case in benchmark.cases(name)]
        if not self.has_any(cases):
            raise InvalidSystem(
                f"{quote(self.folder)} holds none of the benchmark's videos; name them by their cases, "
                f"such as {cases[0].name}.mp4."
            )
        expected = {f"{case.name}.mp4" for case in cases}
        strays = sorted(
            path.name
            for path in self.folder.iterdir()
            if path.suffix.lower() in VIDEO_SUFFIXES
            and path.name not in expected
            and not path.name.startswith(".")
        )
        if not strays:
            return []
        named = ", ".join(strays[:NAMED]) + (f" and {len(strays) - NAMED} more" if strays[NAMED:] else "")
        return [f"no case of the benchmark is called as these videos are, which are left out: {named}."]

    def _find(self, case: Case) -> Path:
        """The case's video, which must be there."""
        source = self.folder / f"{case.name}.mp4"
        if not source.is_file():
            raise UnreadableVideo(f"{source.name} is missing beside {FILE_NAME}.")
        return source


def _digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
