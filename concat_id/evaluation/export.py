"""The benchmark for a system of another repository: pictures, prompts, and a table of the videos to make.

FOLDER/benchmark.csv        a line for each case, see `COLUMNS`
FOLDER/references/...       the pictures that it names
FOLDER/system.json          to fill in: whose videos they are
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterable
from pathlib import Path

from concat_id.evaluation.benchmark import Case
from concat_id.evaluation.system import write_template
from concat_id.files.atomic import replacing
from concat_id.files.folders import check_folder
from concat_id.loading.presets import PRESETS

TABLE = "benchmark.csv"
COLUMNS = (
    *("case", "task", "seed", "prompt"),
    *("faces", "garment", "background"),  # files; faces from left to right, with ';' between them
    *("video", "width", "height", "frames", "fps"),  # the file to write, and in which format ours is made
)


def export_benchmark(folder: Path, cases: Iterable[Case], preset: str) -> Path:
    """Write what another system needs to make the cases' videos; files of these names are replaced, a
    `system.json` that is there stays.

    Args:
        preset: beside whose videos they shall stand: the table says in which format those are.

    Returns:
        The table.
    """
    check_folder(folder)
    pictures = _Pictures(folder)
    rows = [_describe(case, preset, pictures) for case in cases]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with replacing(folder / TABLE) as unfinished:
        unfinished.write_text(text.getvalue(), encoding="utf-8")
    write_template(folder)
    return folder / TABLE


def _describe(case: Case, preset: str, pictures: _Pictures) -> dict[str, str | int]:
    """A case's line."""
    job, model = case.job(preset), PRESETS[preset]
    files = [
        (reference.role, pictures.copy(reference.role, reference.picture)) for reference in job.references
    ]
    return {
        "case": case.name,
        "task": job.task,
        "seed": case.seed,
        "prompt": case.prompt,
        "faces": ";".join(file for role, file in files if role == "face"),
        **{role: file for role, file in files if role != "face"},
        "video": f"{case.name}.mp4",
        "width": model.width,
        "height": model.height,
        "frames": model.num_frames,
        "fps": model.fps,
    }


class _Pictures:
    """The reference pictures of an export, each copied once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._copied: dict[str, str] = {}

    def copy(self, role: str, picture: str) -> str:
        """Copy a picture as it is, numbered: names may repeat. Returns the file, as the table names it."""
        if picture not in self._copied:
            name = f"references/{role}-{len(self._copied):03d}{Path(picture).suffix.lower()}"
            target = self._folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture, target)
            self._copied[picture] = name
        return self._copied[picture]
