"""Contact sheets: random results at a glance, references on the left, five frames beside them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from concat_id.evaluation.benchmark import Case
from concat_id.output.video import read_video
from concat_id.references.pictures import load_picture

COUNT = 16
FRAMES = 5
CELL_PX = 128
CAPTION_PX = 14
QUALITY = 90


def write_sheet(cases: Sequence[Case], videos: Path, path: Path, *, seed: int = 0) -> Path | None:
    """Draw up to 16 of the cases whose videos are there; None if there are none.

    Args:
        videos: the folder with CASE.mp4.
        path: the WebP to write.
    """
    made = [case for case in cases if (videos / f"{case.name}.mp4").is_file()]
    if not made:
        return None
    chosen = random.Random(seed).sample(made, min(COUNT, len(made)))
    chosen.sort(key=lambda case: case.name)
    rows = [_draw_row(case, read_video(videos / f"{case.name}.mp4").frames) for case in chosen]
    sheet = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)))
    for number, row in enumerate(rows):
        sheet.paste(row, (0, number * row.height))
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_sheet(sheet, path)


def save_sheet(sheet: Image.Image, path: Path) -> Path:
    """Write a sheet as WebP: faces look the same as in a PNG that is five times as large."""
    sheet.save(path, "WEBP", quality=QUALITY, method=6)
    return path


def _draw_row(case: Case, frames: np.ndarray) -> Image.Image:
    """References and frames side by side, the prompt above."""
    subjects = [*case.people, *([case.companion] if case.companion else [])]
    moments = np.linspace(0, len(frames) - 1, FRAMES).round().astype(int)
    pictures = [load_picture(subject.picture) for subject in subjects]
    pictures += [Image.fromarray(frames[moment]) for moment in moments]
    # As high as the references; wide videos make wide cells.
    cells = [_fit(picture) for picture in pictures]
    row = Image.new("RGB", (sum(cell.width for cell in cells), CELL_PX + CAPTION_PX))
    left = 0
    for cell in cells:
        row.paste(cell, (left, CAPTION_PX))
        left += cell.width
    ImageDraw.Draw(row).text((2, 1), f"{case.name}: {case.prompt}", fill=(255, 255, 255))
    return row


def _fit(picture: Image.Image) -> Image.Image:
    """A picture as high as a cell, at most twice as wide."""
    width = min(2 * CELL_PX, round(picture.width * CELL_PX / picture.height))
    return ImageOps.pad(picture, (width, CELL_PX))
