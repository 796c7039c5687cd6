"""Ablations compare what two models made of the same cases, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from concat_id.evaluation.ablations import ABLATIONS, COMPARED, describe_ablations
from concat_id.evaluation.benchmark import SETS
from concat_id.evaluation.figures import title_of
from concat_id.evaluation.report import load_reports, report_set, write_markdown, write_report
from concat_id.loading.presets import DEFAULT_PRESET
from concat_id.ui import build_demo

STAGES, PRE_TRAINING, UNIFIED = ABLATIONS


def report(set_name: str, *values: dict[str, float], people: str = "ab", **more: Any) -> dict[str, Any]:
    """A report on one set: a video of each person or group."""
    results = [
        {"name": f"{set_name}-{n}", "people": [f"{people}{n}"], "category": "joy", "values": figures}
        for n, figures in enumerate(values)
    ]
    sets = {set_name: report_set(results, {}, len(results))}
    return {
        "title": "Toy with the settings of toy",
        "command": "python -m concat_id evaluate",
        "protocol": "auto",
        "reader_accuracy": {},
        "not_computed": {},
        "sets": sets,
    } | more


def cells(part: str, figure: str) -> list[str]:
    """The row of a figure."""
    (row,) = re.findall(rf"^\| {re.escape(title_of(figure))} \| (.*) \|$", part, re.MULTILINE)
    return row.split(" | ")


def test_pre_training_stands_beside_the_paper_s_figures() -> None:
    reports = {
        "multi-identity": report(
            "two", {"arcsim_1": 0.6, "order_rate": 1.0}, {"arcsim_1": 0.4, "order_rate": 1.0}
        ),
        "multi-identity-scratch": report("two", {"arcsim_1": 0.4}, {"arcsim_1": 0.3}),
    }
    (part,) = describe_ablations(reports)
    assert part.startswith(f"## {PRE_TRAINING}\n") and "| two people | N | `multi-identity` |" in part
    assert cells(part, "arcsim_1") == [
        "2",
        ".500 (.400 to .600)",
        ".350 (.300 to .400)",
        # Of the videos' differences, 20 and 10 points.
        "+15.0 (+10.0 to +20.0)",
        "*.629 against .514: +11.5*",
    ]
    # What only one of them has is no comparison.
    assert title_of("order_rate") not in part and "three people" not in part


def test_stages_are_compared_video_by_video_in_the_paper_s_order() -> None:
    figures = {"1": (0.6, 0.4), "2": (0.5, 0.48), "3": (0.55, 0.45)}
    reports = {
        f"embedded-stage{stage}": report("single", {"arcsim": likeness, "clipdist": distance})
        for stage, (likeness, distance) in figures.items()
    }
    (part,) = describe_ablations(reports)
    assert part.startswith(f"## {STAGES}\n")
    first, second = part.split("| one person |")[1:]
    assert (
        "`embedded-stage1` | `embedded-stage3`" in first and "`embedded-stage3` | `embedded-stage2`" in second
    )
    assert cells(first, "arcsim")[-2:] == ["+5.0 (+5.0 to +5.0)", "*.560 against .442: +11.8*"]
    assert cells(second, "clipdist")[-2:] == ["-3.0 (-3.0 to -3.0)", "*.325 against .434: -10.9*"]


def test_the_unified_model_is_compared_with_each_specialised_one_on_its_own_set() -> None:
    names = {"single": "single-only", "three": "multi-only", "background": "background-only"}
    figures = {"single": "face_rate", "three": "worst_arcsim", "background": "background_retrieval"}
    reports = {other: report(name, {figures[name]: 1.0}) for name, other in names.items()}
    assert not describe_ablations(reports)
    ours = [report(name, {figures[name]: 0.25})["sets"] for name in names]
    reports[DEFAULT_PRESET] = report("try-on", {"arcsim": 0.5})
    for sets in ours:
        reports[DEFAULT_PRESET]["sets"] |= sets
    (part,) = describe_ablations(reports)
    assert part.startswith(f"## {UNIFIED}\n") and "paper" not in part
    for name, other in names.items():
        assert f"| {SETS[name].title} | N | `{DEFAULT_PRESET}` | `{other}` | difference, points |" in part
        assert cells(part, figures[name])[-1] == "-75.0 (-75.0 to -75.0)"
    assert SETS["try-on"].title not in part and SETS["two"].title not in part


@pytest.mark.parametrize("change", ["people", "protocol", "no cases"])
def test_other_videos_are_not_compared(change: str) -> None:
    first = report("single", {"arcsim": 0.5})
    second = report("single", {"arcsim": 0.6}, people="c" if change == "people" else "ab")
    if change == "protocol":
        second["protocol"] = "consisid-16"
    if change == "no cases":
        del first["sets"]["single"]["by_case"]
    (part,) = describe_ablations({DEFAULT_PRESET: first, "single-only": second})
    assert "| N |" not in part
    assert (
        f"`{DEFAULT_PRESET}` and `single-only` have no video of one person in common; evaluate both" in part
    )


def test_only_shared_videos_count() -> None:
    first = report("single", {"arcsim": 0.5}, {"arcsim": 0.1})
    second = report("single", {"arcsim": 0.6})
    (part,) = describe_ablations({DEFAULT_PRESET: first, "single-only": second})
    assert cells(part, "arcsim")[:2] == ["1", ".500 (.500 to .500)"]


def test_no_difference_has_no_minus() -> None:
    reports = {
        DEFAULT_PRESET: report("single", {"arcsim": 0.5}),
        "single-only": report("single", {"arcsim": 0.5001}),
    }
    assert cells(describe_ablations(reports)[0], "arcsim")[-1] == "+0.0 (+0.0 to +0.0)"


def test_reports_keep_what_is_compared() -> None:
    (entry,) = report("single", {"arcsim": 0.12345, "right_place": 1.0})["sets"].values()
    assert entry["by_case"] == {"single-0": {"people": ["ab0"], "values": {"arcsim": 0.1235}}}
    assert all(title_of(name) for name in COMPARED)
    assert {pair.set_name for pairs in ABLATIONS.values() for pair in pairs} == set(SETS)


def test_the_page_and_the_studio_show_them(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    for name, value in (("multi-identity", 0.6), ("multi-identity-scratch", 0.5)):
        (folder / name).mkdir(parents=True)
        title = f"{name} with the settings of toy"
        write_report(report("two", {"arcsim_2": value}, title=title), folder / name)
    reports = load_reports(folder)
    (part,) = describe_ablations(reports)
    page = write_markdown(reports, folder / "report.md").read_text()
    assert part in page and "+10.0 (+10.0 to +10.0) | *.651 against .526: +12.5* |" in part
    demo = build_demo(None, None, preset="embedded", outputs=tmp_path / "outputs", results=folder)
    shown = [block.value for block in demo.blocks.values() if isinstance(block, gr.Markdown)]
    assert part in shown
    # Names that are no presets' stand there as the reports call them.
    assert any("`multi-identity` (multi-identity with the settings of toy)" in text for text in shown)
