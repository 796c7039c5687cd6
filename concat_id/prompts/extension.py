"""Where a prompt came from, if a language model wrote it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Extension:
    """How a language model extended a prompt: kept with the video, and of no effect on it."""

    model: str
    instruction: str  # what it was told to do
    asked: str  # the prompt that was extended
    answer: str  # what came back; the prompt of the job may have been changed after it
