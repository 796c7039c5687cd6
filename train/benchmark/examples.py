"""The examples that the app offers: people, garments and places of the test split, no part of the training.

python -m train.benchmark.examples [--output assets/examples]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image

from concat_id.people import Scenes, render, sample_scenes
from train.benchmark.people import to_pictures

SIDE_PX = 512
SCENE_SEED = 3
# Name, seed of the identity (test split), expression, place.
PEOPLE = (
    ("greta", 1102931312, "smiling", "park"),
    ("bruno", 1097673515, "neutral", "studio"),
    ("anna", 1096958486, "smiling", "beach"),
    ("dalia", 1103211292, "smiling", "studio"),
    ("edwin", 1091035011, "neutral", "library"),
    ("fay", 1106431131, "smiling", "studio"),
    ("clara", 1101847992, "smiling", "mountains"),
    ("hugo", 1096229886, "smiling", "studio"),
)

# Name, kind, seed of the scene; the garment or place is the first of its scene.
GARMENTS = (
    ("checked-hoodie", "hoodie", 3),
    ("checked-shirt", "shirt", 5),
    ("dotted-dress", "dress", 5),
    ("heart-t-shirt", "t-shirt", 16),
    ("heart-turtleneck", "turtleneck", 5),
    ("star-t-shirt", "t-shirt", 11),
    ("striped-jacket", "jacket", 4),
    ("striped-t-shirt", "t-shirt", 13),
)
PLACES = (
    ("beach", "beach", 3),
    ("city-at-night", "city at night", 3),
    ("cosy-room", "cosy room", 5),
    ("desert", "desert", 3),
    ("forest", "forest", 3),
    ("mountains", "mountains", 3),
    ("snow", "snow", 3),
    ("sunset", "sunset", 3),
)
Pictures = dict[str, Image.Image]


def render_people() -> Pictures:
    """A portrait of each person, looking at the camera, without headwear."""
    names, seeds, expressions, places = zip(*PEOPLE, strict=True)
    scenes = sample_scenes(
        SCENE_SEED,
        len(PEOPLE),
        split="test",
        num_frames=1,
        camera="portrait",
        identity_seeds=torch.tensor(seeds).unsqueeze(1),
        expressions=list(expressions),
        motions="still",
        places=list(places),
        headwear="none",
    )
    return dict(zip(names, _draw(scenes), strict=True))


def render_garments() -> Pictures:
    """Each garment alone."""
    return {name: _draw(_scene(seed, garments=kind).garments_only())[0] for name, kind, seed in GARMENTS}


def render_places() -> Pictures:
    """Each place without people."""
    return {name: _draw(_scene(seed, places=kind).without_people())[0] for name, kind, seed in PLACES}


def _scene(seed: int, **kinds: str) -> Scenes:
    return sample_scenes(seed, 1, split="test", num_frames=1, **kinds)


def _draw(scenes: Scenes) -> list[Image.Image]:
    return to_pictures(render(scenes, SIDE_PX, SIDE_PX).frames[:, 0])


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, write the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("assets/examples"))
    options = parser.parse_args(arguments)
    for folder, pictures in (
        (options.output, render_people()),
        (options.output / "garments", render_garments()),
        (options.output / "places", render_places()),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            picture.save(folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
