"""Tools are called by way of this machine: their callers keep their own addresses all the same.

Gradio serves the call of a tool by a request to its own endpoint, with the headers that came with the call.
That request comes from this machine, which the server takes for a proxy and believes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

TOOLS = "/gradio_api/mcp"
HEADER = b"x-forwarded-for"


class ClientAddressMiddleware:
    """Writes into calls of tools where they come from, in place of what they say themselves.

    Limits of visitors would otherwise take all callers for one, and whoever made an address up at its word.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "http" and TOOLS in scope["path"]:
            headers = [(name, value) for name, value in scope["headers"] if name != HEADER]
            if scope["client"]:
                headers.append((HEADER, scope["client"][0].encode()))
            scope = {**scope, "headers": headers}
        await self._app(scope, receive, send)
