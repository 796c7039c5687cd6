"""`score`: a video against reference pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from concat_id.commands.options import add_choices, add_json, add_preset, add_references, read_references
from concat_id.commands.printing import finish, say
from concat_id.errors import FaceTooSmall, InvalidJob, NoFaceFound
from concat_id.loading.presets import DEFAULT_PRESET

if TYPE_CHECKING:
    from PIL.Image import Image

    from concat_id.references.prepare import PreparedReference
    from concat_id.references.reference import Reference
    from concat_id.scoring import Target


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `score`."""
    add_references(parser)
    add_choices(parser)
    parser.add_argument("--video", type=Path, required=True, help="video to score")
    parser.add_argument("--prompt", help="what the video was made from; then ViCLIP is computed, too")
    samplings = ("auto", "all", "consisid-16")
    parser.add_argument("--sampling", default="auto", choices=samplings, help="which frames (default: auto)")
    add_preset(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Score a video."""
    if not options.reference:
        raise InvalidJob("there is nobody to compare with; give --reference.")
    references = read_references(options)
    from concat_id.output.video import read_video
    from concat_id.scoring.scorer import sample_frames
    from concat_id.scoring.video_clip import middle_frames

    def choose(total: int) -> list[int]:
        return sample_frames(total, options.sampling) + middle_frames(total)

    video = read_video(options.video, choose=choose)
    target, notes = _read_target(references, options.preset or DEFAULT_PRESET, bool(options.prompt))
    say(notes)
    scores = target.score_finished(video.frames, options.prompt or "", sampling=options.sampling)
    facts = {"notes": notes} if options.json else {}
    finish(options, scores=scores.to_dict(), video=str(options.video), **facts)


def _read_target(
    references: Sequence[Reference], preset: str, with_text: bool
) -> tuple[Target, tuple[str, ...]]:
    """What references name to compare a video with, and what the user should know of them."""
    from concat_id.generation import collect_notes, describe_target
    from concat_id.references.roles import load_reference

    pictures = [load_reference(reference) for reference in references]
    prepared = [
        _prepare(reference, picture, preset) for reference, picture in zip(references, pictures, strict=True)
    ]
    target = describe_target(references, pictures, prepared, preset, with_text=with_text)
    if target is None:
        raise NoFaceFound("no face was found in a reference; choose one that shows a face clearly.")
    return target, collect_notes(prepared)


def _prepare(reference: Reference, picture: Image, preset: str) -> PreparedReference:
    """A reference as `generate` sees it; but a face too small to carry an identity can be compared with."""
    from concat_id.generation import prepare_picture

    try:
        return prepare_picture(reference, picture, preset)
    except FaceTooSmall:
        return prepare_picture(reference, picture, preset, min_face_px=1)
