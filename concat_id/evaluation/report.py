"""From results to a report: JSON by preset, and one Markdown page in the paper's layout for all presets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from concat_id.evaluation.ablations import COMPARED, describe_ablations
from concat_id.evaluation.benchmark import SETS
from concat_id.evaluation.figures import (
    MAIN_COLUMNS,
    MORE_ROWS,
    draw_table,
    show_estimate,
    show_number,
    title_of,
)
from concat_id.evaluation.paper import TABLES, VIDEOS
from concat_id.evaluation.prices import read_prices, tabulate_prices
from concat_id.evaluation.statistics import Estimate, estimate
from concat_id.files.atomic import replacing

LOGGER = logging.getLogger(__name__)
CATEGORY_COLUMNS = (
    *("arcsim", "clipdist", "viclip", "whole_faces"),
    *("right_expression", "right_motion", "right_garment"),
)
INTRODUCTION = """\
Means over N videos with bootstrap 95 % intervals, for which whole people (or groups of them) are drawn.
Rows in italics are the paper's figures, of photographed people. They compare with a row of ours only if that
was measured on photographs too, with the published scorers: drawn people have recognisers, a CLIP and a
video-text model of their own, with other scales.
"""


def summarize(results: Sequence[Mapping[str, Any]]) -> dict[str, Estimate]:
    """Estimates of all figures that any of the results has."""
    names = dict.fromkeys(name for result in results for name in result["values"])
    summary = {}
    for name in names:
        rows = [result for result in results if name in result["values"]]
        groups = ["+".join(row["people"]) for row in rows]
        summary[name] = estimate([row["values"][name] for row in rows], groups)
    return summary


def report_set(
    results: Sequence[Mapping[str, Any]], errors: Mapping[str, str], planned: int
) -> dict[str, Any]:
    """What a preset reached on one set."""
    categories = dict.fromkeys(result["category"] for result in results)
    by_category = {
        category: summarize([result for result in results if result["category"] == category])
        for category in categories
    }
    return {
        "videos": len(results),
        "planned": planned,
        "errors": dict(errors),
        "figures": _as_json(summarize(results)),
        "by_category": {category: _as_json(figures) for category, figures in by_category.items()},
        "by_case": {result["name"]: _shorten(result) for result in results},
    }


def _shorten(result: Mapping[str, Any]) -> dict[str, Any]:
    """What of a video is compared with another model's."""
    values = {name: round(value, 4) for name, value in result["values"].items() if name in COMPARED}
    return {"people": result["people"], "values": values}


def write_report(report: Mapping[str, Any], folder: Path) -> Path:
    """Write a preset's report."""
    path = folder / "report.json"
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def load_reports(output: Path) -> dict[str, dict[str, Any]]:
    """The reports of all presets that were evaluated into a folder; one that is damaged is left out."""
    reports = {}
    for path in sorted(output.glob("*/report.json")):
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
            prices = read_prices(path.parent)
            reports[path.parent.name] = report | ({"prices": prices} if prices else {})
        except (OSError, ValueError):
            LOGGER.warning("%s cannot be read and is left out; evaluate the preset again.", path)
    return reports


def write_markdown(reports: Mapping[str, Mapping[str, Any]], path: Path) -> Path:
    """All presets on one page."""
    parts = ["# Evaluation", INTRODUCTION, *describe_systems(reports), describe_origin(reports)]
    for name, kind in SETS.items():
        entries = select_entries(reports, name)
        parts.append(f"## {name}: {kind.title}")
        parts += [f"`{preset}`: {why}" for preset, why in _not_computed(reports, name)]
        if any(entry["videos"] for entry in entries.values()):
            parts += [tabulate_main(name, entries), *tabulate_more(entries)]
        parts += describe_failures(entries)
    parts += describe_ablations(reports)
    parts += describe_prices(reports)
    with replacing(path) as unfinished:
        unfinished.write_text("\n\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")
    return path


def select_entries(reports: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, dict[str, Any]]:
    """What the presets that were run on a set reached on it."""
    return {preset: report["sets"][name] for preset, report in reports.items() if name in report["sets"]}


