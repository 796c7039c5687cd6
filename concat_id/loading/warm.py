"""Loading ahead of the first run what it would load by itself, so that nobody waits for it."""

from __future__ import annotations

from concat_id.job import take_more_than_faces
from concat_id.loading.compiling import compile_ahead
from concat_id.loading.load import (
    load_clothes_parser,
    load_curricular,
    load_face_tools,
    load_pipeline,
    load_video_text,
)
from concat_id.loading.presets import PRESETS


def warm_preset(preset: str, device: str | None = None, memory: str | None = None) -> None:
    """Load everything that a run needs.

    Args:
        device, memory: see `load_pipeline`.
    """
    warm_tools(preset)
    load_curricular(preset)
    load_video_text(preset)
    compile_ahead(load_pipeline(preset, device, memory=memory), PRESETS[preset])


def warm_tools(preset: str) -> None:
    """Load what looks at reference pictures."""
    load_face_tools(preset)
    if take_more_than_faces(PRESETS[preset].tasks):
        load_clothes_parser(preset)
