"""Examples of a curated dataset as a model takes them: clips cut to length and size, references on black."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image, ImageOps
from torch import Tensor

from concat_id.errors import InputError
from train.curation.clips import SAFE_INPUT, upright
from train.curation.mining import PAIR_KINDS, PairKind

# Frames are not shrunk before they are fitted.
WHOLE_PX = 2**14
# Times of frames are fractions of a clock's ticks.
TOLERANCE_S = 1e-3


class NothingToTrainOn(InputError):
    """A dataset has no pairs of the kind that is asked for, or none whose clips are long enough."""


class InvalidFormat(InputError):
    """A training clip cannot have this length or size."""


@dataclass(frozen=True)
class Format:
    """What a model takes.

    Attributes:
        num_frames: of a training clip, 4k + 1.
        fps: at which they are taken from the footage.
        height, width: px, multiples of 8.

    Raises:
        InvalidFormat: a value that no model takes.
    """

    num_frames: int = 17
    fps: float = 8.0
    height: int = 256
    width: int = 256

    def __post_init__(self) -> None:
        if self.num_frames < 1 or self.num_frames % 4 != 1:
            raise InvalidFormat(f"shape.num_frames is {self.num_frames}, but must be 4k + 1.")
        if self.fps <= 0:
            raise InvalidFormat(f"shape.fps is {self.fps}, but must be more than 0.")
        for name, side in (("height", self.height), ("width", self.width)):
            if side < 8 or side % 8:
                raise InvalidFormat(f"shape.{name} is {side}, but must be a multiple of 8.")

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return (self.num_frames - 1) / self.fps


@dataclass(frozen=True)
class Span:
    """A curated clip, and where it lies: from one second of a video to another."""

    clip: str
    path: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Example:
    """A clip, and whose pictures may serve: by person from the left, empty where there are none."""

    span: Span
    caption: str
    references: tuple[tuple[tuple[str, str | None], ...], ...]  # picture and mask, below the dataset's folder


def read_examples(dataset: Path, pairs: PairKind, shape: Format) -> list[Example]:
    """Every clip with pairs of a kind that is long enough, in the order of their names.

    Raises:
        NothingToTrainOn: there is none.
    """
    tables = dataset / "tables"
    if pairs not in PAIR_KINDS:
        raise NothingToTrainOn(f"there are no pairs called '{pairs}'; choose from {', '.join(PAIR_KINDS)}.")
    if not (tables / f"pairs_{pairs}.parquet").is_file():
        raise NothingToTrainOn(
            f"'{dataset}' is no finished dataset; make it with `python -m train.curation`."
        )
    paths = pq.read_table(tables / "videos.parquet", columns=["video", "path"]).to_pydict()
    path_of = dict(zip(paths["video"], paths["path"], strict=True))
    pictures = {
        row["reference"]: (row["picture"], row["mask"] if row["masked"] else None)
        for row in pq.read_table(
            tables / "references.parquet", columns=["reference", "picture", "mask", "masked"]
        ).to_pylist()
    }
    served: dict[str, dict[int, list[tuple[str, str | None]]]] = defaultdict(lambda: defaultdict(list))
    for row in pq.read_table(tables / f"pairs_{pairs}.parquet").to_pylist():
        served[row["clip"]][row["position"]].append(pictures[row["reference"]])
    columns = ["clip", "video", "start_s", "end_s", "caption", "num_people"]
    examples = [
        Example(
            Span(clip["clip"], path_of[clip["video"]], clip["start_s"], clip["end_s"]),
            clip["caption"],
            tuple(tuple(served[clip["clip"]][place]) for place in range(clip["num_people"])),
        )
        for clip in pq.read_table(tables / "clips.parquet", columns=columns).to_pylist()
        if clip["clip"] in served and clip["end_s"] - clip["start_s"] >= shape.seconds
    ]
    if not examples:
        raise NothingToTrainOn(
            f"'{dataset}' has no clips of {shape.seconds:g} s or more with {pairs} pairs; add footage, or "
            "train on fewer frames."
        )
    return examples


def decode_clip(span: Span, shape: Format, offset: float) -> Tensor:
    """Frames of a clip as the model takes them, (3, T, H, W) in [-1, 1].

    Args:
        offset: where in the clip to begin, from 0, its start, to 1, as late as it can.
    """
    slack = max(0.0, span.end_s - span.start_s - shape.seconds)
    begin = span.start_s + offset * slack
    times = begin + np.arange(shape.num_frames) / shape.fps + TOLERANCE_S
    frames: list[np.ndarray] = []
    with av.open(span.path, container_options=SAFE_INPUT) as container:
        stream = container.streams.video[0]
        first = float((stream.start_time or 0) * stream.time_base)
        container.seek(int((begin + first) / stream.time_base), stream=stream)
        picture = None
        for frame in container.decode(stream):
            # The frame that is shown at a time is the last one at or before it.
            while (
                picture is not None and len(frames) < len(times) and frame.time - first > times[len(frames)]
            ):
                frames.append(picture)
            if len(frames) == len(times):
                break
            picture = _fit(upright(frame, float(stream.sample_aspect_ratio or 1), WHOLE_PX), shape)
    frames += [picture] * (len(times) - len(frames))
    return torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2).float() / 127.5 - 1


def _fit(picture: np.ndarray, shape: Format) -> np.ndarray:
    """A frame scaled to cover the format and cut at its middle, (H, W, 3) uint8."""
    height, width = picture.shape[:2]
    scale = max(shape.height / height, shape.width / width)
    size = (max(shape.width, round(width * scale)), max(shape.height, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    picture = cv2.resize(picture, size, interpolation=how)
    top, left = (picture.shape[0] - shape.height) // 2, (picture.shape[1] - shape.width) // 2
    return picture[top : top + shape.height, left : left + shape.width]


def load_reference(dataset: Path, picture: str, mask: str | None, shape: Format) -> Tensor:
    """A stored reference as a user's is prepared: masked, fitted, on black; (3, H, W) in [-1, 1]."""
    with Image.open(dataset / picture) as file:
        crop = file.convert("RGB")
    if mask is not None:
        with Image.open(dataset / mask) as file:
            crop = Image.composite(crop, Image.new("RGB", crop.size), file.convert("1"))
    fitted = ImageOps.pad(crop, (shape.width, shape.height), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(fitted)).permute(2, 0, 1).float() / 127.5 - 1
