"""A host's limits are read once, and refused by the name of the variable."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

import app
from concat_id.__main__ import main
from concat_id.errors import InvalidLimit
from concat_id.limits import DEFAULTS, PREFIX, Limits, read_limits


def test_without_variables_the_defaults_hold() -> None:
    assert read_limits({}) == read_limits({"CONCAT_ID_RUN_SECONDS": "", "PATH": "3"}) == DEFAULTS


def test_every_limit_has_a_variable() -> None:
    variables = {f"{PREFIX}{entry.name.upper()}": str(7 + i) for i, entry in enumerate(fields(Limits))}
    limits = read_limits(variables)
    assert [getattr(limits, entry.name) for entry in fields(Limits)] == list(range(7, 7 + len(variables)))


@pytest.mark.parametrize("text", ["0", "-1", "soon", "1.5", "1e3", "1_000", "²", "٣", "9" * 19])
def test_a_wrong_value_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidLimit, match=f"^CONCAT_ID_QUEUE_LENGTH is '{text}'; it must be a whole number"):
        read_limits({"CONCAT_ID_QUEUE_LENGTH": text})


def test_programs_end_with_the_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("CONCAT_ID_RUN_SECONDS", "soon")
    assert app.main(["--outputs", str(tmp_path)]) == 2
    arguments = ["--reference", "assets/examples/anna.png", "--prompt", "laughing", "--output", str(tmp_path)]
    assert main(["generate", *arguments]) == 2
    for line in capsys.readouterr().err.strip().splitlines():
        assert "CONCAT_ID_RUN_SECONDS is 'soon'; it must be a whole number of 1 or more" in line


def test_the_readme_lists_every_variable() -> None:
    readme = (Path(app.__file__).parent / "concat_id" / "ui" / "README.md").read_text(encoding="utf-8")
    for entry in fields(Limits):
        assert f"`{PREFIX}{entry.name.upper()}`" in readme
