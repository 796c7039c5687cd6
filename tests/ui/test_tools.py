"""The endpoints as tools for assistants, by the Model Context Protocol."""

from __future__ import annotations

import base64
from pathlib import Path

import httpx
import pytest
from assistant import await_it, call_tool, list_tools
from studio import Studio, serve_studio

from concat_id.limits import Limits
from concat_id.ui.server.forwarded_for import ClientAddressMiddleware


def address(studio: Studio) -> str:
    """Where the tools are."""
    return f"{studio.url}gradio_api/mcp/"


def encode(picture: Path) -> str:
    """A picture as a data address."""
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"


def test_a_tool_says_what_it_takes(studio: Studio) -> None:
    tool, *_ = await_it(list_tools(address(studio)))
    assert tool.name == "generate" and tool.description.startswith("Make a video of the person in a picture.")
    assert tool.inputSchema["required"] == ["picture", "prompt"]
    arguments = tool.inputSchema["properties"]
    assert {name: entry["type"] for name, entry in arguments.items()} == {
        **dict.fromkeys(
            ("picture", "prompt", "negative_prompt", "model", "size", "lora", "memory", "speed"), "string"
        ),
        **dict.fromkeys(("seed", "steps", "face_index", "frames"), "integer"),
        **dict.fromkeys(("guidance", "likeness", "lora_strength"), "number"),
        "whole_picture": "boolean",
    }
    assert all(entry["description"] for entry in arguments.values())
    steps = arguments["steps"]
    assert (steps["minimum"], steps["maximum"]) == (1, 200) and "default" not in steps


def test_each_task_of_the_model_is_a_tool_and_nothing_else(studio: Studio) -> None:
    names = [tool.name for tool in await_it(list_tools(address(studio)))]
    assert names == ["generate", "generate_multi", "generate_try_on", "generate_background"]


def test_an_assistant_makes_a_video(studio: Studio, people: dict[str, Path]) -> None:
    studio.runs.step_s = 0.1
    given = {"picture": encode(people["one"]), "prompt": "laughing", "seed": 7, "steps": 3}
    result, messages = await_it(call_tool(address(studio), "generate", **given))
    video, sidecar, report = (content.text for content in result.content)
    assert not result.isError and httpx.get(video).content[4:8] == b"ftyp"
    assert httpx.get(sidecar).json()["job"]["settings"]["seed"] == 7
    assert "'arcsim': 0.75" in report and studio.runs.started[0].settings.num_inference_steps == 3
    assert messages.count("Processing") >= 3


def test_an_assistant_is_told_what_is_wrong(studio: Studio, people: dict[str, Path]) -> None:
    picture = encode(people["none"])
    for given, said in (
        ({"prompt": " "}, "The prompt is empty"),
        ({"prompt": "laughing"}, "No face was found in the picture"),
        ({"prompt": "laughing", "steps": 500}, "500 is greater than the maximum of 200"),
    ):
        result, _ = await_it(call_tool(address(studio), "generate", picture=picture, **given))
        assert result.isError and said in result.content[0].text


def test_each_caller_has_the_limits_of_a_visitor(tmp_path: Path, people: dict[str, Path]) -> None:
    given = {"picture": encode(people["one"]), "prompt": "laughing", "steps": 1}
    with serve_studio(tmp_path, people, "embedded", Limits(runs_per_hour=1)) as studio:
        studio.runs.step_s = 0.0
        results = [
            await_it(call_tool(address(studio), "generate", caller=caller, **given))[0]
            for caller in ("203.0.113.1", "203.0.113.1", "203.0.113.2")
        ]
    assert [result.isError for result in results] == [False, True, False]
    assert "ou asked for 1 run within an hour" in results[1].content[0].text


@pytest.mark.parametrize(
    "path, kept", [("/gradio_api/mcp/", b"198.51.100.7"), ("/gradio_api/queue/join", b"made up")]
)
def test_a_caller_of_tools_cannot_make_an_address_up(path: str, kept: bytes) -> None:
    seen = {}

    async def app(scope: dict, *_: object) -> None:
        seen.update(scope["headers"])

    headers = [(b"x-forwarded-for", b"made up"), (b"accept", b"*/*")]
    scope = {"type": "http", "path": path, "client": ("198.51.100.7", 5000), "headers": headers}
    await_it(ClientAddressMiddleware(app)(scope, None, None))
    assert seen == {b"x-forwarded-for": kept, b"accept": b"*/*"}
