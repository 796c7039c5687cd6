"""Small footage with known truth, and the dataset that curation makes of it; nobody may change either."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from train.curation.engine import curate
from train.curation.rendered_footage import Plan, film_footage

PLAN = Plan(films=6, people=3, seconds=2.0, drawn_fps=2)


@pytest.fixture(scope="session", autouse=True)
def eager_workers() -> Iterator[None]:
    """Ray's workers are polite otherwise, and starve beside other tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        yield


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `videos` and, apart, `truth.json`."""
    folder = tmp_path_factory.mktemp("footage")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    film_footage(folder / "videos", folder / "truth.json", PLAN)
    torch.set_num_threads(threads)
    # The same film under another name, and a file that is nobody's video.
    shutil.copy(folder / "videos/film-00000.mp4", folder / "videos/zz-again.mp4")
    (folder / "videos/notes.doc").write_text("Buy more discs.")
    return folder


@pytest.fixture(scope="session")
def dataset(footage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an undisturbed run in this process makes of it."""
    output = tmp_path_factory.mktemp("curated") / "dataset"
    curate(footage / "videos", output, workers=0)
    return output
