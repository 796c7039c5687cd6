"""Help with the prompt, folded below it: put together of parts, or extended by a language model if any.

Nothing is sent before the visitor asks for it, and nothing takes the prompt's place before it was seen.
"""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from concat_id.errors import InvalidJob
from concat_id.prompts.extension import Extension
from concat_id.prompts.parts import PromptParts, suggest_parts
from concat_id.prompts.service import PromptService, instruct, read_service
from concat_id.ui.events import QUIET, as_sentences
from concat_id.ui.texts import (
    EXTEND,
    EXTENDED,
    NOTHING_COMPOSED,
    NOTHING_TO_EXTEND,
    PART_LABELS,
    PROMPT_HELP,
    SENT_TO,
    USE_PROMPT,
    WHAT_IS_SENT,
)

if TYPE_CHECKING:
    from concat_id.loading.presets import Task
    from concat_id.ui.tasks import TaskForm

# One question at a time: each may cost whoever runs the studio.
SERVICE_QUEUE: dict[str, Any] = {"concurrency_id": "prompts", "concurrency_limit": 1}


@dataclass(frozen=True)
class PromptHelp:
    """The components; those of the language model are unseen where there is none."""

    task: Task
    parts: dict[str, gr.Dropdown]  # by the names of `PromptParts`
    composed: gr.HTML
    use_parts: gr.Button
    service: PromptService | None
    sent: gr.HTML
    extend: gr.Button
    answer: gr.Textbox
    use_answer: gr.Button
    answered: gr.State  # the extension in `answer`, None before there is one
    extension: gr.State  # of the prompt as it stands


def build_prompt_help(form: TaskForm, model: str) -> PromptHelp:
    """Lay the fold out for a form's task."""
    service, page = read_service(), form.page
    with gr.Accordion(PROMPT_HELP, open=False, elem_id=f"{page}help", elem_classes="cid-help"):
        with gr.Row(elem_classes="cid-parts"):
            parts = {
                name: gr.Dropdown(
                    list(choices),
                    value="",
                    label=PART_LABELS[name],
                    allow_custom_value=True,
                    visible=bool(choices),
                    min_width=140,
                    elem_id=f"{page}part-{name}",
                )
                for name, choices in asdict(suggest_parts(model, form.task)).items()
            }
        composed = gr.HTML(_draw(NOTHING_COMPOSED), container=False, elem_id=f"{page}composed")
        use_parts = gr.Button(USE_PROMPT, size="md", interactive=False, elem_id=f"{page}use-parts")
        with gr.Column(visible=service is not None, elem_classes="cid-extend"):
            sent = gr.HTML(draw_sent(service, model), container=False, elem_id=f"{page}sent")
            extend = gr.Button(EXTEND, size="md", elem_id=f"{page}extend")
            answer = gr.Textbox(
                label=EXTENDED, lines=3, max_lines=8, visible=False, elem_id=f"{page}extended"
            )
            use_answer = gr.Button(USE_PROMPT, size="md", visible=False, elem_id=f"{page}use-extended")
    states = gr.State(), gr.State()
    own = composed, use_parts, service, sent, extend, answer, use_answer
    return PromptHelp(form.task, parts, *own, *states)


def wire_prompt_help(panel: PromptHelp, prompt: gr.Textbox, model: gr.Dropdown) -> None:
    """Connect the fold with the prompt above it."""
    parts = list(panel.parts.values())
    gr.on(
        [part.change for part in parts],
        show_composed,
        parts,
        [panel.composed, panel.use_parts],
        trigger_mode="always_last",
        **QUIET,
    )
    panel.use_parts.click(
        lambda *given: (PromptParts(*given).compose(), None), parts, [prompt, panel.extension], **QUIET
    )
    model.change(
        lambda name: [*_offer(name, panel.task), draw_sent(panel.service, name)],
        model,
        [*parts, panel.sent],
        **QUIET,
    )
    if panel.service is None:
        return

    def extend(text: str | None, name: str) -> dict[Any, Any]:
        with as_sentences():
            if not (text or "").strip():
                raise InvalidJob(NOTHING_TO_EXTEND)
            extension = panel.service.extend(text, name)
        shown = gr.Textbox(extension.answer, visible=True)
        return {panel.answer: shown, panel.use_answer: gr.Button(visible=True), panel.answered: extension}

    panel.extend.click(
        extend,
        [prompt, model],
        [panel.answer, panel.use_answer, panel.answered],
        show_progress_on=panel.extend,
        api_visibility="private",
        **SERVICE_QUEUE,
    )
    panel.use_answer.click(
        lambda text, extension: (text, extension),
        [panel.answer, panel.answered],
        [prompt, panel.extension],
        **QUIET,
    )


def keep_extension(extension: Extension | None, prompt: str) -> Extension | None:
    """The extension that a prompt came from; None where hardly a word of it is left."""
    if extension is None:
        return None
    words, answered = set(prompt.lower().split()), set(extension.answer.lower().split())
    return extension if 2 * len(words & answered) >= len(words) else None


def show_composed(*parts: str | None) -> tuple[str, gr.Button]:
    """The prompt that the parts make, and whether there is one to use."""
    text = PromptParts(*(part or "" for part in parts)).compose()
    return _draw(text or NOTHING_COMPOSED), gr.Button(interactive=bool(text))


def draw_sent(service: PromptService | None, model: str) -> str:
    """Who is asked, and all that is sent but the prompt itself."""
    if service is None:
        return ""
    who = SENT_TO.format(service.model, service.host)
    return (
        f'<p class="cid-hint">{escape(who)}</p><details><summary>{escape(WHAT_IS_SENT)}</summary>'
        f"<p>{escape(instruct(model))}</p></details>"
    )


def _offer(model: str, task: Task) -> list[gr.Dropdown]:
    """The parts for another model; what was written stays, but in a part that it knows nothing of."""
    offered = astuple(suggest_parts(model, task))
    return [
        gr.Dropdown(list(choices), visible=True) if choices else gr.Dropdown([], value="", visible=False)
        for choices in offered
    ]


def _draw(text: str) -> str:
    """A line below the parts."""
    return f'<p class="cid-hint">{escape(text)}</p>'
