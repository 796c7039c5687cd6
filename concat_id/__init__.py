"""Concat-ID: text-to-video generation that keeps the identity of reference pictures.

The public names load what they need at first use: importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "ConcatIDWanTransformer3DModel": "concat_id.models.transformer_wan",
    "ConcatIDWanPipeline": "concat_id.pipelines.pipeline_wan",
    "ConcatIDCogVideoXTransformer3DModel": "concat_id.models.transformer_cogvideox",
    "ConcatIDCogVideoXPipeline": "concat_id.pipelines.pipeline_cogvideox",
    "StreamedConsisIDPipeline": "concat_id.pipelines.pipeline_consisid",
    "Step": "concat_id.pipelines.outputs",
    "Preset": "concat_id.loading.presets",
    "PRESETS": "concat_id.loading.presets",
    "load_pipeline": "concat_id.loading.load",
    "Job": "concat_id.job",
    "Reference": "concat_id.references.reference",
    "Settings": "concat_id.settings",
    "generate": "concat_id.generation",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
