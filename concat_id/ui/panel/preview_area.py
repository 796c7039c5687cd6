"""The stage in the centre: the empty state, previews as short animations, and the progress beneath them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from concat_id.loading.load import Loading
from concat_id.loading.weights import Fetching
from concat_id.serve.messages import Waiting
from concat_id.ui.data_url import encode_image
from concat_id.ui.texts import EMPTY_STAGE

if TYPE_CHECKING:
    import numpy as np

    from concat_id.generation import Preview, Progress, Result
    from concat_id.loading.presets import Preset
    from concat_id.settings import Settings
    from concat_id.studio.runs import Run

MAX_ENLARGEMENT = 2
MAX_WIDTH_PX = 560
MAX_PREVIEW_SIDE_PX = 384
MAX_PREVIEW_FRAMES = 24

_OUTLINE = (
    '<svg viewBox="0 0 64 64" aria-hidden="true"><circle cx="32" cy="24" r="11"/>'
    '<path d="M12 56c0-12 9-18 20-18s20 6 20 18"/></svg>'
)


@dataclass(frozen=True)
class Stage:
    """The stage's components: a canvas and the progress until the video is there, then it and its files."""

    canvas: gr.HTML
    progress: gr.HTML
    video: gr.Video
    save_video: gr.DownloadButton
    save_settings: gr.DownloadButton
    made: gr.State  # the names of the runs whose videos were made together
    compare: gr.Button  # shows them side by side

    @property
    def components(self) -> list[gr.components.Component]:
        """All of them, as outputs of a handler."""
        files = [self.save_video, self.save_settings]
        return [self.canvas, self.progress, self.video, *files, self.made, self.compare]

    def show_canvas(self, drawing: str, size: Preset | Settings, progress: str = "") -> dict[Any, Any]:
        """The updates that put a drawing on the stage and take any video off it."""
        shape = read_shape(size)
        return {
            self.canvas: gr.HTML(frame_drawing(drawing, shape), visible=True),
            self.progress: gr.HTML(frame_drawing(progress, shape), visible=bool(progress)),
            self.video: gr.Video(None, visible=False),
            self.save_video: gr.DownloadButton(visible=False),
            self.save_settings: gr.DownloadButton(visible=False),
            self.compare: gr.Button(visible=False),
        }

    def show_video(self, result: Result) -> dict[Any, Any]:
        """The updates that put the finished video on the stage."""
        return {
            self.canvas: gr.HTML("", visible=False),
            self.progress: gr.HTML("", visible=False),
            self.video: show_clip(result),
            self.save_video: gr.DownloadButton(value=str(result.video), visible=True),
            self.save_settings: gr.DownloadButton(value=str(result.sidecar), visible=True),
        }

    def offer_comparison(self, names: Sequence[str]) -> dict[Any, Any]:
        """The updates that offer to compare the videos of these runs."""
        return {self.made: tuple(names), self.compare: gr.Button(f"Compare these {len(names)}", visible=True)}


def build_stage(preset: Preset, page: str = "") -> Stage:
    """Lay the stage out, in the proportions of the preset's videos.

    Args:
        page: goes before the elements' names on pages that are not the first with a stage.
    """
    shape = read_shape(preset)
    with gr.Column(elem_classes="cid-theatre"):
        canvas = gr.HTML(
            frame_drawing(draw_empty(), shape),
            elem_id=f"{page}stage",
            elem_classes="cid-canvas",
            container=False,
        )
        # Beside the canvas, so that a step need not send the preview again.
        progress = gr.HTML(visible=False, elem_id=f"{page}progress", container=False)
        video = gr.Video(
            visible=False,
            interactive=False,
            autoplay=True,
            loop=True,
            show_label=False,
            buttons=[],
            elem_id=f"{page}video",
            elem_classes="cid-video",
        )
        with gr.Row(elem_classes="cid-files"):
            save_video = gr.DownloadButton(
                "Video (MP4)", visible=False, size="md", elem_id=f"{page}save-video"
            )
            save_settings = gr.DownloadButton(
                "Settings and scores (JSON)", visible=False, size="md", elem_id=f"{page}save-settings"
            )
            compare = gr.Button(visible=False, size="md", elem_id=f"{page}compare-made")
    return Stage(canvas, progress, video, save_video, save_settings, gr.State(()), compare)


