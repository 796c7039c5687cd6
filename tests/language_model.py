"""A language model that speaks OpenAI's chat completions on a free port, and remembers what it was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

KEY = "sk-secret-of-the-owner"


@dataclass
class LanguageModel:
    """Answers with a status and a body, which a test sets; a text stands for a completion of it."""

    url: str = ""
    status: int = 200
    answer: Any = "A person laughs on a beach."
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)

    @property
    def variables(self) -> dict[str, str]:
        """What an owner sets."""
        return {
            "CONCAT_ID_PROMPT_API": self.url,
            "CONCAT_ID_PROMPT_MODEL": "tiny",
            "CONCAT_ID_PROMPT_KEY": KEY,
        }


@contextmanager
def serve_language_model() -> Iterator[LanguageModel]:
    """Serve until the test ends."""
    model = LanguageModel()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            model.requests.append((self.path, dict(self.headers), json.loads(body)))
            answer = model.answer
            if isinstance(answer, str):
                message = {"role": "assistant", "content": answer}
                answer = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(model.status)
            for name, value in model.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST

        def log_message(self, *given: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    model.url = f"http://127.0.0.1:{server.server_port}/v1"
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
