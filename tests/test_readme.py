"""The README keeps its word: its commands and its program run as they are written."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonargparse import capture_parser
from ui.assistant import await_it, list_tools
from ui.served import serve_app

STUDIO = "http://127.0.0.1:7860/"
ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
# The first, and those beside the code that go on from it.
FOLDERS = (
    ".",
    "concat_id",
    "concat_id/ui",
    "concat_id/serve",
    "concat_id/evaluation",
    "train",
    "train/curation",
)
READMES = {folder: (ROOT / folder / "README.md").read_text(encoding="utf-8") for folder in FOLDERS}
ALL = "\n".join(READMES.values())


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", ALL, re.MULTILINE | re.DOTALL)


def commands(start: str) -> list[list[str]]:
    """The shell commands that begin so, without their comments."""
    lines = "\n".join(blocks("bash")).splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith(start)]


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run this Python in a folder where the repository's files can be seen but are not written to."""
    for name in ("assets", "concat_id", "train"):
        (folder / name).exists() or (folder / name).symlink_to(ROOT / name)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )


def test_generate_score_and_verify(tmp_path: Path) -> None:
    found = commands("python -m concat_id generate") + commands("python -m concat_id score")
    found = [words for words in found if "--jobs" not in words]
    assert len(found) == 4
    for _, *arguments in sorted(found, key=lambda words: "--job" in words):
        run(arguments, tmp_path)
    for _, *arguments in commands("python -m concat_id verify"):
        assert run(arguments, tmp_path).stdout.startswith("made here and unchanged: yes")
    assert (tmp_path / "out.mp4").stat().st_size > 1000 and (tmp_path / "again.json").exists()


def test_the_file_of_jobs(tmp_path: Path) -> None:
    (jobs,) = blocks("jsonl")
    (tmp_path / "jobs.jsonl").write_text(jobs, encoding="utf-8")
    ((_, *arguments),) = (words for words in commands("python -m concat_id generate") if "--jobs" in words)
    assert "made: 2\nkept: 0\nfailed: 0" in run(arguments, tmp_path).stdout
    assert len(list((tmp_path / "videos").glob("a-person-*.mp4"))) == 2
    assert "made: 0\nkept: 2\nfailed: 0" in run(arguments, tmp_path).stdout


def test_the_library_s_example(tmp_path: Path) -> None:
    program, _ = blocks("python")
    lines = run(["-c", program], tmp_path).stdout.splitlines()
    assert lines[0].startswith("Preview after") and lines[-2].startswith("Result after")
    assert re.fullmatch(r"outputs/\S+\.mp4 0\.\d+", lines[-1])
    assert list((tmp_path / "outputs").glob("*.mp4"))


def test_programs_find_the_studio(tmp_path: Path) -> None:
    _, program = blocks("python")
    (configuration,) = map(json.loads, blocks("json"))
    ((_, server),) = configuration["mcpServers"].items()
    with serve_app(tmp_path / "studio") as url:
        printed = run(["-c", program.replace(STUDIO, url)], tmp_path).stdout
        tools = [tool.name for tool in await_it(list_tools(server["url"].replace(STUDIO, url)))]
    assert re.search(r"^0\.\d+ .*\.mp4", printed, re.MULTILINE)
    assert tools == ["generate", "generate_multi", "generate_try_on", "generate_background"]


@pytest.mark.parametrize("command", commands("python -m concat_id serve"), ids=" ".join)
def test_commands_of_serving_are_understood(command: list[str]) -> None:
    from concat_id.__main__ import build_parser

    assert build_parser().parse_args(command[3:]).replicas == 2


@pytest.mark.parametrize("command", commands("python -m train"), ids=" ".join)
def test_training_commands_name_what_exists(command: list[str]) -> None:
    module = command[2].replace(".", "/")
    assert (ROOT / f"{module}.py").exists() or (ROOT / module / "__main__.py").exists()
    for path in (word for word in command if word.startswith("train/")):
        assert (ROOT / path).exists()


@pytest.mark.parametrize("command", commands("python -m train.curation"), ids=" ".join)
def test_commands_of_curation_are_understood(command: list[str]) -> None:
    from train.curation.__main__ import main

    parser = capture_parser(lambda: main([]))
    options = parser.parse_args(command[3:])
    assert options.subcommand == command[3]


@pytest.mark.parametrize("command", commands("python -m train fit"), ids=" ".join)
def test_recipes_have_what_commands_set(command: list[str]) -> None:
    recipe = {}
    for words in zip(command, command[1:], strict=False):
        if words[0] == "--config":
            recipe = yaml.safe_load((ROOT / words[1]).read_text(encoding="utf-8"))
        elif words[0].startswith("--data.") or ".strategy.init_args." in words[0]:
            section, *names = words[0].removeprefix("--").split(".")
            for name in (section, *names):
                recipe = recipe[name]


def test_make_has_every_target_that_is_promised() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^make ([\w-]+)", "\n".join(blocks("bash")), re.MULTILINE)
    assert set(targets) == {"app", "test", "train-on"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_links_and_pictures_are_there() -> None:
    for folder, text in READMES.items():
        for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", text):
            assert (ROOT / folder / target).exists(), (folder, target)


def test_the_first_readme_stays_short() -> None:
    assert README.count("\n") <= 170


def test_a_code_map_names_what_exists() -> None:
    (code_map,) = blocks("text")
    for name in re.findall(r"^(\S+?)(?:,|\s{2,})", code_map, re.MULTILINE):
        assert (ROOT / name).exists(), name


def test_presets_of_the_table_exist() -> None:
    from concat_id.loading.presets import PRESETS

    rows = re.findall(r"^\| `([a-z][\w.-]*)`", README, re.MULTILINE)
    assert set(rows) == set(PRESETS)
