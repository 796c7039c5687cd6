"""An evaluation's videos are voted on blindly: a system's that were made elsewhere, beside ours."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect
from studio import PacedRuns, serve_studio, show

from concat_id.job import Job
from concat_id.references.reference import Reference
from concat_id.settings import Settings

SYSTEM = {
    "name": "ID-Animator",
    "licence": "Apache-2.0",
    "date": "2026-03-31",
    "url": "https://example.org",
    "command": "python infer.py",
}


def write_results(folder: Path, picture: Path) -> Path:
    """An evaluation of one case by a preset and by a system: reports and videos."""
    job = Job("single", (Reference("face", picture),), "waving", Settings(seed=0, num_inference_steps=2))
    ours = folder / "embedded" / "videos"
    for _ in PacedRuns(step_s=0).generate(job.resolve(), ours / "single-000.mp4"):
        pass
    theirs = folder / SYSTEM["name"] / "videos"
    shutil.copytree(ours, theirs)
    sidecar = theirs / "single-000.json"
    sidecar.write_text(sidecar.read_text().replace('"embedded"', f'"{SYSTEM["name"]}"'))
    entry = {
        **{"videos": 1, "planned": 1, "errors": {}, "figures": {}, "by_category": {}},
        "by_case": {"single-000": {"people": ["a"], "values": {}}},
    }
    for name, system in (("embedded", None), (SYSTEM["name"], SYSTEM)):
        report = {
            **{"title": name, "command": "evaluate", "protocol": "auto", "reader_accuracy": {}},
            **{"not_computed": {}, "sets": {"single": entry}, "system": system},
        }
        (folder / name / "report.json").write_text(json.dumps(report))
    return folder


def test_a_system_s_video_is_voted_on_beside_ours(
    open_page: Callable[..., Page], people: dict[str, Path], tmp_path: Path
) -> None:
    results = write_results(tmp_path / "results", people["one"])
    with serve_studio(tmp_path, people, "embedded", results=results) as studio:
        page = open_page(studio.url)
        show(page, "results")
        expect(page.locator("#results-page")).to_contain_text(
            "ID-Animator: of 2026-03-31, licence Apache-2.0"
        )
        show(page, "compare")
        page.locator("#blind input").check()
        page.locator("#case input").click()
        page.get_by_role("option", name="single-000").click()
        expect(page.locator("#sides video")).to_have_count(2)
        expect(page.locator("#vote")).to_be_visible()
        expect(page.locator("#sides")).not_to_contain_text("ID-Animator")
        for criterion in ("identity", "motion", "naturalness"):
            page.locator(f"#vote-{criterion} input").first.check()
        page.click("#vote")
        expect(page.locator("#sides")).to_contain_text("model ID-Animator (Apache-2.0, 2026-03-31)")
        page.locator("#tally-fold > button").click()
        expect(page.locator("#tally caption")).to_have_text(
            "model ID-Animator (Apache-2.0, 2026-03-31) against model embedded"
        )
        # One more of ours is made of the same picture and prompt.
        page.get_by_role("button", name="Half the steps").click()
        expect(page.locator("#sides video")).to_have_count(3)
        (job,) = studio.runs.started
        assert (job.preset, job.prompt, job.settings.num_inference_steps) == ("embedded", "waving", 1)
