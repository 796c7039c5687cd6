"""The studio's page."""

from __future__ import annotations

from concat_id.ui.layout import build_demo, launch_demo

__all__ = ["build_demo", "launch_demo"]
