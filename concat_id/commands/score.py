"""`score`: a video against reference pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from concat_id.commands.options import add_json, add_preset, add_references
from concat_id.commands.printing import finish
from concat_id.errors import InvalidJob
from concat_id.presets import DEFAULT_PRESET

if TYPE_CHECKING:
    from concat_id.scoring import Target


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `score`."""
    add_references(parser)
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
    from concat_id.video import read_video

    video = read_video(options.video)
    target = _read_target(options)
    scores = target.score_finished(video.frames, options.prompt or "", sampling=options.sampling)
    finish(options, scores=scores.to_dict(), video=str(options.video))


def _read_target(options: argparse.Namespace) -> Target:
    """What the options name to compare a video with."""
    from concat_id.loading import load_clothes_parser, load_curricular, load_face_tools, load_video_text
    from concat_id.pictures import load_picture
    from concat_id.references import prepare_background, prepare_garment
    from concat_id.scoring import Target

    preset = options.preset or DEFAULT_PRESET
    pictures = [load_picture(path) for path in options.reference]
    scorer, curricular = load_face_tools(preset).scorer, load_curricular(preset)
    parser = load_clothes_parser(preset) if options.garment or options.background else None
    return Target(
        scorer,
        tuple(scorer.describe(picture, curricular=curricular) for picture in pictures),
        parser,
        garment=options.garment and prepare_garment(load_picture(options.garment), parser).picture,
        place=options.background and prepare_background(load_picture(options.background), parser).picture,
        curricular=curricular,
        video_text=load_video_text(preset) if options.prompt else None,
    )
