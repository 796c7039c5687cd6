"""Loading what a preset needs: once, at first use, on the best device there is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from concat_id.loading.compiling import compile_when_called, use_compiled
from concat_id.loading.damaged_weights import check_complete, named_if_damaged
from concat_id.loading.devices import Precision, choose_device, choose_precision
from concat_id.loading.loras import Lora
from concat_id.loading.loras import locate as locate_loras
from concat_id.loading.memory import MemoryPlan, place, place_transformer, plan_memory
from concat_id.loading.presets import DEFAULT_PRESET, PIPELINES, PRESETS, Backbone, Preset
from concat_id.loading.weights import Fetching, Source, cache_folder, fetch, find, locate

if TYPE_CHECKING:
    import torch

    from concat_id.pipelines.pipeline import ConcatIDPipeline
    from concat_id.references.faces import FaceFinder
    from concat_id.references.parsing import Parser
    from concat_id.scoring import ClipEmbedder, Scorer
    from concat_id.scoring.curricularface import CurricularEmbedder
    from concat_id.scoring.video_clip import VideoTextScorer

# A parser without its optimiser's state and other formats.
PARSER_FILES = ("*.json", "model.safetensors")
# All of a base's repository but its transformer, which the converted checkpoint replaces; of ConsisID's, the
# checkpoint is the face encoder's.
_BASE_FILES = ("*.json", "tokenizer/*", "text_encoder/*", "vae/*", "scheduler/*")
_MORE_BASE_FILES: dict[Backbone, Sequence[str]] = {"consisid": ("transformer/*",)}
# Of a folder that SAT wrote, the weights, below a folder named by the step.
_CHECKPOINT_FILES: dict[Backbone, Sequence[str] | None] = {
    "wan": None,
    "cogvideox": ("**/mp_rank_00_model_states.pt",),
    "consisid": None,
}
# The parts of a pipeline that have weights.
_WEIGHTED = ("transformer", "text_encoder", "vae", "face_encoder")


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
    memory: str | None = None,
    loras: Sequence[Lora] = (),
) -> ConcatIDPipeline:
    """A preset's pipeline, ready to run; loaded at the first call, and kept until another one is asked for.

    Args:
        name: key of `PRESETS`.
        device: "cuda", "cuda:1", "mps" or "cpu"; None takes the first of them that this machine has.
        dtype: of the weights; None: see `choose_precision`.
        memory: see `concat_id.loading.memory`.
        loras: of a resolved job, merged into the transformer beside the preset's own.
    """
    device, preset = choose_device(device), PRESETS[name]
    folder, precision = pipeline_folder(name), choose_precision(device, preset.backbone, dtype)
    with named_if_damaged(folder):
        plan = plan_memory(memory, device, folder)
    pipeline = _load_pipeline(folder, preset.backbone, device, precision, plan)
    own = ((locate(preset.adapter), 1.0, ""),) if preset.adapter else ()
    if wanted := own + locate_loras(loras):
        pipeline = _adapt(pipeline, folder / "transformer", wanted, device, precision, plan)
    else:
        _adapt.cache_clear()  # its transformer is as large as the pipeline's
    if preset.shift is not None:
        pipeline.scheduler.set_shift(preset.shift)
    use_compiled(pipeline, preset)
    return pipeline


@lru_cache(maxsize=1)
def _load_pipeline(
    folder: Path, backbone: Backbone, device: str, precision: Precision, plan: MemoryPlan
) -> ConcatIDPipeline:
    """Load a pipeline and place it."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    import concat_id
    from concat_id.loading.text_encoder import load_text_encoder
    from concat_id.models.autoencoder_wan import speed_up

    _hide_loading_bars()
    pipeline_class = getattr(concat_id, PIPELINES[backbone])
    dtypes = {
        "transformer": precision.transformer,
        "text_encoder": precision.text_encoder,
        "vae": precision.autoencoder,
    }
    with named_if_damaged(folder):
        own = {}
        if plan.text_encoder not in ("whole", "layers"):
            own["text_encoder"] = load_text_encoder(folder, device, precision.text_encoder, plan.text_encoder)
        pipeline = pipeline_class.from_pretrained(folder, dtype=dtypes, **own)
        for part in _WEIGHTED:
            if part not in own and hasattr(pipeline, part):
                check_complete(getattr(pipeline, part), folder / part)
    if isinstance(pipeline.scheduler, FlowMatchEulerDiscreteScheduler):
        pipeline.scheduler = FlowMatchEulerDiscreteScheduler.from_config(
            pipeline.scheduler.config, use_dynamic_shifting=False
        )
    if device == "cpu":
        speed_up(pipeline.vae)
    pipeline.set_progress_bar_config(disable=True)
    place(pipeline, device, plan, precision.compute)
    compile_when_called(pipeline.transformer, plan)
    return pipeline


