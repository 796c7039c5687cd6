"""From training checkpoints to the folders that the product loads.

    python -m train.export autoencoder    --output .train/vae
    python -m train.export text           --checkpoint .train/text_encoder/last.ckpt --output .train/text
    python -m train.export pipeline       --checkpoint .train/stage1/last.ckpt --output assets/embedded
    python -m train.export live           --checkpoint .train/live --output assets/embedded
    python -m train.export adapter        --checkpoint .train/distillation/last.ckpt \
        --output assets/embedded/adapters/draft.safetensors
    python -m train.export detector       --output assets/embedded/face_pack/det.onnx
    python -m train.export recognizer     --output assets/embedded/face_pack/rec.onnx
    python -m train.export face_parser    --output assets/embedded/face_parser
    python -m train.export clothes_parser --output assets/embedded/clothes_parser
    python -m train.export clip           --output assets/embedded/clip
    python -m train.export curricular     --output assets/embedded/evaluation/cur.onnx
    python -m train.export video_clip     --output assets/embedded/evaluation/video_clip
    python -m train.export reader         --output assets/embedded/evaluation/reader.onnx
    python -m train.export whole_faces    --output assets/embedded/evaluation/whole.onnx

Without a checkpoint it is `.train/WHAT/last.ckpt`. An adapter is a LoRA, which `pipeline.load_lora_weights`
loads on what its training started from. Where a training averages its weights, those are exported.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from train.export import evaluation, perception, pipeline

Export = Callable[[Path, Path, argparse.Namespace], None]
LOGGER = logging.getLogger(__name__)


def _of(module_type: type, write: Callable[[Any, Path], None]) -> Export:
    """The export of a module that is whole in its checkpoint."""

    def export(checkpoint: Path, output: Path, _: argparse.Namespace) -> None:
        module = module_type.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True).eval()
        output.parent.mkdir(parents=True, exist_ok=True)
        write(module, output)

    return export


EXPORTS: dict[str, Export] = {
    "autoencoder": lambda checkpoint, output, _: pipeline.export_autoencoder(checkpoint, output),
    "text": lambda checkpoint, output, _: pipeline.export_text(checkpoint, output),
    "pipeline": lambda checkpoint, output, rest: pipeline.export_pipeline(checkpoint, rest.vae, output),
    "live": lambda checkpoint, output, rest: pipeline.export_live(checkpoint, rest.text, rest.vae, output),
    "adapter": lambda checkpoint, output, _: pipeline.export_adapter(checkpoint, output),
    **{name: _of(*export) for name, export in (perception.EXPORTS | evaluation.EXPORTS).items()},
}


def main(arguments: list[str] | None = None) -> None:
    """Export what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=EXPORTS)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--vae", type=Path, default=Path(".train/vae"), help="of `pipeline` and `live`")
    parser.add_argument("--text", type=Path, default=Path("assets/embedded"), help="of `live`")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    checkpoint = options.checkpoint or Path(f".train/{options.what}/last.ckpt")
    EXPORTS[options.what](checkpoint, options.output, options)
    LOGGER.info("wrote %s", options.output)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main()
