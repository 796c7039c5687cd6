"""The page: header, one tab per task and per view of the runs, the score panel; and how it is served."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from concat_id.evaluation.report import load_reports
from concat_id.generation import describe_person
from concat_id.limits import DEFAULTS, Limits
from concat_id.loading.presets import EMBEDDED, PRESETS, Task
from concat_id.references.reference import Role
from concat_id.references.roles import ROLES
from concat_id.studio.evaluated import EvaluatedVideos
from concat_id.studio.runs import Library
from concat_id.studio.votes import Ballots
from concat_id.ui.compare.tab import build_compare_tab, wire_compare_tab
from concat_id.ui.events import Generate, Runner, gpu_seconds
from concat_id.ui.forms.draw_someone import draw_swatches
from concat_id.ui.forms.form import build_form_tab, wire_form_tab
from concat_id.ui.forms.multi import build_multi_tab, wire_multi_tab
from concat_id.ui.models import draw_header
from concat_id.ui.page_context import (
    DescribePerson,
    PageContext,
    PrepareReference,
    build_visitor,
    greet_visitor,
)
from concat_id.ui.panel.sidebar import build_sidebar
from concat_id.ui.results import build_results_tab
from concat_id.ui.runs.tab import build_runs_tab, wire_runs_tab
from concat_id.ui.scripts import read_script
from concat_id.ui.server.admission import open_queue
from concat_id.ui.server.forwarded_for import ClientAddressMiddleware
from concat_id.ui.server.refusals import answer_in_sentences
from concat_id.ui.tasks import BACKGROUND, MULTI, SINGLE, TRY_ON, TaskForm
from concat_id.ui.texts import FOOTNOTE, TITLE
from concat_id.ui.theme import STYLE_SHEETS, build_theme

EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"
RESULTS = EMBEDDED / "results"
# Below the outputs: what visitors may have of these if they know its name, and what they may not.
RUNS, VOTES = "runs", "votes"
CACHE_SWEEP_S, CACHE_AGE_HOURS = 3600, 24
# Gradio keeps a copy of the page's description, about 1 MB, for each visit and each call by a program.
MAX_SESSIONS = 100


@dataclass(frozen=True)
class TabKind:
    """One tab: the tasks it cannot do without, and how it is laid out and connected."""

    id: str  # of a form: its task
    label: str
    tasks: tuple[Task, ...]
    build: Callable[[PageContext], Any]  # gives the tab's components
    wire: Callable[[Any, PageContext], None] | None = None  # nothing to connect


def _form(form: TaskForm) -> TabKind:
    """The tab of a task's form."""
    return TabKind(form.task, form.label, (form.task,), partial(build_form_tab, form), wire_form_tab)


TABS = (
    _form(SINGLE),
    TabKind("multi", MULTI.label, ("multi",), build_multi_tab, wire_multi_tab),
    _form(TRY_ON),
    _form(BACKGROUND),
    TabKind("runs", "Runs", (), build_runs_tab, wire_runs_tab),
    TabKind("compare", "Compare", (), build_compare_tab, wire_compare_tab),
)


