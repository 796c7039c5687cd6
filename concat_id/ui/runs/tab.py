"""The tab "Runs": what this visitor made, to look at again, restore, compare, download, delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import gradio as gr

from concat_id.output.video import read_video
from concat_id.studio.restore import restore_job
from concat_id.studio.runs import ORDERS, Run
from concat_id.ui.events import QUIET, as_sentences
from concat_id.ui.page_context import PageContext
from concat_id.ui.panel import sidebar
from concat_id.ui.panel.preview_area import show_clip
from concat_id.ui.runs.run_card import caption_run, draw_run
from concat_id.ui.scripts import read_script
from concat_id.ui.texts import NO_RUNS, PICTURE_MISSING


@dataclass(frozen=True)
class RunsTab:
    """The tab's components."""

    order: gr.Radio
    upload: gr.UploadButton
    empty: gr.HTML
    gallery: gr.Gallery
    names: gr.State  # of the runs in the gallery, in its order
    opened: gr.State  # the name of the run that is open
    # The open run
    detail: gr.Column
    video: gr.Video
    card: gr.HTML
    scores: gr.HTML
    restore: gr.Button
    compare: gr.Button
    save_video: gr.DownloadButton
    save_gif: gr.Button
    save_settings: gr.DownloadButton
    save_all: gr.Button
    file: gr.DownloadButton  # unseen: hands over what is made on demand
    delete: gr.Button
    really: gr.Button
    keep: gr.Button

    @property
    def listed(self) -> list[Any]:
        """What the list of runs changes."""
        return [self.empty, self.order, self.gallery, self.names]

    @property
    def shown(self) -> list[Any]:
        """What opening a run changes."""
        files = [self.save_video, self.save_settings]
        return [self.opened, self.detail, self.video, self.card, self.scores, *files, *self.deletion]

    @property
    def deletion(self) -> list[Any]:
        """The buttons that ask before deleting."""
        return [self.delete, self.really, self.keep]


def build_runs_tab(context: PageContext) -> RunsTab:
    """Lay the tab out: the gallery above, the open run beneath it."""
    with gr.Column(elem_id="runs-page", elem_classes=["cid-wide"]):
        with gr.Row(elem_classes="cid-runs-head"):
            order = gr.Radio(
                list(ORDERS),
                value="Newest",
                label="Sorted by",
                visible=False,
                elem_id="order",
                elem_classes="cid-order",
            )
            upload = gr.UploadButton(
                "Restore from an MP4",
                file_types=[".mp4"],
                size="md",
                variant="secondary",
                scale=0,
                min_width=200,
                elem_id="upload-run",
            )
        empty = gr.HTML(draw_empty(), elem_id="no-runs")
        gallery = gr.Gallery(
            label="Your runs",
            show_label=False,
            visible=False,
            columns=6,
            fit_columns=False,
            height="auto",
            allow_preview=False,
            object_fit="contain",
            buttons=[],
            interactive=False,
            elem_id="runs",
            elem_classes="cid-gallery",
        )
        with gr.Column(visible=False, elem_id="run", elem_classes="cid-detail") as detail:
            components = _build_detail()
    return RunsTab(order, upload, empty, gallery, gr.State([]), gr.State(), detail, **components)


def _build_detail() -> dict[str, Any]:
    """Lay out the open run: video and files, settings and what to do with them, scores."""
    with gr.Row(elem_classes="cid-columns"):
        with gr.Column(scale=5, min_width=260):
            video = gr.Video(
                interactive=False,
                autoplay=True,
                loop=True,
                show_label=False,
                buttons=[],
                elem_id="run-video",
                elem_classes="cid-video",
            )
            with gr.Row(elem_classes="cid-files"):
                save_video = gr.DownloadButton("MP4", size="md", min_width=60, elem_id="save-run-video")
                save_gif = gr.Button("GIF", size="md", min_width=60, elem_id="save-run-gif")
                save_settings = gr.DownloadButton("JSON", size="md", min_width=60, elem_id="save-run-json")
                save_all = gr.Button("All (ZIP)", size="md", min_width=90, elem_id="save-run-zip")
            file = gr.DownloadButton(visible="hidden", elem_id="run-file")
        with gr.Column(scale=4, min_width=260):
            card = gr.HTML(container=False, elem_id="run-card")
            restore = gr.Button("Restore these settings", variant="primary", size="lg", elem_id="restore")
            compare = gr.Button("Compare", size="lg", elem_id="to-compare")
            with gr.Row():
                delete = gr.Button("Delete", size="md", variant="stop", elem_id="delete")
                really = gr.Button(
                    "Delete for good", size="md", variant="stop", visible=False, elem_id="really-delete"
                )
                keep = gr.Button("Keep", size="md", visible=False, elem_id="keep")
        with gr.Column(scale=3, min_width=240):
            scores = gr.HTML(container=False, elem_id="run-scores")
    return {
        "video": video,
        "card": card,
        "scores": scores,
        "restore": restore,
        "compare": compare,
        "save_video": save_video,
        "save_gif": save_gif,
        "save_settings": save_settings,
        "save_all": save_all,
        "file": file,
        "delete": delete,
        "really": really,
        "keep": keep,
    }


