"""Loading what a preset needs: once, at first use, on the best device there is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from concat_id.damaged_weights import check_complete, named_if_damaged
from concat_id.devices import choose_device, choose_dtype, is_short_of_memory, save_memory
from concat_id.job import Lora
from concat_id.loras import locate as locate_loras
from concat_id.presets import DEFAULT_PRESET, PRESETS
from concat_id.weights import Fetching, Source, cache_folder, fetch, find, locate

if TYPE_CHECKING:
    import torch

    from concat_id.faces import FaceFinder
    from concat_id.parsing import Parser
    from concat_id.pipelines.pipeline_wan import ConcatIDWanPipeline
    from concat_id.scoring import ClipEmbedder, Scorer
    from concat_id.scoring.curricularface import CurricularEmbedder
    from concat_id.scoring.video_clip import VideoTextScorer

# A parser without its optimiser's state and other formats.
_PARSER_FILES = ("*.json", "model.safetensors")
# All of a Wan repository but its transformer, which the converted checkpoint replaces.
_BASE_FILES = ("*.json", "tokenizer/*", "text_encoder/*", "vae/*", "scheduler/*")


@dataclass(frozen=True, eq=False)
class FaceTools:
    """What looks at faces: for references (finder, parser) and for scores (clip, scorer)."""

    finder: FaceFinder
    parser: Parser
    clip: ClipEmbedder
    scorer: Scorer


def load_pipeline(
    name: str = DEFAULT_PRESET,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    loras: Sequence[Lora] = (),
) -> ConcatIDWanPipeline:
    """A preset's pipeline, ready to run; loaded at the first call, and kept until another one is asked for.

    Args:
        name: key of `PRESETS`.
        device: "cuda", "cuda:1", "mps" or "cpu"; None takes the first of them that this machine has.
        dtype: of the weights; None: bfloat16 where the device computes in it, else float32.
        loras: of a resolved job, merged into the transformer beside the preset's own.
    """
    device, preset = choose_device(device), PRESETS[name]
    pipeline = _load_pipeline(pipeline_folder(name), preset.shift, device, dtype or choose_dtype(device))
    own = ((locate(preset.adapter), 1.0, ""),) if preset.adapter else ()
    wanted = own + locate_loras(loras)
    return _adapt(pipeline, wanted) if wanted else pipeline


@lru_cache(maxsize=1)
def _load_pipeline(folder: Path, shift: float, device: str, dtype: torch.dtype) -> ConcatIDWanPipeline:
    """Load a pipeline and place it."""
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler

    from concat_id.pipelines.pipeline_wan import ConcatIDWanPipeline

    _hide_loading_bars()
    # On a GPU the autoencoder can afford float32, as Wan has it; on a processor it takes most of the time.
    dtypes = {"default": dtype, "vae": torch.float32 if device.startswith("cuda") else dtype}
    with named_if_damaged(folder):
        pipeline = ConcatIDWanPipeline.from_pretrained(folder, dtype=dtypes)
        for name in ("transformer", "vae", "text_encoder"):
            check_complete(getattr(pipeline, name), folder / name)
    pipeline.scheduler = FlowMatchEulerDiscreteScheduler.from_config(
        pipeline.scheduler.config, shift=shift, use_dynamic_shifting=False
    )
    pipeline.set_progress_bar_config(disable=True)
    if is_short_of_memory(device):
        save_memory(pipeline, device)
    return pipeline.to(device)


@lru_cache(maxsize=1)
def _adapt(pipeline: ConcatIDWanPipeline, loras: tuple[tuple[Path, float, str], ...]) -> ConcatIDWanPipeline:
    """The pipeline with LoRAs merged into a transformer of its own; the large rest is shared with it.

    Args:
        loras: file, strength and digest of each.
    """
    from concat_id.models.lora import merge_lora, read_lora

    transformer = deepcopy(pipeline.transformer)
    for path, strength, _ in loras:
        with named_if_damaged(path):
            lora = read_lora(path)
        merge_lora(transformer, lora, strength)
    own = {"transformer": transformer, "scheduler": deepcopy(pipeline.scheduler)}
    adapted = type(pipeline)(**pipeline.components | own)
    adapted.set_progress_bar_config(disable=True)
    return adapted


def pipeline_folder(name: str) -> Path:
    """The diffusers folder of a preset; the authors' checkpoints are converted at first use and kept."""
    preset = PRESETS[name]
    folder = Path(preset.base) if preset.checkpoint is None else _converted_folder(name)
    if preset.checkpoint and not (folder / "model_index.json").is_file():
        from concat_id.models.convert import convert_checkpoint

        convert_checkpoint(locate(preset.checkpoint), locate(preset.base, patterns=_BASE_FILES), folder)
    return locate(folder / "model_index.json").parent


def _converted_folder(name: str) -> Path:
    """Where a preset whose checkpoint is to be converted is kept."""
    return cache_folder() / "presets" / name