def describe_systems(reports: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Whose videos were made elsewhere, when and under which licence; nothing where there are none."""
    lines = [
        f"- `{name}`: of {system['date']}, licence `{system['licence']}`, `{system['url']}`; "
        f"made by `{system['command']}`."
        for name, report in reports.items()
        if (system := report.get("system"))
    ]
    return ["\n".join(["Made elsewhere, and measured here as ours are:", "", *lines])] if lines else []


def describe_origin(reports: Mapping[str, Mapping[str, Any]]) -> str:
    """Which command made which rows, by which protocol, and how far the reader can be trusted."""
    lines = []
    for preset, report in reports.items():
        lines.append(
            f"- `{preset}` ({report['title']}), protocol `{report['protocol']}`: `{report['command']}`"
        )
        if report["reader_accuracy"]:
            shares = ", ".join(f"{topic} {100 * v:.0f} %" for topic, v in report["reader_accuracy"].items())
            lines.append(
                f"  The reader of expressions and so on is itself right on rendered clips in: {shares}."
            )
    return "\n".join(lines)


def describe_prices(reports: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A section for each preset of which speeds were measured."""
    return [
        f"## Speeds of `{preset}`\n\n{tabulate_prices(prices)}\n\nMeans of {prices['videos']} videos of one "
        f"person, with the change in each figure: `{prices['command']}`"
        for preset, report in reports.items()
        if (prices := report.get("prices"))
    ]


def _not_computed(reports: Mapping[str, Mapping[str, Any]], name: str) -> Iterable[tuple[str, str]]:
    """Which presets were not run on a set, and why."""
    for preset, report in reports.items():
        if name in report["not_computed"]:
            yield preset, f"not computed; {report['not_computed'][name]}"


def tabulate_main(name: str, entries: Mapping[str, Mapping[str, Any]]) -> str:
    """The paper's layout: the paper's models, then ours."""
    rows = [
        [f"*{row.model}*", str(VIDEOS[name]), *(show_number(getattr(row, key)) for key in MAIN_COLUMNS)]
        for row in TABLES.get(name, ())
    ]
    rows += [
        [f"`{preset}`", _count(entry), *(show_estimate(entry["figures"].get(key)) for key in MAIN_COLUMNS)]
        for preset, entry in entries.items()
    ]
    return draw_table(["model", "N", *MAIN_COLUMNS.values()], rows)


def tabulate_more(entries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Every further figure that at least one preset has, and each preset's by category of prompts."""
    rows = [
        [title, *(show_estimate(entry["figures"].get(name), with_count=True) for entry in entries.values())]
        for name, title in MORE_ROWS.items()
        if any(name in entry["figures"] for entry in entries.values())
    ]
    return [draw_table(["figure", *(f"`{preset}`" for preset in entries)], rows), *_category_tables(entries)]


def _category_tables(entries: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    """Every preset's figures by category of prompts."""
    for preset, entry in entries.items():
        found = {name for figures in entry["by_category"].values() for name in figures}
        names = [name for name in CATEGORY_COLUMNS if name in found]
        rows = [
            [category, *(show_estimate(figures.get(name), with_count=True) for name in names)]
            for category, figures in entry["by_category"].items()
        ]
        yield draw_table([f"`{preset}`, by category", *map(title_of, names)], rows)


def describe_failures(entries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What went wrong, a paragraph for each preset with which something did."""
    return [_failures(preset, entry) for preset, entry in entries.items() if entry["errors"]]


def _failures(preset: str, entry: Mapping[str, Any]) -> str:
    """What went wrong."""
    lines = [f"- {name}: {message}" for name, message in entry["errors"].items()]
    return "\n".join([f"`{preset}`: {len(lines)} of {entry['planned']} videos failed:", "", *lines])


def _count(entry: Mapping[str, Any]) -> str:
    """How many videos, and of how many if some are missing."""
    videos, planned = entry["videos"], entry["planned"]
    return str(videos) if videos == planned else f"{videos} of {planned}"


def _as_json(figures: Mapping[str, Estimate]) -> dict[str, dict[str, float]]:
    return {name: asdict(figure) for name, figure in figures.items()}