def build_demo(
    generate: Generate,
    prepare: PrepareReference,
    *,
    describe: DescribePerson = describe_person,
    preset: str,
    models: Sequence[str] = (),
    outputs: Path,
    examples: Path = EXAMPLES,
    results: Path = RESULTS,
    limits: Limits = DEFAULTS,
    replicas: int | None = None,
) -> gr.Blocks:
    """Build the page around the functions it is given.

    Args:
        generate: runs a job into a folder, yielding previews and last the result.
        prepare: makes a reference as a preset, its second argument, needs it.
        describe: gives the traits of the drawn person like the one in a reference, by a preset's tools.
        preset: name of the model that the forms begin with; tabs for what it cannot do are left out.
        models: names of more presets to choose from.
        outputs: folder of the runs and the votes.
        examples: folder of PNG pictures offered as example people; garments and places in folders in it.
        results: folder of an evaluation to show and to compare; without a report in it there is no such tab.
        limits: of what visitors may ask for.
        replicas: how many runs `generate`, of a backend, makes at once; None: it makes one, on this machine.
    """
    model, reports = PRESETS[preset], load_reports(results)
    kinds = [kind for kind in TABS if set(kind.tasks) <= set(model.tasks)] + _show_results(results, reports)
    # Gradio serves copies of the runs' files and keeps what was uploaded: that goes at the same age.
    cache_age_s = 3600 * min(CACHE_AGE_HOURS, limits.expire_hours or CACHE_AGE_HOURS)
    with gr.Blocks(
        title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(CACHE_SWEEP_S, cache_age_s)
    ) as demo:
        gr.HTML(draw_header(preset), container=False, elem_classes="cid-header")
        scores = build_sidebar([task for kind in kinds for task in kind.tasks], preset)
        tabs = gr.Tabs(elem_classes="cid-tabs", render=False)
        context = PageContext(
            runner=Runner(_on_shared_gpu(generate), preset, Library(outputs / RUNS), limits, replicas),
            ballots=Ballots(outputs / VOTES / "votes.sqlite3"),
            evaluated=EvaluatedVideos(results, reports),
            models=tuple(name for name in PRESETS if name == preset or name in models),
            prepare=prepare,
            describe=describe,
            examples=find_examples(examples),
            blocks=demo,
            scores=scores,
            tabs=tabs,
            opened={kind.id: gr.Tab(kind.label, id=kind.id, render=False) for kind in kinds},
            visitor=build_visitor(),
            restored=gr.State(),
            compared=gr.State(),
        )
        built = []
        with tabs.render():
            for kind in kinds:
                with context.opened[kind.id].render():
                    built.append(kind.build(context))
        gr.HTML(f"<p>{escape(FOOTNOTE)}</p>", container=False, elem_classes="cid-footnote")
        greet_visitor(context)
        demo.load(None, js=read_script("name_examples"), api_visibility="private")
        for kind, components in zip(kinds, built, strict=True):
            if kind.wire:
                kind.wire(components, context)
    return open_queue(answer_in_sentences(demo), limits)


def find_examples(folder: Path) -> dict[Role, tuple[Path, ...]]:
    """The PNG pictures that a folder offers for each role; what file managers leave there is none."""
    return {role: tuple(sorted((folder / kind.examples).glob("[!.]*.png"))) for role, kind in ROLES.items()}


def launch_demo(
    demo: gr.Blocks, outputs: Path, limits: Limits = DEFAULTS, *, results: Path = RESULTS, **options: Any
) -> Any:
    """Serve the page with its look.

    Args:
        outputs: as for `build_demo`.
        limits: likewise.
        results: likewise.
        options: of `gr.Blocks.launch`.
    """
    return demo.launch(
        # Folders of runs have names that cannot be guessed, and nothing lists them. All else below the
        # outputs has names that can: votes, other evaluations, what the command line made.
        allowed_paths=[str(outputs.resolve() / RUNS), str(results.resolve())],
        state_session_capacity=MAX_SESSIONS,
        max_file_size=max(limits.picture_bytes, limits.video_bytes),
        theme=build_theme(),
        css_paths=STYLE_SHEETS,
        css=draw_swatches(),
        footer_links=["api"],
        run_history=False,
        show_error=True,
        mcp_server=True,
        app_kwargs={"middleware": [Middleware(ClientAddressMiddleware)]},
        ssr_mode=False,
        **options,
    )


def _show_results(folder: Path, reports: Mapping[str, Mapping[str, Any]]) -> list[TabKind]:
    """The tab of an evaluation's results, where there are any."""
    if not reports:
        return []
    return [
        TabKind("results", "Results", (), lambda context: build_results_tab(folder, reports)),
    ]


def _on_shared_gpu(generate: Generate) -> Callable[..., Any]:
    """On a Hugging Face Space with shared GPUs, ask for one for each run; elsewhere nothing changes."""
    import spaces

    return spaces.GPU(duration=gpu_seconds)(generate)
