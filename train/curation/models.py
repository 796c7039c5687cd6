"""The models that look at footage, by preset: the real ones by their names, or the embedded ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from concat_id.errors import InputError
from concat_id.loading.presets import EMBEDDED
from concat_id.loading.weights import Source, find, locate
from concat_id.references.faces import FaceFinder
from concat_id.references.parsing import Parser
from train.curation.aesthetics import AestheticScorer
from train.curation.bands import CROSS_VIDEO, CROSS_VIDEO_STRICT, TRADE_OFF, Band
from train.curation.decontamination import MAX_COSINE
from train.curation.filters import MIN_CONSECUTIVE_COSINE
from train.curation.garment_finders import GroundedSegmenter, ParserSegmenter, Segmenter
from train.curation.place_fillers import DiffusionFiller, Filler, SmoothFiller

BandName = Literal["cross_video", "cross_video_strict", "trade_off"]


class UnknownPreset(InputError):
    """There are no models of that name."""


@dataclass(frozen=True)
class Preset:
    """Models, and the numbers that hold for their recogniser.

    Attributes:
        face_pack: detector and recogniser.
        frame_size_px: the square into which frames are fitted to find faces.
        face_parser: a SegFormer.
        segmenter: a clothes parser's folder, or Grounding DINO and SAM 2.
        filler: an inpainting pipeline; None: OpenCV.
        aesthetics: LAION's predictor, used where it is on the machine; None: never.
        bands: of cosines, by kind of pairs.
        min_cosine: two faces in a row that are less alike are two people.
        leak_cosine: a benchmark's person who is more alike than that to anybody in training is dropped.
        licence: for the user to know.
    """

    face_pack: Source
    frame_size_px: int
    face_parser: Source
    segmenter: tuple[Source, ...]
    filler: Source | None
    aesthetics: Source | None
    bands: dict[BandName, Band]
    min_cosine: float
    leak_cosine: float
    licence: str

    def has_aesthetics(self) -> bool:
        """Whether the predictor is at hand."""
        return self.aesthetics is not None and find(self.aesthetics) is not None

    def names(self) -> dict[str, str]:
        """What each step's results depend on; see `work.tag_steps`."""

        def name(source: Source | None) -> str:
            return f"embedded:{source.name}" if isinstance(source, Path) else str(source)

        return {
            "faces": f"{name(self.face_pack)} {self.frame_size_px}",
            "bound": str(self.min_cosine),
            "face_parser": name(self.face_parser),
            "aesthetics": name(self.aesthetics) if self.has_aesthetics() else "",
            "garments": " ".join(map(name, self.segmenter)),
            "backgrounds": " ".join(map(name, (*self.segmenter, self.filler))),
        }


PRESETS: dict[str, Preset] = {
    "embedded": Preset(
        face_pack=EMBEDDED / "face_pack",
        frame_size_px=320,
        face_parser=EMBEDDED / "face_parser",
        segmenter=(EMBEDDED / "clothes_parser",),
        filler=None,
        aesthetics=None,
        # Carried over by rank (`bands`) from pairs of clips of one person: 16 drawn people of the test split,
        # four clips each. In footage of 60 people the ranks give lower bounds (`python -m
        # train.measure.curation`), but from .634 on one pair in 70 shows strangers, and from .74 on none.
        bands={
            "cross_video": Band(0.74, 0.85),
            "cross_video_strict": Band(0.826, 0.912),
            "trade_off": Band(0.85, 0.944),
        },
        # Of drawn faces in a row, one in a hundred is less alike than .77, and of strangers one in a thousand
        # more than .53.
        min_cosine=0.65,
        leak_cosine=0.65,
        licence="Apache-2.0",
    ),
    "real": Preset(
        face_pack="hub:yongzhong/Concat-ID-Wan/antelopev2",
        frame_size_px=640,
        face_parser="hub:jonathandinu/face-parsing",
        segmenter=("hub:IDEA-Research/grounding-dino-base", "hub:facebook/sam2.1-hiera-large"),
        filler="hub:diffusers/stable-diffusion-xl-1.0-inpainting-0.1",
        aesthetics="hub:shunk031/aesthetics-predictor-v1-vit-large-patch14",
        bands={
            "cross_video": CROSS_VIDEO,
            "cross_video_strict": CROSS_VIDEO_STRICT,
            "trade_off": TRADE_OFF,
        },
        min_cosine=MIN_CONSECUTIVE_COSINE,
        leak_cosine=MAX_COSINE,
        licence="antelopev2: research only; Grounding DINO and SAM 2: Apache-2.0; SDXL: Open RAIL++-M",
    ),
}


def find_preset(name: str) -> Preset:
    """A preset. Raises: UnknownPreset."""
    if name not in PRESETS:
        raise UnknownPreset(f"there is no preset '{name}' of models; choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]


class Models:
    """A preset's models, each loaded when it is first used.

    Args:
        preset: see `Preset`.
        device: where segmenter and filler run; faces are found on the processor.
    """

    def __init__(self, preset: Preset, *, device: str = "cpu") -> None:
        self.preset, self._device = preset, device

    @cached_property
    def finder(self) -> FaceFinder:
        """Detector and recogniser."""
        return FaceFinder(locate(self.preset.face_pack), frame_size_px=self.preset.frame_size_px)

    @cached_property
    def face_parser(self) -> Parser:
        """Tells a face from what surrounds it."""
        return Parser(locate(self.preset.face_parser))

    @cached_property
    def segmenter(self) -> Segmenter:
        """Finds garments and people."""
        paths = [locate(source) for source in self.preset.segmenter]
        if len(paths) == 1:
            return ParserSegmenter(paths[0])
        return GroundedSegmenter(*paths, device=self._device)

    @cached_property
    def aesthetics(self) -> AestheticScorer | None:
        """Says how well a frame is made; None where the weights are not at hand."""
        return AestheticScorer(locate(self.preset.aesthetics)) if self.preset.has_aesthetics() else None

    @cached_property
    def filler(self) -> Filler:
        """Fills in what people hide."""
        if self.preset.filler is None:
            return SmoothFiller()
        return DiffusionFiller(locate(self.preset.filler), device=self._device)
