"""The page as an endpoint for programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from hub import Hub
from studio import Studio, serve_studio


def call(studio: Studio, picture: Path, **values: object) -> tuple:
    """Call the endpoint with the form's values."""
    studio.runs.step_s = 0.0
    client = Client(studio.url, verbose=False, analytics_enabled=False, httpx_kwargs={"timeout": 120})
    return client.predict(picture=handle_file(picture), api_name="/generate", **values)


def test_a_round_trip(studio: Studio, people: dict[str, Path]) -> None:
    video, sidecar, report = call(studio, people["one"], prompt="laughing on a beach", seed=7, steps=3)
    path = Path(video["video"] if isinstance(video, dict) else video)
    assert path.suffix == ".mp4" and path.stat().st_size > 0
    assert Path(sidecar).suffix == ".json"
    assert report["seed"] == 7 and report["scores"]["arcsim"] == pytest.approx(0.75)
    assert studio.runs.started[0].settings.num_inference_steps == 3


def test_programs_hear_how_far_a_model_is_fetched(hub: Hub, tmp_path: Path, people: dict[str, Path]) -> None:
    with serve_studio(tmp_path, people, "embedded", models=("far",)) as studio:
        studio.runs.step_s = 0.3
        client = Client(studio.url, verbose=False, analytics_enabled=False, httpx_kwargs={"timeout": 120})
        values = {"picture": handle_file(people["one"]), "prompt": "waving", "steps": 1, "model": "far"}
        job = client.submit(api_name="/generate", **values)
        job.result(timeout=200)
    reports = [report for *_, report in job.outputs()]
    assert reports[0]["fetching"] == {
        "name": "some/clip",
        "index": 0,
        "total": 2,
        "bytes_done": 0,
        "bytes_total": 3,
    }
    assert reports[2:-1] == [{"loading": {"title": "From afar"}}, {"step": 1, "total": 1}]


def test_what_is_wrong_arrives_as_a_sentence(studio: Studio, people: dict[str, Path]) -> None:
    with pytest.raises(AppError, match="The prompt is empty"):
        call(studio, people["one"], prompt=" ")


def test_each_argument_has_a_type_a_default_and_an_explanation(studio: Studio) -> None:
    client = Client(studio.url, verbose=False, analytics_enabled=False, httpx_kwargs={"timeout": 120})
    endpoint = client.view_api(return_format="dict")["named_endpoints"]["/generate"]
    arguments = {entry["parameter_name"]: entry for entry in endpoint["parameters"]}
    assert {name: entry["python_type"]["type"] for name, entry in arguments.items()} == {
        "picture": "filepath",
        **dict.fromkeys(("prompt", "negative_prompt", "size", "lora", "memory", "speed"), "str"),
        **dict.fromkeys(("seed", "steps", "face_index", "frames"), "int"),
        **dict.fromkeys(("guidance", "likeness", "lora_strength"), "float"),
        "model": "Literal['embedded']",
        "whole_picture": "bool",
    }
    assert [name for name, entry in arguments.items() if not entry["parameter_has_default"]] == [
        "picture",
        "prompt",
    ]
    # What is left out is the named model's own, whatever stands in the page's fields.
    assert arguments["model"]["parameter_default"] == "embedded"
    assert {arguments[name]["parameter_default"] for name in ("steps", "guidance", "seed")} == {None}
    assert all(len(entry["python_type"]["description"]) > 5 for entry in arguments.values())
    assert "denoising steps, 1 to 200; none: the model's own." in client.view_api(return_format="str")
    assert [entry["label"] for entry in endpoint["returns"]] == ["Video", "Settings and scores", "Report"]


def test_each_task_has_an_endpoint(studio: Studio, people: dict[str, Path]) -> None:
    studio.runs.step_s = 0.0
    client = Client(studio.url, verbose=False, analytics_enabled=False, httpx_kwargs={"timeout": 120})
    api = client.view_api(return_format="dict")
    endpoints = api["named_endpoints"]
    assert list(endpoints) == ["/generate", "/generate_multi", "/generate_try_on", "/generate_background"]
    assert not api["unnamed_endpoints"]
    for endpoint in endpoints.values():
        assert endpoint["description"].startswith("Make a video of")
    picture = handle_file(people["one"])
    scores = {}
    for task, pictures in {
        "multi": ("first", "second"),
        "try_on": ("face", "garment", "place"),
        "background": ("face", "place"),
    }.items():
        given = dict.fromkeys(pictures, picture)
        *_, report = client.predict(**given, prompt="waving", seed=7, steps=2, api_name=f"/generate_{task}")
        scores[task] = report["scores"]
    assert scores["multi"]["worst"] == 1 and len(scores["multi"]["people"]) == 2
    assert scores["try_on"]["garment"] == 0.61 and scores["try_on"]["background"] == 0.72
    assert scores["background"]["background"] == 0.72 and "garment" not in scores["background"]
