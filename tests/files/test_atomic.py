"""A file is whole, or is what it was before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from concat_id.files.atomic import replacing


def test_the_earlier_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.json"
    for text in ("first", "second"):
        with replacing(path) as unfinished:
            unfinished.write_text(text)
            assert not list(path.parent.glob("*.json")) or path.read_text() == "first"
        assert path.read_text() == text
    assert os.listdir(path.parent) == ["file.json"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for name in ("first", "second"):
        with replacing(path) as unfinished:
            unfinished.mkdir()
            (unfinished / name).touch()
        assert os.listdir(path) == [name]
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir])
def test_a_failure_leaves_what_was_there_and_nothing_else(make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("first")
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "file") as unfinished:
        make(unfinished)
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "first"


def test_a_file_is_readable_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with replacing(tmp_path / "file") as unfinished:
        unfinished.touch()
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode
