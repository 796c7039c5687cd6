"""How ONNX models are run: on the processor, where the same picture has the same score on every machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

PROVIDERS = ["CPUExecutionProvider"]


def open_onnx(path: Path, num_threads: int | None = None) -> InferenceSession:
    """A session of a model.

    Args:
        num_threads: by default as many as OMP_NUM_THREADS says, or the processor has cores.
    """
    from onnxruntime import InferenceSession

    return InferenceSession(path, session_options(num_threads), providers=PROVIDERS)


def session_options(num_threads: int | None = None) -> SessionOptions:
    """For who opens sessions by other means."""
    from onnxruntime import SessionOptions

    options = SessionOptions()
    # Idle threads sleep: the video model computes on the same cores in between.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # ONNX Runtime does not look at the variable itself. 0: as many as there are cores.
    options.intra_op_num_threads = num_threads or int(os.environ.get("OMP_NUM_THREADS") or 0)
    return options