@lru_cache(maxsize=1)
def _adapt(
    pipeline: ConcatIDPipeline,
    folder: Path,
    loras: tuple[tuple[Path, float, str], ...],
    device: str,
    precision: Precision,
    plan: MemoryPlan,
) -> ConcatIDPipeline:
    """The pipeline with LoRAs merged into a transformer of its own; the large rest is shared with it.

    Args:
        folder: of the transformer.
        loras: file, strength and digest of each.
    """
    from concat_id.models.lora import merge_lora, read_lora

    # Loaded anew: blocks that pass through a GPU cannot be copied.
    original = pipeline.transformer
    transformer = type(original).from_pretrained(folder, dtype=precision.transformer)
    for path, strength, _ in loras:
        with named_if_damaged(path):
            lora = read_lora(path)
        merge_lora(transformer, lora, strength)
    place_transformer(transformer, device, plan, precision.compute)
    compile_when_called(transformer, plan)
    own = {"transformer": transformer, "scheduler": deepcopy(pipeline.scheduler)}
    adapted = type(pipeline)(**pipeline.components | own)
    adapted.max_batched_tokens = pipeline.max_batched_tokens
    adapted.set_progress_bar_config(disable=True)
    return adapted


def pipeline_folder(name: str) -> Path:
    """The diffusers folder of a preset; the authors' checkpoints are converted at first use and kept."""
    preset = PRESETS[name]
    folder = Path(preset.base) if preset.checkpoint is None else _converted_folder(name)
    if preset.checkpoint and not (folder / "model_index.json").is_file():
        patterns = _list_patterns(preset)
        checkpoint, base = (locate(one, patterns=patterns[one]) for one in (preset.checkpoint, preset.base))
        if preset.backbone == "consisid":
            from concat_id.loading.consisid import assemble

            assemble(base, checkpoint, folder)
        else:
            from concat_id.loading.convert import convert_checkpoint

            convert_checkpoint(checkpoint, base, folder, preset.backbone)
    return locate(folder / "model_index.json").parent


def _list_patterns(preset: Preset) -> Mapping[Source, Sequence[str] | None]:
    """Which files are needed of what a preset's pipeline is converted from."""
    base_files = (*_BASE_FILES, *_MORE_BASE_FILES.get(preset.backbone, ()))
    return {preset.base: base_files, preset.checkpoint: _CHECKPOINT_FILES[preset.backbone]}


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
        wanted = _list_patterns(preset)
        missing += [source for source, patterns in wanted.items() if not find(source, patterns=patterns)]
    return missing


@dataclass(frozen=True)
class Loading:
    """Everything that a preset needs is on this machine and about to be loaded."""

    title: str


def make_ready(name: str) -> Iterator[Fetching | Loading]:
    """Fetch what a preset lacks and convert its checkpoint: after that, loading it needs no network.

    Closing the generator stops it between two files; what was fetched stays.
    """
    patterns = _list_patterns(PRESETS[name])
    yield from fetch({source: patterns.get(source) for source in list_missing(name)})
    yield Loading(PRESETS[name].title)
    pipeline_folder(name)


@lru_cache(maxsize=8)
def weights_digest(name: str) -> str:
    """SHA-256 of all weights that a preset makes videos with: which model made a video."""
    folder, adapter = pipeline_folder(name), PRESETS[name].adapter
    # Not what file managers leave beside them, such as ._model.safetensors.
    paths = [path for part in _WEIGHTED for path in sorted((folder / part).glob("[!.]*.safetensors"))]
    paths += [locate(adapter)] if adapter else []
    with ThreadPoolExecutor() as pool:  # Wan's text encoder alone has 20 GB
        return hashlib.sha256(b"".join(pool.map(_digest, paths))).hexdigest()


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


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
    from concat_id.references.faces import FaceFinder
    from concat_id.references.parsing import Parser
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
    from concat_id.references.parsing import Parser

    _hide_loading_bars()
    path = locate(source, patterns=PARSER_FILES)
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
