"""`python -m concat_id serve` in a process of its own, for tests of what uses it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
START_S, END_S = 280, 60


@contextmanager
def serve_embedded(replicas: int) -> Iterator[str]:
    """The embedded model on a free port, one thread for each replica; gives the address once all are up."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--replicas", str(replicas), "--threads", "1", "--port", str(port), "--device", "cpu"]
    command = [sys.executable, "-m", "concat_id", "serve", "--preset", "embedded", *options]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(url, replicas, process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=END_S)


def _wait_until_up(url: str, replicas: int, process: subprocess.Popen) -> None:
    """Wait until all replicas are there, or the program ended."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=30).json()["replicas_up"] == replicas:
                return
        except (httpx.TransportError, ValueError, LookupError):
            pass
        time.sleep(0.3)
    raise AssertionError(f"the replicas are not up (exit code {process.poll()})")
