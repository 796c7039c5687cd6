"""From the workers' results to the tables: every source and clip gets its row, in the order of their names.

The order of the work does not matter, nor how often it was broken off: the same results make the same tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from train.curation.job import Job
from train.curation.order import has_enough_references
from train.curation.reading import mark_contents, name_video
from train.curation.sources import Source
from train.curation.tables import CLIPS, PEOPLE, VIDEOS, TableWriter, references_schema
from train.curation.verdicts import Reason
from train.curation.work import Result

KEPT = {"status": "kept", "reason": None, "detail": None}
Row = dict[str, Any]


def compile_tables(sources: Sequence[Source], job: Job, folder: Path) -> set[str]:
    """Write the tables of videos, clips, people and references into a folder.

    Returns:
        The videos' names in the results.
    """
    width = _find_width(sources, job)
    schemas = {"videos": VIDEOS, "clips": CLIPS, "people": PEOPLE, "references": references_schema(width)}
    first_names: dict[str, str] = {}
    videos = set()
    with ExitStack() as stack:
        tables = {
            name: stack.enter_context(TableWriter(folder / f"{name}.parquet", schema))
            for name, schema in schemas.items()
        }
        for source in sources:
            name, record = _read_video(source, job)
            videos.add(name)
            first = first_names.setdefault(record["fingerprint"], source.name)
            verdict = _judge_video(record, source.name, first)
            clips = record["clips"] if verdict["status"] == "kept" else []
            tables["videos"].add(
                {"video": source.name, "path": source.path, "num_clips": len(clips)}
                | {key: record[key] for key in ("caption", "fingerprint")}
                | verdict
            )
            for clip in clips:
                for table, row in _rows_of_clip(source, clip, job):
                    tables[table].add(row)
    return videos


def _read_video(source: Source, job: Job) -> tuple[str, Row]:
    """A video's name and what it holds."""
    name = name_video(source, mark_contents(source))
    result = job.work.read("clips", name)
    assert result is not None, f"{source.name} was not looked at"
    return name, result.record


def _judge_video(record: Row, name: str, first: str) -> Row:
    """Status, reason and detail.

    Args:
        first: the first video with the same contents.
    """
    if record["status"] == "kept" and first != name:
        return _drop("duplicate", f"its contents are those of '{first}'.")
    return {key: record[key] for key in ("status", "reason", "detail")}


def _drop(reason: Reason, detail: str) -> Row:
    return {"status": "dropped", "reason": reason, "detail": detail}


def _rows_of_clip(source: Source, clip: Row, job: Job) -> Iterator[tuple[str, Row]]:
    """Rows for the tables of one clip, the clip's own first."""
    row = {**clip, "video": source.name, "caption": source.caption, "num_people": 0}
    if clip["reason"]:
        yield "clips", row | _drop(clip["reason"], clip["detail"])
        return
    references, cut_outs = (job.work.read(step, clip["clip"]) for step in ("references", "cut_outs"))
    assert references is not None and cut_outs is not None, f"{clip['clip']} was not looked at"
    record = references.record
    if record["reason"]:
        yield "clips", row | _drop(record["reason"], record["detail"])
        return
    people = [_describe_person(person, record["references"]) for person in record["people"]]
    verdict = _judge_clip(people)
    cut = {name: cut_outs.record[name] for name in ("garment", "background", "hidden_share")}
    facts = {"num_people": len(people), "aesthetics": record["aesthetics"]}
    yield "clips", row | cut | facts | verdict
    for person in people:
        shown = person if verdict["status"] == "kept" else person | verdict
        yield "people", shown | {"clip": clip["clip"]}
    yield from _rows_of_references(source, clip, references, verdict)


def _describe_person(person: Row, references: list[Row]) -> Row:
    own = sum(reference["person"] == person["person"] for reference in references)
    refused = person["refused"]
    verdict = KEPT
    if not own:
        reason = max(refused, key=refused.get, default="contradicts the order")
        verdict = _drop(reason, f"all {person['num_faces']} faces are refused: {refused}.")
    return {
        **person,
        "num_references": own,
        "refused_order": refused.get("contradicts the order", 0),
        "refused_turned": refused.get("turned away", 0),
        **verdict,
    }


def _judge_clip(people: list[Row]) -> Row:
    """Whether enough of a clip's people have a reference (`order.has_enough_references`)."""
    has = torch.tensor([[person["num_references"] > 0 for person in people]])
    if has_enough_references(has).item():
        return KEPT
    return _drop("too few references", f"{int(has.sum())} of {len(people)} people have a reference.")


def _rows_of_references(
    source: Source, clip: Row, references: Result, verdict: Row
) -> Iterator[tuple[str, Row]]:
    for number, reference in enumerate(references.record["references"]):
        embedding = references.arrays["embeddings"][number]
        where = {"clip": clip["clip"], "video": source.name}
        yield "references", reference | where | {"embedding": embedding.tolist()} | verdict


def _find_width(sources: Sequence[Source], job: Job) -> int:
    """Of the embeddings; 1 where no face was found in any clip."""
    for source in sources:
        for clip in _read_video(source, job)[1]["clips"]:
            faces = job.work.read("faces", clip["clip"])
            if faces is not None and faces.arrays["embeddings"].shape[1]:
                return faces.arrays["embeddings"].shape[1]
    return 1
