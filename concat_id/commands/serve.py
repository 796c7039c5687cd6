"""`serve`: replicas of a preset behind one address."""

from __future__ import annotations

import argparse
import logging

from concat_id.commands.options import add_device, add_memory, add_preset
from concat_id.loading.presets import DEFAULT_PRESET


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `serve`."""
    add = parser.add_argument
    add_preset(parser)
    add("--replicas", type=int, default=1, help="processes that each hold the models (default: 1)")
    add("--threads", type=int, default=1, help="of each replica on the processor (default: 1)")
    add("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1)")
    add("--port", type=int, default=8000, help="(default: 8000)")
    add_device(parser)
    add_memory(parser)


def run(options: argparse.Namespace) -> None:
    """Serve until interrupted."""
    from concat_id.serve.server import Server, serve_until_stopped

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    serve_until_stopped(
        Server(
            options.preset or DEFAULT_PRESET,
            replicas=options.replicas,
            threads=options.threads,
            host=options.host,
            port=options.port,
            device=options.device,
            memory=options.memory,
        )
    )
