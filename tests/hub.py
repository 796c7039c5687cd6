"""A toy Hugging Face hub: serves repositories as the real one does, as far as fetching them asks."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What is on it, which files it gave away, and how long each of them takes."""

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    given: list[str] = field(default_factory=list)
    pause_s: float = 0.0

    def describe(self, repository: str, path: str) -> Any:
        """What the hub says about a repository: all of it, or its tree."""
        files = self.repositories[repository]
        if path.startswith("/tree/"):
            return [
                {"type": "file", "path": name, "size": len(content), "oid": _digest(content)}
                for name, content in files.items()
            ]
        siblings = [{"rfilename": name, "size": len(content)} for name, content in files.items()]
        return {"id": repository, "sha": COMMIT, "siblings": siblings}


class _Answers(BaseHTTPRequestHandler):
    """Answers with what is on a hub."""

    def __init__(self, hub: Hub, *arguments: Any) -> None:
        self.hub = hub
        super().__init__(*arguments)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        try:
            if about := re.fullmatch("/api/models/([^/]+/[^/]+)(.*)", path):
                self._answer(json.dumps(self.hub.describe(*about.groups())).encode())
            else:
                repository, name = re.fullmatch(f"/([^/]+/[^/]+)/resolve/{COMMIT}/(.+)", path).groups()
                content = self.hub.repositories[repository][name]
                if self.command == "GET":
                    time.sleep(self.hub.pause_s)
                    self.hub.given.append(name)
                self._answer(content)
        except KeyError:
            self.send_error(404)

    do_HEAD = do_GET

    def _answer(self, content: bytes) -> None:
        self.send_response(200)
        headers = {"X-Repo-Commit": COMMIT, "ETag": _digest(content), "Content-Length": len(content)}
        for header in headers.items():
            self.send_header(*map(str, header))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


def _digest(content: bytes) -> str:
    """What tells a file's versions apart."""
    return hashlib.sha1(content).hexdigest()


@contextmanager
def serve_hub(cache: Path) -> Iterator[Hub]:
    """Let the hub's client ask a hub on this machine, and keep what it fetches in a folder."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Answers, hub))
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.ENDPOINT", url)
        template = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        patch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
        yield hub
    server.shutdown()
    server.server_close()