def find_tokenizer(name: str) -> Path | None:
    """The file of a preset's tokenizer, None while it is not on this machine."""
    preset = PRESETS[name]
    base = find(preset.base, patterns=("tokenizer/tokenizer.json",))
    path = base / "tokenizer" / "tokenizer.json" if base else None
    return path if path and path.is_file() else None


def list_missing(name: str) -> list[Source]:
    """Weights of a preset that are not on this machine, and would be fetched at first use."""
    preset = PRESETS[name]
    sources = [preset.face_pack, preset.score_pack, preset.face_parser, preset.clip, preset.adapter]
    missing = [source for source in sources if source and not find(source)]
    if preset.checkpoint and not (_converted_folder(name) / "model_index.json").is_file():
        missing += [] if find(preset.base, patterns=_BASE_FILES) else [preset.base]
        missing += [] if find(preset.checkpoint) else [preset.checkpoint]
    return missing


@dataclass(frozen=True)
class Loading:
    """Everything that a preset needs is on this machine and about to be loaded."""

    title: str


def make_ready(name: str) -> Iterator[Fetching | Loading]:
    """Fetch what a preset lacks and convert its checkpoint: after that, loading it needs no network.

    Closing the generator stops it between two files; what was fetched stays.
    """
    patterns = {PRESETS[name].base: _BASE_FILES}
    yield from fetch({source: patterns.get(source) for source in list_missing(name)})
    yield Loading(PRESETS[name].title)
    pipeline_folder(name)


@lru_cache(maxsize=8)
def weights_digest(name: str) -> str:
    """SHA-256 of a preset's transformer weights and its adapter's: which model made a video."""
    digest, adapter = hashlib.sha256(), PRESETS[name].adapter
    # Not what file managers leave beside them, such as ._model.safetensors.
    shards = sorted((pipeline_folder(name) / "transformer").glob("[!.]*.safetensors"))
    for path in [*shards, *([locate(adapter)] if adapter else [])]:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _hide_loading_bars() -> None:
    """Keep standard error for what is worth a sentence; downloads still show how far they are."""
    import diffusers.utils.logging
    import transformers.utils.logging

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()


def load_face_tools(name: str = DEFAULT_PRESET) -> FaceTools:
    """What a preset looks at faces with; loaded at the first call and kept until another is asked for."""
    preset = PRESETS[name]
    sources = (preset.face_pack, preset.score_pack, preset.face_parser, preset.clip)
    return _load_face_tools(*sources, preset.face_frame_size_px)


# By what is loaded, not by preset: several presets share it, and one may be chosen after the other.
@lru_cache(maxsize=1)
def _load_face_tools(
    face_pack: Source, score_pack: Source, face_parser: Source, clip: Source, frame_size_px: int
) -> FaceTools:
    """Load face models."""
    from concat_id.faces import FaceFinder
    from concat_id.parsing import Parser
    from concat_id.scoring import ClipEmbedder, Scorer

    _hide_loading_bars()
    paths = [locate(source) for source in (face_pack, score_pack, face_parser, clip)]
    with named_if_damaged(*paths):
        finder = FaceFinder(paths[0], frame_size_px=frame_size_px)
        score_finder = finder
        if score_pack != face_pack:
            score_finder = FaceFinder(paths[1], frame_size_px=frame_size_px)
        embedder = ClipEmbedder(paths[3])
        return FaceTools(finder, Parser(paths[2]), embedder, Scorer(score_finder, embedder))


def load_clothes_parser(name: str = DEFAULT_PRESET) -> Parser:
    """What a preset finds garments and people with; loaded at the first call, as only some jobs need it."""
    return _load_clothes_parser(PRESETS[name].clothes_parser)


@lru_cache(maxsize=1)
def _load_clothes_parser(source: Source) -> Parser:
    """Load a clothes parser."""
    from concat_id.parsing import Parser

    _hide_loading_bars()
    path = locate(source, patterns=_PARSER_FILES)
    with named_if_damaged(path):
        return Parser(path)


def load_curricular(name: str = DEFAULT_PRESET) -> CurricularEmbedder | None:
    """What CurSim is computed by; None where its weights are not on this machine."""
    source = PRESETS[name].curricular
    return _load_curricular(source) if find(source) else None


@lru_cache(maxsize=1)
def _load_curricular(source: Source) -> CurricularEmbedder:
    """Load a second recogniser."""
    from concat_id.scoring.curricularface import CurricularEmbedder

    path = locate(source)
    with named_if_damaged(path):
        return CurricularEmbedder.load(path)


def load_video_text(name: str = DEFAULT_PRESET) -> VideoTextScorer | None:
    """What ViCLIP is computed by; None where its weights are not on this machine."""
    preset = PRESETS[name]
    return _load_video_text(preset.video_clip, preset.clip) if find(preset.video_clip) else None


@lru_cache(maxsize=1)
def _load_video_text(source: Source, clip: Source) -> VideoTextScorer:
    """Load a video-text model, and the tokenizer that it shares with CLIP."""
    from concat_id.scoring.video_clip import VideoTextScorer

    _hide_loading_bars()
    paths = locate(source), locate(clip)
    with named_if_damaged(*paths):
        return VideoTextScorer.load(*paths)
