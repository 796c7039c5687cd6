"""What runs in the browser: the files in `static/`, each of them one function or the body of one."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).with_name("static")


def read_script(name: str) -> str:
    """The text of `static/NAME.js`."""
    return (FOLDER / f"{name}.js").read_text(encoding="utf-8").strip()
