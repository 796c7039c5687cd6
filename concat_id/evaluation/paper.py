"""What the tables of the Concat-ID paper print, of photographed people.

Its article on the web prints CLIP's similarity in place of the distance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class PaperRow:
    """A model's figures in a table."""

    model: str
    arcsim: float
    cursim: float
    viclip: float
    clipdist: float

    def to_figures(self) -> dict[str, float]:
        """By name, as our own."""
        return {name: value for name, value in asdict(self).items() if name != "model"}


STAGE_1 = PaperRow("Concat-ID, stage I", 0.560, 0.581, 0.237, 0.274)
STAGE_2 = PaperRow("Concat-ID, stage II", 0.185, 0.200, 0.248, 0.434)
STAGE_3 = PaperRow("Concat-ID", 0.442, 0.466, 0.242, 0.325)  # the model that the other tables are of

TABLES: dict[str, tuple[PaperRow, ...]] = {
    "single": (
        PaperRow("ID-Animator", 0.289, 0.304, 0.204, 0.297),
        PaperRow("ConsisID", 0.432, 0.451, 0.237, 0.303),
        STAGE_3,
        STAGE_1,
        STAGE_2,
    ),
    "two": (
        PaperRow("Ingredients", 0.293, 0.316, 0.199, 0.407),
        PaperRow("Concat-ID", 0.492, 0.514, 0.190, 0.410),
    ),
}
VIDEOS = {"single": 873, "two": 280}

# Ablation of single-identity pre-training, each of two people; of three it prints no figures.
WITH_PRE_TRAINING: Mapping[str, float] = {
    "arcsim_1": 0.629,
    "cursim_1": 0.650,
    "arcsim_2": 0.651,
    "cursim_2": 0.674,
}
WITHOUT_PRE_TRAINING: Mapping[str, float] = {
    "arcsim_1": 0.514,
    "cursim_1": 0.535,
    "arcsim_2": 0.526,
    "cursim_2": 0.550,
}
