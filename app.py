"""The studio in a browser.

    python app.py                      # the embedded model on http://127.0.0.1:7860
    python app.py --preset wan-1.3b-adaln --host 0.0.0.0 --port 8080
    python app.py --backend http://127.0.0.1:8000   # videos are made by `python -m concat_id serve`

`GRADIO_SERVER_NAME`, `GRADIO_SERVER_PORT`, `CONCAT_ID_PRESET`, `CONCAT_ID_MODELS`, `CONCAT_ID_MEMORY`,
`CONCAT_ID_OUTPUTS` and `CONCAT_ID_BACKEND` stand for the options.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

LOGGER = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and serve. Returns the exit code."""
    options = parse_arguments(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

    from concat_id.studio.uploads import own_uploads

    with own_uploads():
        return serve(options)


def serve(options: argparse.Namespace) -> int:
    """Load the model, build the page, serve it until interrupted. Returns the exit code."""
    from concat_id.errors import InputError
    from concat_id.generation import generate, prepare_reference
    from concat_id.limits import read_limits
    from concat_id.loading.memory import VARIABLE
    from concat_id.serve.client import Backend
    from concat_id.ui import build_demo, launch_demo

    os.environ[VARIABLE] = options.memory  # for what forms leave to the studio
    try:
        limits = read_limits()
        backend = Backend.connect(options.backend, options.preset) if options.backend else None
        # Before the model is loaded: on a shared GPU, `spaces` must come first.
        demo = build_demo(
            backend.generate if backend else generate,
            prepare_reference,
            preset=options.preset,
            models=[name for name in options.models if backend is None or name in backend.presets],
            outputs=options.outputs,
            results=options.results,
            limits=limits,
            replicas=backend.replicas if backend else None,
        )
        warm(options.preset, with_model=backend is None)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    launch_demo(
        demo,
        options.outputs,
        limits,
        results=options.results,
        server_name=options.host,
        server_port=options.port,
    )
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    from concat_id.loading.memory import VARIABLE, MemoryMode
    from concat_id.loading.presets import DEFAULT_PRESET, EMBEDDED, PRESETS

    environment = os.environ
    parser = argparse.ArgumentParser(
        description="Concat-ID Studio: identity-preserving video in the browser."
    )
    preset = environment.get("CONCAT_ID_PRESET") or DEFAULT_PRESET
    parser.add_argument("--preset", choices=PRESETS, default=preset, help="the model that forms begin with")
    models = environment.get("CONCAT_ID_MODELS", "").split() or PRESETS
    parser.add_argument("--models", choices=PRESETS, default=models, nargs="*", help="more to choose from")
    parser.add_argument("--host", default=environment.get("GRADIO_SERVER_NAME", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(environment.get("GRADIO_SERVER_PORT", "7860")))
    memory = environment.get(VARIABLE) or "auto"
    parser.add_argument("--memory", choices=get_args(MemoryMode), default=memory, help="how much of the GPU")
    outputs = environment.get("CONCAT_ID_OUTPUTS") or "outputs"
    parser.add_argument("--outputs", type=Path, default=outputs, help="where videos are written")
    backend = environment.get("CONCAT_ID_BACKEND")
    parser.add_argument("--backend", default=backend, help="address of `python -m concat_id serve` to use")
    results = EMBEDDED / "results"
    parser.add_argument("--results", type=Path, default=results, help="of an evaluation, to show and compare")
    options = parser.parse_args(arguments)
    unknown = [name for name in (options.preset, *options.models) if name not in PRESETS]
    if unknown:  # argparse does not check defaults
        parser.error(f"there is no preset '{unknown[0]}'; choose of {', '.join(PRESETS)}")
    return options


def warm(preset: str, *, with_model: bool = True) -> None:
    """Load what runs need, so that the first visitor does not wait for it.

    Args:
        with_model: also what makes and judges videos, besides what looks at pictures.
    """
    from concat_id.loading.presets import PRESETS
    from concat_id.loading.warm import warm_preset, warm_tools

    LOGGER.info("Loading %s", PRESETS[preset].title)
    (warm_preset if with_model else warm_tools)(preset)


if __name__ == "__main__":
    # Whoever stops a service or a container asks like this: what is temporary goes then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
