"""Pictures inside the page itself."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL.Image import Image


def encode_image(image: Image, file_format: str, **options: Any) -> str:
    """A `data:` URL of a picture, or of several in one file.

    Args:
        file_format: "PNG" or "WEBP".
        options: of `PIL.Image.Image.save`.
    """
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f"data:image/{file_format.lower()};base64,{data}"