def read_shape(size: Preset | Settings) -> str:
    """Proportions and largest width, for the style sheet."""
    return f"--ratio: {size.width} / {size.height}; --widest: {limit_width(size)}px"


def limit_width(size: Preset | Settings) -> int:
    """How wide a video of this size may be shown, in px: more would show its pixels instead of it."""
    return min(MAX_ENLARGEMENT * size.width, MAX_WIDTH_PX)


def show_clip(made: Result | Run) -> gr.Video:
    """The update that plays a video no larger than it can bear."""
    return gr.Video(str(made.video), visible=True, width=limit_width(made.job.settings))


def frame_drawing(drawing: str, shape: str) -> str:
    """A drawing of this shape."""
    return f'<div class="cid-frame" style="{shape}">{drawing}</div>'


def draw_empty(message: str = EMPTY_STAGE) -> str:
    """The stage before the first run, after Stop, and after an error."""
    return f'<div class="cid-stage" data-state="empty">{_OUTLINE}<p>{escape(message)}</p></div>'


def draw_waiting() -> str:
    """The stage between the click and the first preview."""
    return '<div class="cid-stage" data-state="waiting"><span class="cid-pulse"></span></div>'


def draw_preview(preview: Preview, fps: int) -> str:
    """A preview playing in a loop."""
    picture = encode_animation(preview.frames, fps)
    return (
        f'<div class="cid-stage" data-state="running"><img src="{picture}" decoding="sync" '
        f'alt="Preview after step {preview.index + 1} of {preview.total}"></div>'
    )


def draw_progress(progress: Fetching | Loading | Waiting | Progress, which: str = "") -> str:
    """How far a run is.

    Args:
        which: of several videos.
    """
    if isinstance(progress, Fetching):
        return _draw_fetching(progress)
    if isinstance(progress, Loading):
        return _bar(0.0, f"Loading {progress.title}")
    if isinstance(progress, Waiting):
        return _bar(0.0, f"{which}Waiting for the backend", f"{progress.ahead} before it")
    step = progress.index + 1
    left = f"about {max(1, round(progress.seconds_left))} s left" if step < progress.total else "finishing"
    return _bar(step / progress.total, f"{which}Step {step} of {progress.total}", left)


def _draw_fetching(fetching: Fetching) -> str:
    """How much of a model is on this machine, by bytes where their number is known."""
    said = f"Fetching {fetching.name}, file {fetching.index + 1} of {fetching.total}"
    if not fetching.bytes_total:
        return _bar(fetching.index / fetching.total, said)
    unit, size = ("GB", 1e9) if fetching.bytes_total >= 1e9 else ("MB", 1e6)
    left = f"{fetching.bytes_done / size:.3g} of {fetching.bytes_total / size:.3g} {unit}"
    return _bar(fetching.bytes_done / fetching.bytes_total, said, left)


def draw_start() -> str:
    """The progress before the first step."""
    return _bar(0.0, "Starting")


def _bar(share: float, said: str, left: str = "") -> str:
    """A bar with its words. The share runs from 0 to 1."""
    return (
        f'<div class="cid-progress" role="progressbar" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{100 * share:.0f}"><i style="width:{100 * share:.1f}%"></i></div>'
        f'<div class="cid-progress-text"><span>{escape(said)}</span><span>{escape(left)}</span></div>'
    )


def encode_animation(frames: np.ndarray, fps: int) -> str:
    """Encode frames as a looping WebP in a data address, small enough to send at every preview.

    Args:
        frames: (T, H, W, 3), uint8.
        fps: at which the frames were meant to be shown.
    """
    stride = -(-len(frames) // MAX_PREVIEW_FRAMES)
    pictures = [Image.fromarray(frame) for frame in frames[::stride]]
    for picture in pictures:
        picture.thumbnail((MAX_PREVIEW_SIDE_PX, MAX_PREVIEW_SIDE_PX))
    return encode_image(
        pictures[0],
        "WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 * stride / fps),
        loop=0,
        quality=82,
        method=0,
    )