def wire_runs_tab(tab: RunsTab, context: PageContext) -> None:
    """Connect the gallery, the open run, and the ways back into a form."""
    listing = {"inputs": [context.visitor, tab.order], "outputs": tab.listed, **QUIET}

    def refresh(visitor: str, order: str) -> dict[Any, Any]:
        return list_runs(tab, context, visitor, order)

    def open_run(names: list[str], event: gr.SelectData) -> dict[Any, Any]:
        with as_sentences():
            return show_run(tab, context.library.open(names[event.index]))

    context.opened["runs"].select(refresh, **listing)
    tab.order.input(refresh, **listing)
    tab.gallery.select(open_run, tab.names, tab.shown, **QUIET)
    _wire_handing_over(tab, context)
    _wire_files(tab, context)
    _wire_deletion(tab, context)


def _wire_handing_over(tab: RunsTab, context: PageContext) -> None:
    """From a run, a link or a file into a form; from a run to the comparison."""
    outputs = [context.restored, context.tabs]

    def restore(name: str) -> dict[Any, Any]:
        with as_sentences():
            return context.restore(context.library.open(name).job)

    def follow_link(request: gr.Request) -> Any:
        name = request.query_params.get("run")
        return restore(name) if name else gr.skip()

    def restore_video(path: str, visitor: str) -> dict[Any, Any]:
        with as_sentences():
            job = restore_job(Path(path), context.library.list(visitor), chain(*context.examples.values()))
            if not all(reference.picture for reference in job.references):
                gr.Warning(PICTURE_MISSING, duration=None)
            return context.restore(job)

    def compare(name: str) -> dict[Any, Any]:
        return context.compare([name])

    tab.restore.click(restore, tab.opened, outputs, **QUIET)
    context.blocks.load(follow_link, None, outputs, **QUIET)
    context.blocks.load(None, js=read_script("catch_drops"), api_visibility="private")
    # Tabs come into being when they are first shown: what is dropped needs a place outside of them.
    dropped = gr.UploadButton(file_types=[".mp4"], visible="hidden", elem_id="dropped")
    for upload in (tab.upload, dropped):
        upload.upload(restore_video, [upload, context.visitor], outputs, **QUIET)
    tab.compare.click(compare, tab.opened, [context.compared, context.tabs], **QUIET)


def _wire_files(tab: RunsTab, context: PageContext) -> None:
    """What is made when it is asked for."""

    def offer(make: Callable[[Run], Path]) -> Callable[[str], str]:
        def make_file(name: str) -> str:
            with as_sentences():
                return str(make(context.library.open(name)))

        return make_file

    for button, make in ((tab.save_gif, Run.make_gif), (tab.save_all, Run.make_zip)):
        made = button.click(
            offer(make), tab.opened, tab.file, show_progress="minimal", api_visibility="private"
        )
        made.success(None, js=read_script("fetch_file"), api_visibility="private")


def _wire_deletion(tab: RunsTab, context: PageContext) -> None:
    """Asking first, then deleting."""

    def ask(asking: bool) -> dict[Any, Any]:
        return ask_about_deletion(tab, asking)

    def delete(name: str, visitor: str, order: str) -> dict[Any, Any]:
        with as_sentences():
            context.library.delete(name, visitor)
        hidden = {tab.opened: None, tab.detail: gr.Column(visible=False), tab.video: None}
        return {**list_runs(tab, context, visitor, order), **hidden, **ask(False)}

    tab.delete.click(lambda: ask(True), None, tab.deletion, **QUIET)
    tab.keep.click(lambda: ask(False), None, tab.deletion, **QUIET)
    gone = [*tab.listed, tab.opened, tab.detail, tab.video, *tab.deletion]
    tab.really.click(delete, [tab.opened, context.visitor, tab.order], gone, **QUIET)


def list_runs(tab: RunsTab, context: PageContext, visitor: str, order: str) -> dict[Any, Any]:
    """The updates that show a visitor's runs in an order."""
    runs = sorted(context.library.list(visitor), key=ORDERS[order])
    pictures = [(str(run.video), caption_run(run)) for run in runs]
    return {
        tab.empty: gr.HTML(visible=not runs),
        tab.order: gr.Radio(visible=len(runs) > 1),
        tab.gallery: gr.Gallery(pictures, visible=bool(runs), selected_index=None),
        tab.names: [run.name for run in runs],
    }


def show_run(tab: RunsTab, run: Run) -> dict[Any, Any]:
    """The updates that open a run."""
    return {
        tab.opened: run.name,
        tab.detail: gr.Column(visible=True),
        tab.video: show_clip(run),
        tab.card: draw_run(run),
        tab.scores: sidebar.draw_result(run, read_video(run.video).frames),
        tab.save_video: str(run.video),
        tab.save_settings: str(run.sidecar),
        **ask_about_deletion(tab, False),
    }


def ask_about_deletion(tab: RunsTab, asking: bool) -> dict[Any, Any]:
    """The updates that ask whether to delete, or stop asking."""
    return {
        tab.delete: gr.Button(visible=not asking),
        tab.really: gr.Button(visible=asking),
        tab.keep: gr.Button(visible=asking),
    }


def draw_empty() -> str:
    """The tab before the first run."""
    return f'<div class="cid-nothing"><p>{NO_RUNS}</p></div>'
