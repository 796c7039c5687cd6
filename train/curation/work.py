"""What the steps have done so far: one file for each result, whole or not there, so that a run can go on.

A file's name says what it is of and by which rules it came about; a result by other rules is another file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from concat_id.files.atomic import replacing
from train.curation.rules import Rules

Step = Literal["clips", "faces", "references", "cut_outs"]
# Of the steps' code; a higher one redoes everything.
VERSION = 1


@dataclass(frozen=True)
class Result:
    """What a step found out about one video or clip: a record of JSON types, and arrays by name."""

    record: dict[str, Any]
    arrays: dict[str, np.ndarray]


@dataclass(frozen=True)
class Work:
    """The folder of results.

    Attributes:
        folder: where they lie, a folder for each step.
        tags: by step, what its rules and models, and those of the steps before, come to: eight hex digits.
    """

    folder: Path
    tags: dict[Step, str]

    def path(self, step: Step, name: str) -> Path:
        """Where the result on a video or clip lies. Folders of thousands of files are split by name."""
        return self.folder / step / name[:2] / f"{name}-{self.tags[step]}.safetensors"

    def has(self, step: Step, name: str) -> bool:
        """Whether there is a result."""
        return self.path(step, name).exists()

    def read(self, step: Step, name: str) -> Result | None:
        """A result; None where there is none, or where a disk has damaged it: it is made again."""
        try:
            with safe_open(self.path(step, name), "np") as file:
                arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, it is no dict
                return Result(json.loads(file.metadata()["record"]), arrays)
        except (FileNotFoundError, SafetensorError):
            return None

    def write(
        self, step: Step, name: str, record: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Keep a result."""
        columns = {key: np.ascontiguousarray(array) for key, array in (arrays or {}).items()}
        with replacing(self.path(step, name)) as unfinished:
            save_file(columns, unfinished, metadata={"record": json.dumps(record)})


def tag_steps(rules: Rules, models: Mapping[str, str]) -> dict[Step, str]:
    """By step, eight hex digits that change with what its results depend on.

    Args:
        models: names of the detector, recogniser, parsers and fillers, by what they are.
    """
    depends: dict[Step, list[Any]] = {
        "clips": [asdict(rules.clips)],
        "faces": [asdict(rules.faces), models["faces"]],
        "references": [
            asdict(rules.people),
            rules.references.crop_px,
            rules.references.max_yaw_deg,
            models["bound"],
            models["face_parser"],
            models["aesthetics"],
        ],
        "cut_outs": [
            rules.references.garments and models["garments"],
            rules.references.backgrounds and models["backgrounds"],
        ],
    }
    tags: dict[Step, str] = {}
    text = str(VERSION)
    for step, values in depends.items():
        text += json.dumps(values, sort_keys=True)
        tags[step] = hashlib.sha256(text.encode()).hexdigest()[:8]
    return tags
