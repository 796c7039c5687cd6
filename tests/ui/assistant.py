"""What an assistant does with a studio by the Model Context Protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Tool


@asynccontextmanager
async def talk(url: str) -> AsyncIterator[ClientSession]:
    """A conversation with the server at an address."""
    async with (
        streamable_http_client(url) as (reading, writing, _),
        ClientSession(reading, writing) as session,
    ):
        await session.initialize()
        yield session


async def list_tools(url: str) -> list[Tool]:
    """The tools it offers."""
    async with talk(url) as session:
        return (await session.list_tools()).tools


async def call_tool(url: str, name: str, **arguments: Any) -> tuple[CallToolResult, list[str | None]]:
    """A tool's result, and the messages on the way to it."""
    messages = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        messages.append(message)

    async with talk(url) as session:
        return await session.call_tool(name, arguments, progress_callback=note), messages
