"""What the workers of one run are told, and where they put pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from concat_id.files.atomic import replacing
from train.curation.attempts import Attempts
from train.curation.rules import Rules
from train.curation.work import Step, Work

# A batch as Ray Data hands it over: columns by name.
Rows = dict[str, Any]
Album = Literal["references", "masks", "garments", "backgrounds"]
# Folders of pictures: the step that makes them and their format; what is cut out keeps its edges.
ALBUMS: dict[Album, tuple[Step, str]] = {
    "references": ("references", "webp"),
    "masks": ("references", "png"),
    "garments": ("cut_outs", "png"),
    "backgrounds": ("cut_outs", "webp"),
}
WEBP_QUALITY = 95


@dataclass(frozen=True)
class Job:
    """A run.

    Attributes:
        output: the dataset's folder.
        rules, preset: by which the steps work, see `models.PRESETS`.
        device: of the models.
        work: where results are kept.
    """

    output: Path
    rules: Rules
    preset: str
    device: str
    work: Work

    @property
    def attempts(self) -> Attempts:
        """What the workers have begun."""
        return Attempts(self.work.folder / "attempts")

    def save_picture(self, album: Album, name: str, picture: Image.Image) -> str:
        """Write a picture whole; its path below the dataset's folder, which tells the rules that made it."""
        step, kind = ALBUMS[album]
        inside = f"{album}/{name[:2]}/{name}-{self.work.tags[step]}.{kind}"
        with replacing(self.output / inside) as unfinished:
            picture.save(unfinished, kind.upper(), **({"quality": WEBP_QUALITY} if kind == "webp" else {}))
        return inside
