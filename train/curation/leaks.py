"""Step 7, decontamination: which people of a benchmark look like anybody in a dataset.

A person is dropped as a whole if one of his pictures has a cosine above the recogniser's bound with any
reference (paper: .45). No bound replaces a look: the nearest references of everybody are laid out on a sheet.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

from concat_id.errors import InputError
from concat_id.files.atomic import replacing
from concat_id.references.faces import FaceFinder
from concat_id.references.pictures import load_picture

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
    width = next((len(faces[path][0].embedding) for path in with_face), 1)
    queries = np.array([faces[path][0].embedding for path in with_face], np.float32).reshape(-1, width)
    cosines, names = find_nearest(queries, dataset)
    places = {path: place for place, path in enumerate(with_face)}
    verdicts = []
    for person, paths in pictures.items():
        own = [places[path] for path in paths if path in places]
        if not own:
            verdicts.append(Verdict(person, paths[0], False, (), ()))
            continue
        nearest = max(own, key=lambda place: cosines[place][0])
        kept = bool(cosines[nearest][0] <= max_cosine)
        near = tuple(float(cosine) for cosine in cosines[nearest])
        verdicts.append(Verdict(person, with_face[nearest], kept, near, tuple(names[nearest])))
    with replacing(output) as unfinished:
        unfinished.mkdir()
        _write_table(verdicts, unfinished / "people.csv")
        lay_out(verdicts, dataset).save(unfinished / "nearest.png")
    return verdicts


def find_nearest(queries: np.ndarray, dataset: Path) -> tuple[np.ndarray, list[list[tuple[str, str]]]]:
    """The nearest references of each query, whatever became of them, by reading the table once.

    Args:
        queries: unit embeddings (Q, D).

    Returns:
        Cosines (Q, K), nearest first, and names with pictures, Q lists of K.
    """
    best = np.full((len(queries), 0), -2.0, np.float32)
    names: list[list[tuple[str, str]]] = [[] for _ in queries]
    for embeddings, rows in _read_references(dataset):
        if queries.shape[1] != embeddings.shape[1] and len(queries):
            raise NoBenchmark(
                f"the dataset's embeddings have {embeddings.shape[1]} numbers, the benchmark's "
                f"{queries.shape[1]}; use the preset that the dataset was made with."
            )
        cosines = np.concatenate([best, queries @ embeddings.T], 1)
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :NEAREST]
        known = best.shape[1]
        for query, columns in enumerate(order):
            names[query] = [
                names[query][column] if column < known else rows[column - known] for column in columns
            ]
        best = np.take_along_axis(cosines, order, 1)
    if not best.shape[1] and len(queries):
        raise NoBenchmark(f"'{dataset}' holds no references to check against.")
    return best, names


def _read_references(dataset: Path) -> Iterator[tuple[np.ndarray, list[tuple[str, str]]]]:
    """Embeddings (N, D), and names with pictures, part by part."""
    file = pq.ParquetFile(dataset / "tables/references.parquet")
    for batch in file.iter_batches(ROWS_AT_ONCE, columns=["reference", "picture", "embedding"]):
        flat = batch["embedding"].flatten().to_numpy()
        rows = list(zip(batch["reference"].to_pylist(), batch["picture"].to_pylist(), strict=True))
        yield flat.reshape(len(rows), -1), rows


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
