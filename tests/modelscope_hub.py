"""A toy ModelScope: lists models' files and gives them, whole or from a byte on, as the real one does."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest


@dataclass
class ModelScope:
    """What is on it, and what it gave away.

    Attributes:
        repositories: contents of files, by OWNER/NAME and path.
        given: path and first byte of every file that was asked for.
        breaks_after: bytes after which a connection breaks; None: never.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    given: list[tuple[str, int]] = field(default_factory=list)
    breaks_after: int | None = None


class _Answers(BaseHTTPRequestHandler):
    """Answers with what is there."""

    def __init__(self, there: ModelScope, *arguments: Any) -> None:
        self.there = there
        super().__init__(*arguments)

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        repository, listing = re.fullmatch(
            "/api/v1/models/([^/]+/[^/]+)/repo(/files)?", address.path
        ).groups()
        try:
            assert query["Revision"] == "master"
            files = self.there.repositories[repository]
            if listing:
                self._answer(200, json.dumps({"Code": 200, "Data": {"Files": _list(files)}}).encode())
            else:
                start = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1])
                self.there.given.append((query["FilePath"], start))
                self._answer(206, files[query["FilePath"]][start:], self.there.breaks_after)
        except KeyError:
            self.send_error(404)

    def _answer(self, status: int, content: bytes, breaks_after: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:breaks_after])

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


def _list(files: dict[str, bytes]) -> list[dict[str, Any]]:
    """Files and the folders they lie in."""
    folders = sorted({name.rpartition("/")[0] for name in files} - {""})
    return [
        *({"Path": folder, "Size": 0, "Type": "tree", "Sha256": ""} for folder in folders),
        *(
            {
                "Path": name,
                "Size": len(content),
                "Type": "blob",
                "Sha256": hashlib.sha256(content).hexdigest(),
            }
            for name, content in files.items()
        ),
    ]


@contextmanager
def serve_modelscope() -> Iterator[ModelScope]:
    """Let the client ask a ModelScope on this machine."""
    there = ModelScope()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Answers, there))
    Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("concat_id.loading.modelscope.ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield there
    server.shutdown()
    server.server_close()
