"""ConsisID's released files, and its face encoder's, as a folder that `StreamedConsisIDPipeline` loads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import diffusers

from concat_id.files.atomic import replacing
from concat_id.loading.convert import link_or_copy
from concat_id.models.eva_clip import EvaClipVisionModel, load_eva_clip
from concat_id.models.transformer_consisid import StreamedConsisIDTransformer3DModel
from concat_id.pipelines.pipeline_consisid import StreamedConsisIDPipeline

_KEPT = ("tokenizer", "text_encoder", "vae", "scheduler")
_OURS = {"transformer": StreamedConsisIDTransformer3DModel, "face_encoder": EvaClipVisionModel}


def assemble(base: Path, face_encoder: Path, output: Path, **config: int) -> None:
    """Write the folder, or nothing at all; its large files are links where the file system allows it.

    Args:
        base: the released diffusers folder of `ConsisIDPipeline`.
        face_encoder: EVA-CLIP's released checkpoint.
        config: of a face encoder of another size than that.
    """
    encoder = load_eva_clip(face_encoder, **config)
    index = json.loads((base / "model_index.json").read_text(encoding="utf-8"))
    with replacing(output) as unfinished:
        unfinished.mkdir()
        for component in (*_KEPT, "transformer"):
            shutil.copytree(base / component, unfinished / component, copy_function=link_or_copy)
        encoder.save_pretrained(unfinished / "face_encoder")
        own = {
            "_class_name": StreamedConsisIDPipeline.__name__,
            "_diffusers_version": diffusers.__version__,
            **{component: index[component] for component in _KEPT},
            **{component: [kind.__module__, kind.__name__] for component, kind in _OURS.items()},
        }
        (unfinished / "model_index.json").write_text(json.dumps(own, indent=2) + "\n")
        (unfinished / "pipeline.py").write_text(StreamedConsisIDPipeline.loader())
