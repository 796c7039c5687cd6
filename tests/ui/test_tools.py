"""The endpoints as tools for assistants, by the Model Context Protocol."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import httpx
from assistant import call_tool, list_tools
from studio import Studio


def address(studio: Studio) -> str:
    """Where the tools are."""
    return f"{studio.url}gradio_api/mcp/"


def test_a_tool_says_what_it_takes(studio: Studio) -> None:
    (tool,) = asyncio.run(list_tools(address(studio)))
    assert tool.name == "generate" and tool.description.startswith("Make a video of the person in a picture.")
    assert tool.inputSchema["required"] == ["picture", "prompt"]
    arguments = tool.inputSchema["properties"]
    assert {name: entry["type"] for name, entry in arguments.items()} == {
        **dict.fromkeys(("picture", "prompt", "negative_prompt"), "string"),
        **dict.fromkeys(("seed", "steps", "face_index"), "integer"),
        **dict.fromkeys(("guidance", "likeness"), "number"),
        "whole_picture": "boolean",
    }
    assert all(entry["description"] for entry in arguments.values())
    steps = arguments["steps"]
    assert (steps["minimum"], steps["maximum"], steps["default"]) == (1, 100, 20)


def test_each_task_of_the_model_is_a_tool_and_nothing_else(full_studio: Studio) -> None:
    names = [tool.name for tool in asyncio.run(list_tools(address(full_studio)))]
    assert names == ["generate", "generate_multi", "generate_try_on", "generate_background"]


def test_an_assistant_makes_a_video(studio: Studio, people: dict[str, Path]) -> None:
    studio.runs.step_s = 0.1
    picture = f"data:image/png;base64,{base64.b64encode(people['one'].read_bytes()).decode()}"
    given = {"picture": picture, "prompt": "laughing", "seed": 7, "steps": 3}
    result, messages = asyncio.run(call_tool(address(studio), "generate", **given))
    video, sidecar, report = (content.text for content in result.content)
    assert not result.isError and httpx.get(video).content[4:8] == b"ftyp"
    assert httpx.get(sidecar).json()["job"]["settings"]["seed"] == 7
    assert "'arcsim': 0.75" in report and studio.runs.started[0].settings.num_inference_steps == 3
    assert messages.count("Processing") >= 3


def test_an_assistant_is_told_what_is_wrong(studio: Studio, people: dict[str, Path]) -> None:
    picture = f"data:image/png;base64,{base64.b64encode(people['none'].read_bytes()).decode()}"
    for given, said in (
        ({"prompt": " "}, "The prompt is empty"),
        ({"prompt": "laughing"}, "No face was found in the picture"),
        ({"prompt": "laughing", "steps": 500}, "500 is greater than the maximum of 100"),
    ):
        result, _ = asyncio.run(call_tool(address(studio), "generate", picture=picture, **given))
        assert result.isError and said in result.content[0].text
