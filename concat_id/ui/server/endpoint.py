"""A form's run for programs: `client.predict(picture, prompt, api_name="/generate")`, and a tool by MCP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from inspect import Parameter, Signature
from typing import Any

import gradio as gr

from concat_id.generation import Progress, Result
from concat_id.settings import FORM_SETTINGS, SettingKind
from concat_id.ui.events import Event, Runner
from concat_id.ui.server.gradio_patches import describe_input
from concat_id.ui.tasks import TaskForm

RETURNS = (
    'The video\'s file, the file with all settings and scores, and a report: {"fetching"} and '
    '{"loading"} where a model is made ready, {"waiting"} where a backend is busy, '
    '{"step", "total"} while running, at the end {"scores", "seed", "seconds", "notes"}, of which '
    "the last say what to know of pictures and prompt."
)


def add_endpoint(
    form: TaskForm,
    inputs: Sequence[gr.components.Component],
    runner: Runner,
) -> None:
    """Offer a form's run to programs, with a named argument for each of its values.

    Args:
        inputs: the form's components, in the order of its values.
    """

    def generate(*values: Any) -> Iterator[tuple[str | None, str | None, dict[str, Any]]]:
        for event in runner.run(form.make_job(*values), memory=form.read_memory(*values)):
            yield _report(event)

    # Gradio names the arguments after the function's; those of a form follow from what it asks for.
    generate.__signature__ = Signature([_describe(form, name) for name in form.values])
    generate.__doc__ = _document(form)
    generate.__name__ = form.endpoint  # by which MCP calls the tool
    left_out = _build_blanks()
    given = [left_out.get(name, part) for name, part in zip(form.values, inputs, strict=True)]
    for component, said in zip(given, form.values.values(), strict=True):
        _explain(component, said)
    video = gr.Video(visible=False, label="Video")
    sidecar = gr.File(visible=False, label="Settings and scores")
    report = gr.JSON(visible=False, label="Report")
    gr.Button(visible=False).click(
        generate,
        given,
        [video, sidecar, report],
        api_name=form.endpoint,
        **runner.queue,
    )


def _build_blanks() -> dict[str, gr.components.Component]:
    """What programs may leave to the model they name, while the page's fields always hold a value."""
    blanks = {kind.name: _build_blank(kind) for kind in FORM_SETTINGS}
    return blanks | {
        "lora": gr.Textbox(None, visible=False, label="LoRA"),
        "memory": gr.Textbox(None, visible=False, label="GPU memory"),
        "lora_strength": gr.Number(None, visible=False, label="Strength of the LoRA"),
    }


def _build_blank(kind: SettingKind) -> gr.components.Component:
    if kind.type is str:
        return gr.Textbox(None, visible=False, label=kind.label)
    low, high = kind.range or (None, None)
    precision = 0 if kind.type is int else None
    return gr.Number(None, visible=False, label=kind.label, precision=precision, minimum=low, maximum=high)


def _describe(form: TaskForm, name: str) -> Parameter:
    """An argument; all but the pictures that are needed and the prompt may be left out."""
    needed = {slot.name for slot in form.slots if not slot.optional} | {"prompt"}
    # Where the page's component has a value, Gradio takes that instead of None.
    default = Parameter.empty if name in needed else None
    return Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default)


def _explain(component: gr.components.Component, said: str) -> None:
    """Let clients say more of an argument than its type: what it is, and a slider's range."""
    has_range = getattr(component, "maximum", None) is not None
    ends = {"minimum": component.minimum, "maximum": component.maximum} if has_range else {}
    describe_input(component, [said], **ends)


def _document(form: TaskForm) -> str:
    """The docstring, which Gradio shows to programs."""
    arguments = "".join(f"    {name}: {said}\n" for name, said in form.values.items())
    return f"{form.purpose}\n\nArgs:\n{arguments}\nReturns:\n    {RETURNS}\n"


def _report(event: Event) -> tuple[str | None, str | None, dict[str, Any]]:
    """What a program gets for an event."""
    if isinstance(event, Progress):
        return None, None, {"step": event.index + 1, "total": event.total}
    if not isinstance(event, Result):
        return None, None, {type(event).__name__.lower(): asdict(event)}
    scores = event.scores.to_dict() if event.scores else None
    report = {
        "scores": scores,
        "seed": event.job.settings.seed,
        "seconds": event.seconds,
        "notes": event.notes,
    }
    return str(event.video), str(event.sidecar), report
