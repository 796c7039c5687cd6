"""The face parser: labels aligned face crops in the numbering of `jonathandinu/face-parsing`.

python -m train fit --config train/configs/face_parser.yaml
"""

from __future__ import annotations

from train.perception.parser import LabelMap, Parser

LABEL_MAP = LabelMap(
    names=(
        "background", "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear",
        "mouth", "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth",
    ),
    # Ears, nose and brows count as skin, lips as mouth, beards as hair.
    occurring=(0, 1, 4, 5, 10, 13, 14, 17, 18),
)  # fmt: skip


class FaceParser(Parser):
    """Labels the parts of a face."""

    label_map = LABEL_MAP
    first_stride = 2
