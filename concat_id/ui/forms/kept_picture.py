"""Pictures that this program makes, put where Gradio keeps uploads."""

from __future__ import annotations

from pathlib import Path

from gradio.components import Component
from gradio.processing_utils import encode_pil_to_bytes, hash_bytes
from PIL import Image

from concat_id.files.atomic import replacing


def keep_picture(picture: Image.Image, component: Component, name: str) -> str:
    """Write a picture into Gradio's cache, unless the same one is there. Returns its path.

    Gradio itself would write it anew each time, also while a browser is being sent it.

    Args:
        component: that shows it.
        name: of the file; its suffix is the format.
    """
    data = encode_pil_to_bytes(picture, Path(name).suffix.removeprefix("."))
    path = Path(component.GRADIO_CACHE, hash_bytes(data), name).resolve()
    if path.exists():
        path.touch()  # old files are deleted
    else:
        with replacing(path) as part:
            part.write_bytes(data)
    return str(path)
