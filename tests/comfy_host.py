"""ComfyUI as far as a node sees it: what it imports, how workflows are checked and run; none of its code.

After https://docs.comfy.org: the server's overview of custom nodes, and the schema of workflows, version 0.4.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image


class Cancelled(BaseException):
    """In place of `InterruptProcessingException`."""


@dataclass
class Host:
    """What the stand-ins of ComfyUI's modules share."""

    folder: Path
    cancel_after: int | None = None  # updates of the progress bar
    updates: list[tuple[int, int, Any]] = field(default_factory=list)
    rooms: int = 0  # how often other models were taken off the GPU

    def install(self, patch: pytest.MonkeyPatch) -> Host:
        """Let nodes import them."""
        host = self

        class ProgressBar:
            def __init__(self, total: int, node_id: str | None = None) -> None:
                self.total = total

            def update_absolute(self, value: int, total: int | None = None, preview: Any = None) -> None:
                self.total = total or self.total
                host.updates.append((value, self.total, preview))

        def throw_exception_if_processing_interrupted() -> None:
            if host.cancel_after is not None and len(host.updates) >= host.cancel_after:
                raise Cancelled

        def unload_all_models() -> None:
            host.rooms += 1

        def get_save_image_path(prefix: str, folder: str) -> tuple[str, str, int, str, str]:
            path = Path(folder, prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            taken = [int(file.name[len(path.name) + 1 :][:5]) for file in path.parent.glob(f"{path.name}_*")]
            number = max(taken, default=0) + 1
            return str(path.parent), path.name, number, str(Path(prefix).parent), prefix

        modules = {
            "comfy": {},
            "comfy.utils": {"ProgressBar": ProgressBar},
            "comfy.model_management": {
                "throw_exception_if_processing_interrupted": throw_exception_if_processing_interrupted,
                "unload_all_models": unload_all_models,
                "soft_empty_cache": lambda: None,
            },
            "folder_paths": {
                "get_temp_directory": lambda: str(host.folder / "temp"),
                "get_output_directory": lambda: str(host.folder / "output"),
                "get_save_image_path": get_save_image_path,
            },
        }
        for name, contents in modules.items():
            module = ModuleType(name)
            vars(module).update(contents)
            patch.setitem(sys.modules, name, module)
        return self


class LoadImage:
    """Gives a picture and what is transparent of it; small zeros where nothing is."""

    RETURN_TYPES, FUNCTION = ("IMAGE", "MASK"), "load"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("STRING", {}), "upload": ("STRING", {"default": "image"})}}

    def load(self, image: str, upload: str) -> tuple[torch.Tensor, torch.Tensor]:
        picture = Image.open(image)
        mask = torch.zeros(1, 64, 64)
        if picture.has_transparency_data:
            mask = (
                1 - torch.from_numpy(np.asarray(picture.convert("RGBA"))[None, ..., 3].copy()).float() / 255
            )
        return torch.from_numpy(np.array(picture.convert("RGB"))[None]).float() / 255, mask


class Sink:
    """Takes anything, and is what a workflow ends with."""

    RETURN_TYPES, FUNCTION, OUTPUT_NODE = (), "take", True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"images": ("IMAGE",)}, "optional": {"source": ("*",)}}

    def take(self, **given: Any) -> tuple[()]:
        return ()


class AnySink(Sink):
    """The same for what is no picture."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"source": ("*",)}}


OWN_NODES = {"LoadImage": LoadImage, "PreviewImage": Sink, "PreviewAny": AnySink}
Prompt = dict[str, dict[str, Any]]


def read_workflow(path: Path, nodes: dict[str, type]) -> Prompt:
    """A saved workflow as it is sent to be run: widgets' values and links by the names of inputs."""
    data = json.loads(path.read_text(encoding="utf-8"))
    links = {link[0]: link for link in data["links"]}
    prompt: Prompt = {}
    for node in data["nodes"]:
        values, given = iter(node["widgets_values"]), {}
        for name, kind, options in list_inputs(nodes[node["type"]]):
            if not is_widget(kind):
                continue
            given[name] = next(values)
            if options.get("control_after_generate"):
                assert next(values) in ("fixed", "increment", "decrement", "randomize")
        assert next(values, None) is None, f"{node['type']} has more values than widgets"
        for slot, entry in enumerate(node["inputs"]):
            if entry["link"] is not None:
                _, source, output, target, at, kind = links[entry["link"]]
                assert (target, at, kind) == (node["id"], slot, entry["type"])
                given[entry["name"]] = [str(source), output]
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": given}
    return prompt


def list_inputs(node: type) -> list[tuple[str, Any, dict[str, Any]]]:
    """Name, type and options of each input, those that are needed first."""
    inputs = node.INPUT_TYPES()
    assert set(inputs) <= {"required", "optional", "hidden"}
    entries = {**inputs.get("required", {}), **inputs.get("optional", {})}
    return [(name, entry[0], entry[1] if len(entry) > 1 else {}) for name, entry in entries.items()]


def is_widget(kind: Any) -> bool:
    """Whether an input has a field of its own."""
    return isinstance(kind, list) or kind in ("INT", "FLOAT", "STRING", "BOOLEAN")


def check(prompt: Prompt, nodes: dict[str, type]) -> list[str]:
    """What a server refuses before it runs anything."""
    wrong = []
    for number, entry in prompt.items():
        node = nodes[entry["class_type"]]
        for name in node.INPUT_TYPES()["required"]:
            if name not in entry["inputs"]:
                wrong.append(f"{number}: {name} is missing")
        for name, kind, options in list_inputs(node):
            if name in entry["inputs"]:
                said = _check_value(prompt, nodes, entry["inputs"][name], name, kind, options)
                wrong += [f"{number}: {problem}" for problem in said]
    return wrong


def _check_value(
    prompt: Prompt, nodes: dict[str, type], value: Any, name: str, kind: Any, options: dict[str, Any]
) -> list[str]:
    if isinstance(value, list):
        given = nodes[prompt[value[0]]["class_type"]].RETURN_TYPES[value[1]]
        return [] if kind in ("*", given) else [f"{name} takes {kind}, got {given}"]
    if isinstance(kind, list):
        return [] if value in kind else [f"{name}: {value!r} is not in the list"]
    value = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}[kind](value)
    below, above = value < options.get("min", value), value > options.get("max", value)
    return [f"{name}: {value} is out of range"] if below or above else []


def execute(prompt: Prompt, nodes: dict[str, type]) -> tuple[dict[str, tuple], dict[str, dict]]:
    """Run what the ends of a workflow need, each node once. Returns results and what nodes show."""
    assert check(prompt, nodes) == []
    results: dict[str, tuple] = {}
    shown: dict[str, dict] = {}

    def run(number: str) -> None:
        entry = prompt[number]
        given = {}
        for name, value in entry["inputs"].items():
            if isinstance(value, list):
                if value[0] not in results:
                    run(value[0])
                value = results[value[0]][value[1]]
            given[name] = value
        node = nodes[entry["class_type"]]
        made = getattr(node(), node.FUNCTION)(**given)
        if isinstance(made, dict):
            shown[number], made = made["ui"], made["result"]
        assert len(made) == len(node.RETURN_TYPES)
        results[number] = made

    with torch.inference_mode():
        for number, entry in prompt.items():
            if getattr(nodes[entry["class_type"]], "OUTPUT_NODE", False) and number not in results:
                run(number)
    return results, shown
