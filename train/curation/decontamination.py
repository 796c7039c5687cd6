"""Step 7, decontamination: who of a benchmark looks like anybody in training is no test.

The paper's rule: a person is dropped as a whole if one of his pictures has a cosine above .45, of its
ArcFace, with any training picture. As in `bands`, the bound is carried over to another recogniser by its
rank, here among strangers: for ArcFace, about one pair of strangers in a hundred thousand is that much alike.
The paper does not say so; it is our reading. No bound replaces a look: of a dataset, the nearest references
of everybody are laid out on a sheet.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from concat_id.errors import InputError
from concat_id.files.atomic import replacing
from concat_id.references.faces import FaceFinder
from concat_id.references.pictures import load_picture

MAX_COSINE = 0.45
# Share of the pairs of strangers that are more alike than that.
STRANGERS_ABOVE = 1e-5
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
NEAREST = 4
TILE_PX = 112
LINE_PX = 14
ROWS_AT_ONCE = 50_000


class NoBenchmark(InputError):
    """There are no people to check, or nothing to check them against."""


@dataclass(frozen=True)
class Verdict:
    """What became of one person of a benchmark.

    Attributes:
        person: name of the folder with the pictures, or of the picture.
        picture: the one that was nearest to the dataset; of somebody without a face, any.
        kept: False also for people in whose pictures no face was found: they cannot be checked.
        cosines, references: the nearest references, nearest first; their names and pictures.
    """

    person: str
    picture: Path
    kept: bool
    cosines: tuple[float, ...]
    references: tuple[tuple[str, str], ...]


def carry_over_bound(strangers: Tensor) -> float:
    """The bound for another recogniser.

    Args:
        strangers: its cosines for pairs of two people, of any shape, a hundred thousand of them or more.
    """
    above = int(strangers.numel() * STRANGERS_ABOVE)
    if above < 1:
        needed = round(1 / STRANGERS_ABOVE)
        raise ValueError(
            f"the bound needs {needed} pairs of strangers or more, got {strangers.numel()}; give more faces."
        )
    return strangers.flatten().topk(above + 1).values[-1].item()


def find_nearest(people: Tensor, training: Iterable[Tensor], count: int = 1) -> tuple[Tensor, Tensor]:
    """For each person the greatest cosines with training pictures, greatest first, and whose they are.

    Args:
        people: unit embeddings (N, D).
        training: unit embeddings (M, D), part by part.
        count: K, of cosines; with fewer training pictures as many as there are.

    Returns:
        The cosines (N, K), and the training pictures' numbers through all parts (N, K).
    """
    best = people.new_empty(len(people), 0)
    numbers, first = best.long(), 0
    for part in training:
        cosines = torch.cat([best, people @ part.T], 1)
        own = torch.arange(first, first + len(part)).expand(len(people), -1)
        best, order = cosines.topk(min(count, cosines.shape[1]), dim=1)
        numbers, first = torch.cat([numbers, own], 1).gather(1, order), first + len(part)
    return best, numbers


def check_benchmark(
    dataset: Path, benchmark: Path, finder: FaceFinder, *, max_cosine: float, output: Path
) -> list[Verdict]:
    """Check everybody, and write `people.csv` and the contact sheet `nearest.png` into a folder.

    Args:
        benchmark: holds pictures, one person each, or folders of one person's pictures.
        max_cosine: above it a person is dropped.

    Raises:
        NoBenchmark: no pictures, or a dataset without references.
    """
    pictures = _list_pictures(benchmark)
    if not (dataset / "tables/references.parquet").is_file():
        raise NoBenchmark(f"'{dataset}' is no finished dataset; make it with `python -m train.curation run`.")
    faces = {path: finder.find(load_picture(path)) for paths in pictures.values() for path in paths}
    with_face = [path for path, found in faces.items() if found]
    cosines, names = _find_nearest_references([faces[path][0].embedding for path in with_face], dataset)
    places = {path: place for place, path in enumerate(with_face)}
    verdicts = []
    for person, paths in pictures.items():
        own = [places[path] for path in paths if path in places]
        if not own:
            verdicts.append(Verdict(person, paths[0], False, (), ()))
            continue
        nearest = max(own, key=lambda place: cosines[place][0])
        kept = cosines[nearest][0] <= max_cosine
        near = tuple(cosines[nearest]), tuple(names[nearest])
        verdicts.append(Verdict(person, with_face[nearest], kept, *near))
    with replacing(output) as unfinished:
        unfinished.mkdir()
        _write_table(verdicts, unfinished / "people.csv")
        lay_out(verdicts, dataset).save(unfinished / "nearest.png")
    return verdicts


def _find_nearest_references(
    embeddings: list[np.ndarray], dataset: Path
) -> tuple[list[list[float]], list[list[tuple[str, str]]]]:
    """The nearest references of each embedding (D,), kept or not: cosines, and names with pictures."""
    if not embeddings:
        return [], []
    queries, table = torch.from_numpy(np.stack(embeddings)).float(), dataset / "tables/references.parquet"
    cosines, numbers = find_nearest(queries, _read_embeddings(table, queries.shape[1]), NEAREST)
    if not cosines.shape[1]:
        raise NoBenchmark(f"'{dataset}' holds no references to check against.")
    rows = pq.read_table(table, columns=["reference", "picture"]).take(numbers.flatten().tolist()).to_pydict()
    names = list(zip(rows["reference"], rows["picture"], strict=True))
    count = cosines.shape[1]
    return cosines.tolist(), [names[start : start + count] for start in range(0, len(names), count)]


def _read_embeddings(table: Path, width: int) -> Iterator[Tensor]:
    """Embeddings (N, D) of all references, part by part. Raises: NoBenchmark: their width is another."""
    for batch in pq.ParquetFile(table).iter_batches(ROWS_AT_ONCE, columns=["embedding"]):
        flat = torch.from_numpy(batch["embedding"].flatten().to_numpy().copy())
        if len(flat) != len(batch) * width:
            raise NoBenchmark(
                f"the dataset's embeddings have {len(flat) // len(batch)} numbers, the benchmark's {width}; "
                "use the preset that the dataset was made with."
            )
        yield flat.view(-1, width)


def _list_pictures(benchmark: Path) -> dict[str, list[Path]]:
    """Everybody's pictures, by name."""
    people: dict[str, list[Path]] = {}
    for path in sorted(benchmark.rglob("*") if benchmark.is_dir() else ()):
        if path.suffix.lower() in PICTURE_SUFFIXES:
            person = path.stem if path.parent == benchmark else path.relative_to(benchmark).parts[0]
            people.setdefault(person, []).append(path)
    if not people:
        raise NoBenchmark(
            f"'{benchmark}' holds no pictures; name a folder with one picture or folder a person."
        )
    return people


