"""A node pack for ComfyUI: a link to this folder in `custom_nodes` installs it, see the README beside."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

# Loaded through the link, by a name of ComfyUI's own: the package around this folder is found by its place.
if find_spec("concat_id") is None:
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from concat_id.comfyui.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS  # noqa: E402

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
