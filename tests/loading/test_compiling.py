"""Blocks compiled ahead of time: the same videos, whatever they are asked for."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import spaces
import torch
from diffusers import TaylorSeerCacheConfig
from toys import toy_cogvideox_preset, toy_preset, write_toy_adapter

from concat_id.errors import InvalidJob
from concat_id.loading import load
from concat_id.loading.compiling import AHEAD, VARIABLE, compile_ahead
from concat_id.loading.load import load_pipeline
from concat_id.loading.own_weights import register_weights
from concat_id.loading.presets import PRESETS
from concat_id.pipelines.pipeline import ConcatIDPipeline

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="blocks are compiled by a C++ compiler"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),  # PyTorch's own
]


def test_what_cannot_compile_says_so(toy_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.version.cuda:
        pytest.skip("this PyTorch can")
    monkeypatch.setitem(PRESETS, "toy", toy_preset(toy_folder))
    monkeypatch.setenv(VARIABLE, AHEAD)
    pipeline = load_pipeline("toy", "cpu", torch.float32)
    with pytest.raises(
        InvalidJob, match="CONCAT_ID_COMPILE is 'ahead', which needs PyTorch for CUDA; leave it"
    ):
        compile_ahead(pipeline, PRESETS["toy"])
    load._load_pipeline.cache_clear()


@pytest.fixture(scope="module")
def compiler() -> Iterator[None]:
    """`spaces` on a processor: it also changes what CUDA does, which PyTorch has not here."""
    package = ModuleType("spaces.zero.torch")
    package.__path__ = [str(Path(spaces.__file__).parent / "zero" / "torch")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, package.__name__, package)
        yield


@pytest.fixture(scope="module", params=["wan", "cogvideox"])
def compiled(
    request: pytest.FixtureRequest, compiler: None, toy_folder: Path, toy_cogvideox_folder: Path
) -> Iterator[str]:
    """The name of a toy preset, whose blocks were compiled."""
    preset = toy_preset(toy_folder)
    if request.param == "cogvideox":
        preset = toy_cogvideox_preset(toy_cogvideox_folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "toy", preset)
        patch.setenv(VARIABLE, AHEAD)
        load._load_pipeline.cache_clear()
        pipeline = load_pipeline("toy", "cpu", torch.float32)
        compile_ahead(pipeline, preset)
        assert all("forward" in vars(block) for block in pipeline.transformer.list_blocks())
        yield "toy"
    load._load_pipeline.cache_clear()
    load._adapt.cache_clear()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, compiler: None) -> list[int]:
    """The batch of each call that the compiled code served."""
    from spaces.zero.torch.aoti import LazyAOTIModelWithWeights as Program

    batches, call = [], Program.__call__
    monkeypatch.setattr(
        Program, "__call__", lambda self, *args: batches.append(len(args[0])) or call(self, *args)
    )
    return batches


def sample(
    name: str,
    num_references: int = 1,
    prepare: Callable[[ConcatIDPipeline], None] | None = None,
    **options: object,
) -> torch.Tensor:
    """Latents of the preset's size, with text guidance.

    Args:
        prepare: changes a pipeline that nobody needs afterwards.
    """
    pipeline, preset = load_pipeline(name, "cpu", torch.float32), PRESETS["toy"]
    if prepare:
        load._load_pipeline.cache_clear()
        prepare(pipeline)
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(1, 4, num_references, 8, 8, generator=generator)
    fixed = ("height", "width", "num_frames", "max_sequence_length")
    defaults = {name: getattr(preset, name) for name in fixed} | {
        "num_inference_steps": 2,
        "guidance_scale": 3.0,
        "reference_latents": pictures if num_references else None,
        "output_type": "latent",
        "generator": generator,
    }
    return pipeline("A person.", **defaults | options).frames


def sample_plainly(name: str, *args: object, **options: object) -> torch.Tensor:
    """The same without compiled code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(VARIABLE)
        load._load_pipeline.cache_clear()
        load._adapt.cache_clear()
        plain = sample(name, *args, **options)
    load._load_pipeline.cache_clear()
    load._adapt.cache_clear()
    return plain


def test_blocks_that_were_compiled_make_the_same_videos(compiled: str, served: list[int]) -> None:
    most = PRESETS[compiled].max_references
    for num_references in {1, most}:
        expected = sample_plainly(compiled, num_references)
        assert not served
        torch.testing.assert_close(sample(compiled, num_references), expected, atol=1e-4, rtol=1e-4)
        assert set(served) == {2}  # both passes of a step
        served.clear()
    sample(compiled, 1, guidance_scale=1.0)
    assert set(served) == {1}


@pytest.mark.parametrize("options", [{"num_references": 0}, {"num_frames": 25}])
def test_other_videos_are_made_as_ever(compiled: str, served: list[int], options: dict[str, int]) -> None:
    expected = sample_plainly(compiled, **options)
    assert torch.equal(sample(compiled, **options), expected) and not served


@pytest.mark.parametrize("cache", ["reference", "step"])
def test_caches_know_the_blocks(compiled: str, served: list[int], cache: str) -> None:
    def enable(pipeline: ConcatIDPipeline) -> None:
        if cache == "reference":
            pipeline.transformer.enable_reference_cache(2)
        else:
            pipeline.transformer.enable_cache(TaylorSeerCacheConfig(cache_interval=2, use_lite_mode=True))

    options = {"prepare": enable, "num_inference_steps": 6}
    expected = sample_plainly(compiled, **options)
    torch.testing.assert_close(sample(compiled, **options), expected, atol=1e-4, rtol=1e-4)
    assert bool(served) == (cache == "step")


@pytest.mark.parametrize("compiled", ["wan"], indirect=True)  # the toy adapter's
def test_each_block_keeps_its_weights_and_those_of_loras(
    compiled: str, served: list[int], tmp_path: Path
) -> None:
    plain = sample(compiled)
    name = register_weights(write_toy_adapter(tmp_path / "x.safetensors"), "toy", "adapted").name
    expected = sample_plainly(name)
    served.clear()
    found = sample(name)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert served and not torch.allclose(found, plain, atol=1e-3)
    del PRESETS[name]


def test_nothing_is_compiled_twice_and_nothing_half_done_is_kept(
    compiled: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr(spaces, "aoti_compile_and_save", fail)
    pipeline = load_pipeline(compiled, "cpu", torch.float32)
    compile_ahead(pipeline, PRESETS[compiled])
    monkeypatch.setenv("CONCAT_ID_CACHE", str(tmp_path))
    load._load_pipeline.cache_clear()
    pipeline = load_pipeline(compiled, "cpu", torch.float32)
    with pytest.raises(RuntimeError, match="no room"):
        compile_ahead(pipeline, PRESETS[compiled])
    assert not list((tmp_path / "blocks").iterdir())
