"""Compiled transformer blocks: by one of torch's compilers when they are first called, or ahead of that.

`CONCAT_ID_COMPILE` names a compiler, such as inductor, or is "ahead". On ZeroGPU each run is a process of its
own, in which blocks would be compiled anew. So there one block is compiled when the app starts
(`spaces.aoti_*`), for its preset's size and all numbers of references that it takes. The code is kept in the
cache folder; all blocks run it, each with its own weights, those of merged LoRAs, too. Other calls of a block
go on as if nothing were compiled: of other sizes, without references, with references from a cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from concat_id.errors import InvalidJob
from concat_id.files.atomic import replacing
from concat_id.loading.memory import MemoryPlan
from concat_id.loading.presets import Preset
from concat_id.loading.weights import cache_folder

if TYPE_CHECKING:
    from diffusers import ModelMixin

    from concat_id.models.block_signature import BlockSignature
    from concat_id.pipelines.pipeline import ConcatIDPipeline

VARIABLE = "CONCAT_ID_COMPILE"
AHEAD = "ahead"
# For which a shared GPU is asked for, once.
COMPILING_SECONDS = 300
SIGNATURE = "signature.json"


def compile_when_called(transformer: ModelMixin, plan: MemoryPlan) -> None:
    """Have all blocks compiled by one of them, if the environment names a compiler.

    Blocks that pass through a GPU are left as they are: their weights move.
    """
    import torch

    compiler = os.environ.get(VARIABLE)
    if compiler in (None, "", AHEAD) or plan.stream_transformer:
        return
    if compiler not in torch.compiler.list_backends(exclude_tags=()):
        choices = " or ".join([AHEAD, *torch.compiler.list_backends()])
        raise InvalidJob(f"{VARIABLE} is '{compiler}'; choose {choices}, or leave it out.")
    transformer.compile_repeated_blocks(backend=compiler)


def compile_ahead(pipeline: ConcatIDPipeline, preset: Preset) -> None:
    """Compile a preset's block, if the environment says so and it was not done before, and use it.

    Args:
        pipeline: the preset's.

    Raises:
        InvalidJob: this PyTorch knows nothing of CUDA, which the compiler of `spaces` asks of it.
    """
    folder = _find_folder(pipeline, preset)
    if folder is None or folder.is_dir():
        return
    import spaces

    try:
        import spaces.zero.torch.aoti  # noqa: F401
    except AttributeError as error:
        raise InvalidJob(f"{VARIABLE} is '{AHEAD}', which needs PyTorch for CUDA; leave it out.") from error

    @spaces.GPU(duration=COMPILING_SECONDS)
    def write() -> None:  # in the process that has the GPU, from which nothing else comes back
        _write_program(pipeline, preset, folder)

    write()
    use_compiled(pipeline, preset)  # here already: where a GPU is lent, runs are forks of this process


def use_compiled(pipeline: ConcatIDPipeline, preset: Preset) -> None:
    """Have a pipeline's blocks run what was compiled for a preset, if it was."""
    folder = _find_folder(pipeline, preset)
    if folder is None or not folder.is_dir():
        return
    import spaces

    from concat_id.models.block_signature import BlockSignature

    blocks = pipeline.transformer.list_blocks()
    if isinstance(blocks[0].forward, _Forward):
        return
    signature = BlockSignature(**json.loads((folder / SIGNATURE).read_text()))
    plain = [block.forward for block in blocks]
    spaces.aoti_load_from_package_dir(pipeline.transformer, folder)
    for block, forward in zip(blocks, plain, strict=True):
        block.forward = _Forward(block.forward, forward, signature)


@dataclass(frozen=True, eq=False)
class _Forward:
    """What a block runs: a program where it serves, else its own code."""

    program: Callable[..., Any]
    plain: Callable[..., Any]
    signature: BlockSignature

    def __call__(self, *args: Any, **options: Any) -> Any:
        import torch

        from concat_id.models.block_signature import lay_out

        if options or torch.is_grad_enabled() or not self.signature.serves(args):
            return self.plain(*args, **options)
        return self.program(*lay_out(args))


def _find_folder(pipeline: ConcatIDPipeline, preset: Preset) -> Path | None:
    """Where the program of a preset's blocks is or comes to be; None where they are left as they are."""
    import torch

    from concat_id.models.reference_transformer import ReferenceTransformerMixin

    transformer = pipeline.transformer
    if os.environ.get(VARIABLE) != AHEAD or not isinstance(transformer, ReferenceTransformerMixin):
        return None
    if any(hasattr(module, "_diffusers_hook") for module in transformer.list_blocks().modules()):
        return None  # their weights move, or are kept in another type than they compute in
    device = transformer.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    depends_on = {
        "torch": torch.__version__,
        "device": (device.type, name),
        "dtype": str(transformer.dtype),
        "config": {key: value for key, value in transformer.config.items() if not key.startswith("_")},
        "attention": os.environ.get("DIFFUSERS_ATTN_BACKEND"),
        "size": _measure(pipeline, preset),
    }
    digest = hashlib.sha256(json.dumps(depends_on, sort_keys=True, default=str).encode()).hexdigest()
    return cache_folder() / "blocks" / digest[:16]


def _measure(pipeline: ConcatIDPipeline, preset: Preset) -> tuple[tuple[int, ...], int, int]:
    """Of a preset's videos the latents' shape, how many references they have, and the text's length."""
    shape = pipeline.latent_shape(1, preset.num_frames, preset.height, preset.width)
    return shape, preset.max_references, preset.max_sequence_length


def _write_program(pipeline: ConcatIDPipeline, preset: Preset, folder: Path) -> None:
    """Compile the first block for the calls that a preset's videos make of it."""
    import spaces
    import torch

    from concat_id.models.block_signature import MAX_BATCH, BlockSignature, lay_out

    transformer = pipeline.transformer
    (_, channels, *size), num_references, text_length = _measure(pipeline, preset)
    like = {"dtype": transformer.dtype, "device": transformer.device}
    text_width = transformer.config.get("text_dim") or transformer.config.text_embed_dim
    block = transformer.list_blocks()[0]
    with torch.no_grad():
        with spaces.aoti_capture(block) as call:
            transformer(
                torch.zeros(MAX_BATCH, channels, *size, **like),
                torch.zeros(MAX_BATCH, device=transformer.device),
                torch.zeros(MAX_BATCH, text_length, text_width, **like),
                torch.zeros(MAX_BATCH, channels, num_references, *size[1:], **like),
            )
        args = lay_out(call.args)
        p, q = transformer.patch_sides
        tokens_per_reference = (size[1] // p) * (size[2] // q)
        signature = BlockSignature.read(args, args[0].shape[1] - (num_references - 1) * tokens_per_reference)
        program = torch.export.export(block, args, dynamic_shapes=signature.name_dims(args))
    with replacing(folder) as part:
        part.mkdir()
        (part / SIGNATURE).write_text(json.dumps(asdict(signature)))
        spaces.aoti_compile_and_save(part, program, submodule=_name_blocks(transformer))


def _name_blocks(transformer: ModelMixin) -> str:
    """The attribute that holds the blocks."""
    return next(name for name, child in transformer.named_children() if child is transformer.list_blocks())
