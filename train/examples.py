"""The example people that the app offers: held-out identities, who play no part in training.

python -m train.examples [--output assets/examples]
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from train.people import render, sample_scenes

SIDE_PX = 512
SCENE_SEED = 3
# Name, seed of the identity (test split), expression, place.
PEOPLE = (
    ("ada", 1102931312, "smiling", "park"),
    ("bruno", 1097673515, "neutral", "studio"),
    ("cleo", 1096958486, "smiling", "beach"),
    ("dalia", 1103211292, "smiling", "studio"),
    ("edwin", 1091035011, "neutral", "library"),
    ("fay", 1106431131, "smiling", "studio"),
    ("gloria", 1101847992, "smiling", "mountains"),
    ("hugo", 1096229886, "smiling", "studio"),
)


def render_people() -> dict[str, Image.Image]:
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
    frames = render(scenes, SIDE_PX, SIDE_PX).frames[:, 0]  # (B, 3, H, W)
    pixels = (frames * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    return {name: Image.fromarray(np.asarray(picture)) for name, picture in zip(names, pixels, strict=True)}


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, write the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("assets/examples"))
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    for name, picture in render_people().items():
        picture.save(options.output / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
