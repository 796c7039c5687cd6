"""What the patches of Gradio stand on; that they do what they should, the tests of their users say."""

from __future__ import annotations

import inspect
from importlib.metadata import version

import gradio as gr
from gradio.data_classes import ImageData
from gradio.queueing import Queue

from concat_id.ui.server.gradio_patches import WRITTEN_FOR, hand_over_file


def test_gradio_is_the_version_that_the_patches_were_written_for() -> None:
    assert version("gradio") == WRITTEN_FOR, "look at concat_id/ui/server/gradio_patches.py, then change it"


def test_the_queue_is_joined_and_read_as_expected() -> None:
    assert list(inspect.signature(Queue.push).parameters) == ["self", "body", "request", "username"]
    assert inspect.iscoroutinefunction(Queue.push)
    with gr.Blocks() as demo:
        gr.Button().click(lambda: None, concurrency_id="gpu")
    demo.queue()
    lines = demo._queue.event_queue_per_concurrency_id
    assert isinstance(lines, dict)
    assert all(isinstance(line.queue, list) for line in lines.values())


def test_every_event_ends_in_process_api() -> None:
    assert inspect.iscoroutinefunction(gr.Blocks.process_api)


def test_arguments_are_described_by_a_dictionary() -> None:
    assert isinstance(gr.Textbox(render=False).api_info_as_input(), dict)


def test_an_image_hands_over_its_file() -> None:
    image = gr.Image(type="filepath", render=False)
    hand_over_file(image)
    assert image.preprocess(ImageData(path="as-it-came.heic")) == "as-it-came.heic"
    assert image.preprocess(None) is None
