"""What the pages share: the model, the visitor, and how one page hands something to another."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from concat_id.errors import InvalidJob, RunNotFound, WeightsUnavailable
from concat_id.job import Job
from concat_id.loading.load import list_missing
from concat_id.loading.presets import PRESETS, Task
from concat_id.references.reference import Reference, Role
from concat_id.studio.evaluated import EvaluatedVideos
from concat_id.studio.runs import Library, Run
from concat_id.studio.votes import Ballots
from concat_id.ui.events import Runner
from concat_id.ui.forms.reference_slot import Prepare, is_same_file
from concat_id.ui.scripts import read_script
from concat_id.ui.texts import DRAWN_THINGS_ONLY, SEEN_ONCE_FETCHED

if TYPE_CHECKING:
    from concat_id.people.portrait import Traits
    from concat_id.references.prepare import PreparedReference
    from concat_id.ui.tasks import TaskForm

# Takes a reference and the name of the preset that needs it.
PrepareReference = Callable[..., "PreparedReference"]

# Likewise; gives the drawn person most like the one in it.
DescribePerson = Callable[..., "Traits"]

# Gradio encrypts what a browser keeps with this; a random one would lose it whenever the studio is started.
BROWSER_SECRET = "concat-id-studio"


# Settings that a job may have of its own, and no form sets.
RATE = ("fps",)
SAMPLING = ("skip_guidance_layers", "shift", "max_sequence_length")


@dataclass(frozen=True)
class Restored:
    """A job for the form of its task; a new number each time, as the same job may be restored twice."""

    job: Job
    number: str


@dataclass(frozen=True)
class Compared:
    """The names of the runs to compare; numbered for the same reason."""

    names: tuple[str, ...]
    number: str


@dataclass(frozen=True)
class PageContext:
    """What every page is built and connected with.

    A form listens to `restored` and takes the jobs of its task; the page of comparisons listens to
    `compared`. Who has such a thing to hand over gives the updates that `restore` and `compare` return.
    """

    runner: Runner
    models: tuple[str, ...]  # names of the presets that this page offers
    prepare: PrepareReference
    describe: DescribePerson
    ballots: Ballots
    evaluated: EvaluatedVideos
    examples: Mapping[Role, tuple[Path, ...]]
    blocks: gr.Blocks
    scores: dict[Task, gr.HTML]  # a panel for each task that has a form on this page
    tabs: gr.Tabs
    opened: dict[str, gr.Tab]  # by name, each selected when a visitor opens it
    visitor: gr.BrowserState  # the token by which a browser's runs are found again
    restored: gr.State
    compared: gr.State

    def list_models(self, form: TaskForm) -> list[str]:
        """The names of the presets that can make what a form, fitted to the page's preset, asks for."""
        return [
            name
            for name in self.models
            if form.task in PRESETS[name].tasks and form.fit(PRESETS[name]).slots == form.slots
        ]

    def prepare_for(self, model: str) -> Prepare:
        """What makes references as a model needs them; nothing is fetched for it."""
        if list_missing(model):

            def refuse(reference: Reference) -> PreparedReference:
                raise WeightsUnavailable(SEEN_ONCE_FETCHED)

            return refuse
        return partial(self._prepare, model)

    def _prepare(self, model: str, reference: Reference) -> PreparedReference:
        """A reference; where a model knows drawn ones only, with a word on what may be none."""
        prepared = self.prepare(reference, preset=model)
        if PRESETS[model].domain != "drawn":
            return replace(prepared, photographed=False)
        # Of clothes and places nothing tells photographed ones.
        examples = self.examples[reference.role]
        if reference.role == "face" or any(is_same_file(reference.picture, path) for path in examples):
            return prepared
        return replace(prepared, notes=(*prepared.notes, DRAWN_THINGS_ONLY[reference.role]))

    @property
    def library(self) -> Library:
        """All runs."""
        return self.runner.library

    def open(self, name: str) -> Run:
        """A run to compare, of a visitor or of the evaluation."""
        return (self.evaluated if "/" in name else self.library).open(name)

    def open_all(self, names: Iterable[str]) -> list[Run]:
        """The runs of these names that are still there."""
        runs = []
        for name in names:
            with suppress(RunNotFound):
                runs.append(self.open(name))
        return runs

    def restore(self, job: Job) -> dict[Any, Any]:
        """The updates that put a job into the form of its task, and show it."""
        if job.task not in self.scores:
            raise InvalidJob(
                f"there is no form for the task '{job.task}' here; start the studio with a model for it."
            )
        if job.preset not in self.models:
            gr.Warning(f"This was made with another model: {job.preset}. Here it looks different.")
        elif _differs(job, RATE):
            gr.Warning("This was made with another frame rate than the form here makes.")
        elif _differs(job, SAMPLING):
            gr.Warning("This was made when the model sampled in another way. Here it looks different.")
        return {self.restored: Restored(job, secrets.token_hex(4)), self.tabs: gr.Tabs(selected=job.task)}

    def compare(self, names: Sequence[str]) -> dict[Any, Any]:
        """The updates that put runs side by side, and show them."""
        return {
            self.compared: Compared(tuple(names), secrets.token_hex(4)),
            self.tabs: gr.Tabs(selected="compare"),
        }


def _differs(job: Job, names: Sequence[str]) -> bool:
    """Whether a job has other values than its preset; those of earlier versions are not known."""
    own = ((getattr(job.settings, name), getattr(PRESETS[job.preset], name)) for name in names)
    return any(value is not None and value != preset for value, preset in own)


def build_visitor() -> gr.BrowserState:
    """Where a browser keeps its token."""
    return gr.BrowserState("", storage_key="concat-id-visitor", secret=BROWSER_SECRET)


def greet_visitor(context: PageContext) -> None:
    """Give a browser that comes for the first time its token, without asking the server."""
    context.blocks.load(
        None, context.visitor, context.visitor, js=read_script("new_token"), api_visibility="private"
    )


def keep_values(blocks: gr.Blocks, key: str, form: Mapping[str, gr.components.Component]) -> None:
    """Let what is in a form survive a reload; it stays in the visitor's browser.

    Args:
        key: names the form among all that this browser keeps.
        form: its components by name; what a form of other names left behind is not brought back.
    """
    components = list(form.values())
    storage_key = "-".join(["concat-id", key, *form])
    # A link to a run says what the form should hold: what it held before stays out of the way.
    kept = gr.BrowserState(None, storage_key=storage_key, secret=BROWSER_SECRET)
    blocks.load(
        None, [kept, *components], components, js=read_script("restore_values"), api_visibility="private"
    )
    gr.on(
        [component.change for component in components],
        None,
        components,
        kept,
        js="(...values) => [values]",
        api_visibility="private",
    )
