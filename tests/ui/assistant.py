"""What an assistant does with a studio by the Model Context Protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import httpx
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Tool


def await_it(conversation: Coroutine[Any, Any, Any]) -> Any:
    """What comes of it, in a thread of its own: while a browser is open, Playwright's loop holds this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, conversation).result()


@asynccontextmanager
async def talk(url: str, **headers: str) -> AsyncIterator[ClientSession]:
    """A conversation with the server at an address."""
    async with (
        httpx.AsyncClient(headers=headers, timeout=120, follow_redirects=True) as client,
        streamable_http_client(url, http_client=client) as (reading, writing, _),
        ClientSession(reading, writing) as session,
    ):
        await session.initialize()
        yield session


async def list_tools(url: str) -> list[Tool]:
    """The tools it offers."""
    async with talk(url) as session:
        return (await session.list_tools()).tools


async def call_tool(
    url: str, name: str, *, caller: str = "127.0.0.1", **arguments: Any
) -> tuple[CallToolResult, list[str | None]]:
    """A tool's result, and the messages on the way to it, for who comes through a proxy from an address."""
    messages = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        messages.append(message)

    async with talk(url, **{"x-forwarded-for": caller}) as session:
        return await session.call_tool(name, arguments, progress_callback=note), messages
