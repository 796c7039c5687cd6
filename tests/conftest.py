"""Components at toy size: the embedded model's classes with small random weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from concat_id import ConcatIDCogVideoXPipeline, ConcatIDWanPipeline, ConcatIDWanTransformer3DModel
    from concat_id.job import Job


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder of the tests' own: the signing key of whoever runs them is left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONCAT_ID_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("CONCAT_ID_SIGNING", raising=False)
        yield


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete diffusers folder; nobody may change it."""
    from toys import write_toy_pipeline

    return write_toy_pipeline(tmp_path_factory.mktemp("toy") / "pipeline")


@pytest.fixture(scope="session")
def toy_cogvideox_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same on CogVideoX; nobody may change it."""
    from toys import write_toy_cogvideox

    return write_toy_cogvideox(tmp_path_factory.mktemp("toy") / "cogvideox")


@pytest.fixture(scope="module")
def known_toy(toy_folder: Path) -> Iterator[None]:
    """The preset "toy", for one file's tests."""
    from toys import toy_preset

    from concat_id.loading import load, presets

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(presets.PRESETS, "toy", toy_preset(toy_folder))
        yield
    load._load_pipeline.cache_clear()
    load._load_face_tools.cache_clear()
    load.weights_digest.cache_clear()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job of the toy preset with one face."""
    from toys import portrait

    from concat_id.job import Job
    from concat_id.references.reference import Reference
    from concat_id.settings import Settings

    portrait(3).save(tmp_path / "face.png")
    return Job(
        "single", (Reference("face", tmp_path / "face.png"),), "A person waves.", Settings(seed=7), "toy"
    )


@pytest.fixture
def pipeline(toy_folder: Path) -> ConcatIDWanPipeline:
    """The toy pipeline, fresh for each test."""
    from concat_id import ConcatIDWanPipeline

    pipeline = ConcatIDWanPipeline.from_pretrained(toy_folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture
def cogvideox_pipeline(toy_cogvideox_folder: Path) -> ConcatIDCogVideoXPipeline:
    """The toy pipeline on CogVideoX, fresh for each test."""
    from concat_id import ConcatIDCogVideoXPipeline

    pipeline = ConcatIDCogVideoXPipeline.from_pretrained(toy_cogvideox_folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(params=[False, True], ids=["plain", "adaln"])
def transformer(request: pytest.FixtureRequest) -> ConcatIDWanTransformer3DModel:
    """A toy transformer of either variant."""
    from toys import make_transformer

    return make_transformer(num_layers=3, reference_adaln=request.param)


@pytest.fixture
def pictures() -> list[Image.Image]:
    """Three pictures of different contents and sizes."""
    rng = np.random.default_rng(0)
    sizes = ((40, 40), (30, 60), (60, 30))
    return [Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]
