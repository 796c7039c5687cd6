"""The dataset's tables: their columns, and how they are written row by row without holding them in memory.

    videos      every file of the input: what became of it
    clips       every shot: who was seen in it, and what became of it
    people      everybody in the clips that are kept
    references  the stored pictures of everybody
    pairs_KIND  which reference serves which person of which clip, by kind of pairs

`status` is "kept" or "dropped"; `reason` is one of `verdicts.REASONS`, and `detail` a sentence.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_AT_ONCE = 5_000
TEXT, NUMBER, REAL = pa.string(), pa.int32(), pa.float32()
_VERDICT = [("status", TEXT), ("reason", TEXT), ("detail", TEXT)]
VIDEOS = pa.schema(
    [
        ("video", TEXT),
        ("path", TEXT),
        ("caption", TEXT),
        ("fingerprint", TEXT),
        ("num_clips", NUMBER),
        *_VERDICT,
    ]
)
CLIPS = pa.schema(
    [
        ("clip", TEXT),
        ("video", TEXT),
        ("index", NUMBER),
        ("caption", TEXT),
        ("start_s", REAL),
        ("end_s", REAL),
        ("num_frames", NUMBER),  # sampled ones
        ("height", NUMBER),
        ("width", NUMBER),
        ("flow", REAL),  # of the longer side, per second
        ("aesthetics", REAL),  # 1 to 10; null where no scorer was at hand
        ("num_people", NUMBER),
        ("garment", TEXT),  # path below the dataset's folder, as are all pictures
        ("background", TEXT),
        ("hidden_share", REAL),  # of the first frame, by people
        *_VERDICT,
    ]
)
PEOPLE = pa.schema(
    [
        ("person", TEXT),
        ("clip", TEXT),
        ("position", NUMBER),  # from the left, 0 first
        ("mean_x", REAL),  # share of the width
        ("num_faces", NUMBER),
        ("num_references", NUMBER),
        ("area_share", REAL),  # of the frame, mean over all faces
        ("sharpness", REAL),
        ("refused_order", NUMBER),
        ("refused_turned", NUMBER),
        *_VERDICT,
    ]
)


def references_schema(width: int) -> pa.Schema:
    """Columns of the references.

    Args:
        width: of the embeddings.
    """
    angles = [(f"{angle}_deg", REAL) for angle in ("yaw", "pitch", "roll")]
    return pa.schema(
        [
            ("reference", TEXT),
            ("person", TEXT),
            ("clip", TEXT),
            ("video", TEXT),
            ("time_s", REAL),
            ("box", pa.list_(REAL, 4)),
            ("landmarks", pa.list_(REAL, 10)),
            ("area_share", REAL),
            ("sharpness", REAL),
            *angles,
            ("masked", pa.bool_()),
            ("kept_share", REAL),
            ("picture", TEXT),
            ("mask", TEXT),
            ("embedding", pa.list_(REAL, width)),
            *_VERDICT,
        ]
    )


PAIRS = pa.schema(
    [
        ("clip", TEXT),
        ("person", TEXT),
        ("position", NUMBER),
        ("reference", TEXT),
        ("reference_video", TEXT),
        ("cosine", REAL),  # of the reference and the person's mean embedding
        ("rank", NUMBER),  # among the references of this person, nearest first
    ]
)


class TableWriter:
    """Writes a Parquet file; a context that closes it.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema, self._rows = schema, []
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def add(self, row: dict[str, Any]) -> None:
        """One more row; columns it does not name are null."""
        self._rows.append(row)
        if len(self._rows) >= ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows = []
