"""The clothes parser: labels people and what they wear in whole pictures, in the numbering of
`mattmdjaga/segformer_b2_clothes`.

    python -m train fit --config train/configs/clothes_parser.yaml
"""

from __future__ import annotations

import torch
from torch import Tensor

from concat_id.people import labels as rendered
from train.perception.parser import LabelMap, Parser

LABEL_MAP = LabelMap(
    names=(
        "Background", "Hat", "Hair", "Sunglasses", "Upper-clothes", "Skirt", "Pants", "Dress", "Belt",
        "Left-shoe", "Right-shoe", "Face", "Left-leg", "Right-leg", "Left-arm", "Right-arm", "Bag", "Scarf",
    ),
    # Every garment counts as upper-clothes, and all skin as face.
    occurring=(0, 1, 2, 4, 11),
)  # fmt: skip

_BY_RENDERED_LABEL = {
    rendered.BACKGROUND: "Background",
    rendered.SKIN: "Face",
    rendered.LEFT_EYE: "Face",
    rendered.RIGHT_EYE: "Face",
    rendered.MOUTH: "Face",
    rendered.HAIR: "Hair",
    rendered.HAT: "Hat",
    rendered.NECK: "Face",
    rendered.CLOTH: "Upper-clothes",
}


def relabel(labels: Tensor) -> Tensor:
    """The renderer's labels, any shape and integer type, as labels of this parser, long."""
    table = torch.zeros(max(_BY_RENDERED_LABEL) + 1, dtype=torch.long, device=labels.device)
    for label, name in _BY_RENDERED_LABEL.items():
        table[label] = LABEL_MAP.names.index(name)
    return table[labels.long()]


class ClothesParser(Parser):
    """Labels people, place and garments."""

    label_map = LABEL_MAP
    first_stride = 4
