"""Visitors at once, round after round, and the server's memory: `python -m tests.benchmarks.benchmark_load`.

By default of a toy-sized model: what is measured is the page, its queue and its files. The visitors of a
round join one right after the other, so that it is known whose turn comes first; then all wait.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from concat_id.loading.presets import PRESETS

STEPS = 2
START_S = 300


def serve(preset: str, folder: Path, port: int) -> None:
    """The studio, until it is stopped; nobody else needs all these modules."""
    from concat_id.generation import generate, prepare_reference
    from concat_id.ui import build_demo, launch_demo
    from tests.toys import toy_preset, write_toy_pipeline

    if preset == "toy":
        PRESETS["toy"] = toy_preset(write_toy_pipeline(folder / "toy"))
    demo = build_demo(generate, prepare_reference, preset=preset, outputs=folder / "outputs")
    launch_demo(demo, folder / "outputs", server_port=port, quiet=True)


@contextmanager
def serve_apart(preset: str) -> Iterator[tuple[str, psutil.Process]]:
    """The studio in a process of its own: its address and the process."""
    with socket.socket() as probe, tempfile.TemporaryDirectory() as folder:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(preset, Path(folder), port)
        )
        process.start()
        try:
            yield f"http://127.0.0.1:{port}/", psutil.Process(process.pid)
        finally:
            process.kill()
            process.join()


async def wait_until_served(http: httpx.AsyncClient) -> None:
    """Ask until the page answers."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            (await http.get("")).raise_for_status()
            return
        except httpx.TransportError:
            await asyncio.sleep(0.5)
    raise TimeoutError(f"the studio did not start within {START_S} s")


async def join(http: httpx.AsyncClient, picture: str, seed: int, preset: str) -> str:
    """Ask for a video; gives the run's number in the queue."""
    file = {"path": picture, "meta": {"_type": "gradio.FileData"}}
    settings = ["", seed, STEPS, 2.5, 1, preset]
    values = [file, "a person laughing on a beach", *settings, None, False, *[None] * 4]
    answer = await http.post("gradio_api/call/generate", json={"data": values})
    return answer.raise_for_status().json()["event_id"]


async def wait(http: httpx.AsyncClient, event: str) -> float | None:
    """When a run was done; None if it was lost."""
    async with http.stream("GET", f"gradio_api/call/generate/{event}") as answer:
        kind = ""
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            if kind == "error" and line.startswith("data: "):
                print(json.loads(line.removeprefix("data: ")))
                return None
            if kind == "complete":
                return time.monotonic()
    return None


async def let_in(http: httpx.AsyncClient, picture: str, visitors: int, preset: str) -> tuple[int, int]:
    """Let visitors make a video each; gives how many were lost, and how many served before their turn."""
    events = [await join(http, picture, seed, preset) for seed in range(visitors)]
    ends = await asyncio.gather(*(wait(http, event) for event in events))
    served = [end for end in ends if end is not None]
    return visitors - len(served), sum(
        first > second for first, second in zip(served, served[1:], strict=False)
    )


async def measure(url: str, server: psutil.Process, visitors: int, runs: int, preset: str) -> None:
    """Prints a line for each round."""
    async with httpx.AsyncClient(base_url=url, timeout=600) as http:
        await wait_until_served(http)
        data = Path("assets/examples/fay.png").read_bytes()
        (picture,) = (await http.post("gradio_api/upload", files={"files": ("fay.png", data)})).json()
        for made in range(visitors, runs + 1, visitors):
            began = time.monotonic()
            lost, early = await let_in(http, picture, visitors, preset)
            seconds = time.monotonic() - began
            print(
                f"{made:>6}{lost:>6}{early:>13}{seconds:>9.1f}{server.memory_info().rss / 2**20:>13.0f}",
                flush=True,
            )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", default="toy", choices=["toy", *PRESETS])
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--runs", type=int, default=200)
    args = parser.parse_args()
    print(f"{'runs':>6}{'lost':>6}{'out of turn':>13}{'seconds':>9}{'resident MB':>13}", flush=True)
    with serve_apart(args.preset) as (url, server):
        asyncio.run(measure(url, server, args.visitors, args.runs, args.preset))


if __name__ == "__main__":
    main()