def _write_table(verdicts: list[Verdict], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["person", "kept", "cosine", "picture", "nearest", "reason"])
        for verdict in verdicts:
            nearest = verdict.references[0][0] if verdict.references else ""
            cosine = f"{verdict.cosines[0]:.4f}" if verdict.cosines else ""
            reason = "" if verdict.kept else ("seen in training" if verdict.cosines else "no face found")
            writer.writerow([verdict.person, verdict.kept, cosine, verdict.picture.name, nearest, reason])


def lay_out(verdicts: list[Verdict], dataset: Path) -> Image.Image:
    """A line for everybody, the most alike first: the picture, then the nearest references with their
    cosines."""
    ordered = sorted(verdicts, key=lambda verdict: -max(verdict.cosines, default=-1.0))
    sheet = Image.new("RGB", (TILE_PX * (1 + NEAREST), (TILE_PX + LINE_PX) * len(ordered)), "white")
    pen = ImageDraw.Draw(sheet)
    for line, verdict in enumerate(ordered):
        top = line * (TILE_PX + LINE_PX)
        near = zip(verdict.cosines, verdict.references, strict=True)
        said = "kept" if verdict.kept else ("dropped" if verdict.cosines else "no face")
        tiles = [(verdict.picture, f"{verdict.person[:10]}: {said}")]
        tiles += [(dataset / picture, f"{cosine:.2f}") for cosine, (_, picture) in near]
        for column, (path, text) in enumerate(tiles):
            sheet.paste(load_picture(path).resize((TILE_PX, TILE_PX)), (column * TILE_PX, top + LINE_PX))
            pen.text((column * TILE_PX + 2, top + 1), text, fill="black")
    return sheet
