"""ComfyUI around the nodes: its progress bar, Cancel button and folders, imported where they are used."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from PIL import Image

from concat_id.files.atomic import replacing
from concat_id.generation import Preview, Progress, Result
from concat_id.loading.load import Loading
from concat_id.loading.weights import Fetching

MAX_PREVIEW_SIDE_PX = 512


def follow(events: Iterator[Fetching | Loading | Progress | Result]) -> Result | None:
    """Show how far a run is, with its previews, and end it where the user cancelled.

    Returns:
        The result; None of what has none.

    Raises:
        InterruptProcessingException: ComfyUI's own, after which nothing of the run is left.
    """
    from comfy.model_management import throw_exception_if_processing_interrupted
    from comfy.utils import ProgressBar

    bar, event = ProgressBar(1), None
    with closing(events):
        for event in events:
            throw_exception_if_processing_interrupted()
            if isinstance(event, Preview):
                # The middle frame: the first is the one that changes least.
                picture = Image.fromarray(event.frames[len(event.frames) // 2])
                bar.update_absolute(event.index + 1, event.total, ("JPEG", picture, MAX_PREVIEW_SIDE_PX))
            elif isinstance(event, Progress):
                bar.update_absolute(event.index + 1, event.total)
            elif isinstance(event, Fetching):
                bar.update_absolute(event.index, event.total)
    return event if isinstance(event, Result) else None


def make_room() -> None:
    """Take models of other nodes off the GPU."""
    from comfy.model_management import soft_empty_cache, unload_all_models

    unload_all_models()
    soft_empty_cache()


def keep_picture(picture: Image.Image) -> Path:
    """Write a picture to ComfyUI's folder for temporary files, under a name that follows from its pixels."""
    from folder_paths import get_temp_directory

    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    name = hashlib.sha256(buffer.getvalue()).hexdigest()[:24]
    path = Path(get_temp_directory()) / f"concat-id-{name}.png"
    if not path.is_file():
        with replacing(path) as unfinished:
            unfinished.write_bytes(buffer.getvalue())
    return path


def choose_output(prefix: str) -> Path:
    """The MP4 to write, by ComfyUI's rules for names: numbered, in its folder for outputs."""
    from folder_paths import get_output_directory, get_save_image_path

    folder, name, counter, _, _ = get_save_image_path(prefix, get_output_directory())
    return Path(folder) / f"{name}_{counter:05}_.mp4"


def show_video(video: Path) -> dict[str, Iterable[object]]:
    """What lets a node play a video of the folder for outputs."""
    from folder_paths import get_output_directory

    subfolder = video.parent.resolve().relative_to(Path(get_output_directory()).resolve()).as_posix()
    entry = {"filename": video.name, "subfolder": "" if subfolder == "." else subfolder, "type": "output"}
    return {"images": [entry], "animated": (True,)}
