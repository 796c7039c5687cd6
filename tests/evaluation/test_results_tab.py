"""The tab "Results" shows what an evaluation wrote, and nothing where there is none."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from concat_id.evaluation.evaluate import Plan, evaluate
from concat_id.ui import build_demo


def components_of(demo: gr.Blocks, kind: type) -> list:
    return [block for block in demo.blocks.values() if isinstance(block, kind)]


def test_a_report_is_shown_with_its_tables_and_pictures(
    toy: str, benchmark_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    evaluate(Plan(folder, toy, videos=1, benchmark=benchmark_folder, device="cpu"), lambda progress: None)
    demo = build_demo(None, None, preset=toy, outputs=tmp_path / "outputs", results=folder)
    assert "Results" in [tab.label for tab in components_of(demo, gr.Tab)]
    page = "\n".join(block.value for block in components_of(demo, gr.Markdown))
    assert "| *Concat-ID* | 873 | .442 | .466 | .242 | .325 |" in page
    assert f"| `{toy}` | 1 | " in page and f"evaluate --preset {toy}" in page
    assert "frames with a face" in page and "Two people" not in page
    pictures = [image.value["orig_name"] for image in components_of(demo, gr.Image) if image.value]
    assert pictures == ["sheet-single.webp", "likeness.png", "frames.png"]
    # What is not there is left out.
    (folder / "likeness.png").unlink()
    demo = build_demo(None, None, preset=toy, outputs=tmp_path / "outputs", results=folder)
    assert len([image for image in components_of(demo, gr.Image) if image.value]) == 2


def test_without_a_report_there_is_no_tab(tmp_path: Path) -> None:
    demo = build_demo(None, None, preset="embedded", outputs=tmp_path, results=tmp_path / "nothing")
    assert "Results" not in [tab.label for tab in components_of(demo, gr.Tab)]
