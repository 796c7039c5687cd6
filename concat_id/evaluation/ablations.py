"""Two models on the same videos, as in the paper's ablations: which of them, and the tables.

Only the stages' models ship. A table is there as soon as the output folder has reports under both of its
names, which `python -m concat_id evaluate --weights PATH --name NAME` writes for models of one's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from concat_id.evaluation.benchmark import SETS
from concat_id.evaluation.figures import draw_table, show_estimate, show_number, title_of
from concat_id.evaluation.paper import (
    STAGE_1,
    STAGE_2,
    STAGE_3,
    WITH_PRE_TRAINING,
    WITHOUT_PRE_TRAINING,
)
from concat_id.evaluation.statistics import Estimate, estimate
from concat_id.loading.presets import DEFAULT_PRESET

COMPARED = (
    *("arcsim", "cursim", "clipdist"),
    *("arcsim_1", "cursim_1", "arcsim_2", "cursim_2", "arcsim_3", "cursim_3"),
    *("worst_arcsim", "worst_cursim", "face_rate", "whole_faces", "sharpness", "order_rate"),
    *("retrieval", "garment_retrieval", "background_retrieval", "right_expression", "right_motion"),
)


@dataclass(frozen=True)
class Pair:
    """Two models to compare on a set, and the paper's figures of both by name."""

    set_name: str
    first: str  # name of a report
    second: str
    paper_first: Mapping[str, float] = field(default_factory=dict)
    paper_second: Mapping[str, float] = field(default_factory=dict)


ABLATIONS: dict[str, tuple[Pair, ...]] = {
    "Stages: in the paper, likeness I > III > II and CLIPDist II > III > I": (
        Pair("single", "embedded-stage1", "embedded-stage3", STAGE_1.to_figures(), STAGE_3.to_figures()),
        Pair("single", "embedded-stage3", "embedded-stage2", STAGE_3.to_figures(), STAGE_2.to_figures()),
    ),
    "Multi-identity: with single-identity pre-training against without": (
        Pair("two", "multi-identity", "multi-identity-scratch", WITH_PRE_TRAINING, WITHOUT_PRE_TRAINING),
        Pair("three", "multi-identity", "multi-identity-scratch"),
    ),
    # The model that ships is the unified one.
    "Unified against specialised": (
        Pair("single", DEFAULT_PRESET, "single-only"),
        Pair("two", DEFAULT_PRESET, "multi-only"),
        Pair("three", DEFAULT_PRESET, "multi-only"),
        Pair("try-on", DEFAULT_PRESET, "try-on-only"),
        Pair("background", DEFAULT_PRESET, "background-only"),
    ),
}
INTRODUCTION = """\
Means over the N videos that both models made of the same pictures, prompts and seeds. The difference is the
first model's figure less the second's, in points (hundredths), with the bootstrap 95 % interval of the
differences of single videos.
"""


def describe_ablations(reports: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A Markdown part for each ablation of which the reports of at least one pair are there."""
    parts = []
    for title, pairs in ABLATIONS.items():
        tables = [_describe_pair(pair, reports) for pair in pairs if _is_there(pair, reports)]
        if tables:
            parts.append("\n\n".join([f"## {title}", INTRODUCTION.strip(), *tables]))
    return parts


def _is_there(pair: Pair, reports: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether both models were run on the set."""
    return all(pair.set_name in reports.get(name, {}).get("sets", ()) for name in (pair.first, pair.second))


def _describe_pair(pair: Pair, reports: Mapping[str, Mapping[str, Any]]) -> str:
    """The table of a pair, or why there is none."""
    shared = _share(pair, reports)
    if not shared:
        return (
            f"`{pair.first}` and `{pair.second}` have no video of {SETS[pair.set_name].title} in common; "
            "evaluate both again with the same benchmark and protocol."
        )
    head = [SETS[pair.set_name].title, "N", f"`{pair.first}`", f"`{pair.second}`", "difference, points"]
    rows = list(_rows(pair, shared))
    return draw_table([*head, "paper"] if pair.paper_first else head, rows)


def _share(
    pair: Pair, reports: Mapping[str, Mapping[str, Any]]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """What both reports say of the videos that both models made."""
    first, second = reports[pair.first], reports[pair.second]
    if first["protocol"] != second["protocol"]:
        return []
    # Reports that were written before there were comparisons do not list their videos.
    cases, others = (report["sets"][pair.set_name].get("by_case", {}) for report in (first, second))
    return [
        (case, others[name])
        for name, case in cases.items()
        if name in others and case["people"] == others[name]["people"]
    ]


def _rows(pair: Pair, shared: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> Iterable[list[str]]:
    """A row for each figure that both have."""
    for name in COMPARED:
        both = [cases for cases in shared if all(name in case["values"] for case in cases)]
        if both:
            values = [tuple(case["values"][name] for case in cases) for cases in both]
            groups = ["+".join(case["people"]) for case, _ in both]
            first, second = (
                show_estimate(asdict(estimate(column, groups))) for column in zip(*values, strict=True)
            )
            difference = estimate([one - other for one, other in values], groups)
            row = [title_of(name), str(len(both)), first, second, _show_points(difference)]
            yield [*row, _show_paper(pair, name)] if pair.paper_first else row


def _show_points(difference: Estimate) -> str:
    """A difference with its interval, in points."""
    mean, low, high = (f"{100 * value:+z.1f}" for value in (difference.mean, difference.low, difference.high))
    return f"{mean} ({low} to {high})"


def _show_paper(pair: Pair, name: str) -> str:
    """The paper's figure of both models and its difference in points."""
    if name not in pair.paper_first:
        return ""
    first, second = pair.paper_first[name], pair.paper_second[name]
    return f"*{show_number(first)} against {show_number(second)}: {100 * (first - second):+z.1f}*"
