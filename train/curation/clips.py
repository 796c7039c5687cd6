"""Step 1, from files to clips: probe, decode, find the shots, keep some frames of each.

A video is decoded once and in order; no more than one clip's sampled frames are held, however long it is.
Axes: J sampled frames of a clip, H, W in px.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image
from scenedetect import FrameTimecode
from scenedetect.detectors import ContentDetector
from scenedetect.detectors.content_detector import FlashFilter

from train.curation.caption_words import mentions_people
from train.curation.rules import ClipRules
from train.curation.sources import VIDEO_SUFFIXES, Source
from train.curation.verdicts import Dropped

MAX_PIXELS = 8192 * 4320
MAX_LENGTH_S = 24 * 3600
# Of the frames that the container promises; a file with fewer was cut off.
MIN_DECODED_SHARE = 0.9
# Longer side of the frames in which cuts are looked for.
SMALL_PX = 256
# Two cuts in a shorter time are a flash.
MIN_SHOT_S = 0.25
FLOW_PX = 96
FLOW_GAP_S = 0.12
# An untrusted file may be a playlist that names other files, or an address: plain containers only.
SAFE_INPUT = {"protocol_whitelist": "file", "format_whitelist": "mov,mp4,matroska,webm,avi"}


@dataclass(frozen=True)
class Film:
    """What the container says of a video, checked."""

    fps: float
    pixel_aspect: float  # width by height of a pixel: camcorders and television have narrow ones
    promised_frames: int  # 0: it does not say


@dataclass(eq=False)
class Clip:
    """A shot, or a piece of a long one, in seconds of its video.

    Attributes:
        frames: J pictures (H, W, 3) uint8, RGB, upright, in order of time.
        times: of the frames, in seconds of the video, J.
        flow: how far the picture moves in a second, as a share of its longer side, mean over the frames.
    """

    index: int
    start_s: float
    end_s: float = 0.0
    frames: list[np.ndarray] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    flows: list[float] = field(default_factory=list)

    @property
    def flow(self) -> float:
        return float(np.mean(self.flows)) if self.flows else 0.0


def check_source(source: Source, rules: ClipRules) -> None:
    """Drop what need not be opened.

    Raises:
        Dropped: there is no such file, it is empty, or its name or its caption is of something else.
    """
    path = Path(source.path)
    if not path.is_file():
        raise Dropped("missing", f"there is no file at '{source.name}'; correct the list.")
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        known = ", ".join(VIDEO_SUFFIXES)
        raise Dropped("other file", f"'{path.suffix}' is not the name of a video; known are {known}.")
    if not path.stat().st_size:
        raise Dropped("empty file", "the file has zero bytes; fetch it again.")
    if not source.caption and rules.require_caption:
        raise Dropped("no caption", "there is no caption, and clips.require_caption asks for one.")
    if source.caption and not mentions_people(source.caption):
        raise Dropped("caption without people", f"the caption names nobody: '{source.caption[:80]}'.")


def read_clips(path: str, rules: ClipRules) -> Iterator[Clip]:
    """The clips of a video, one after the other, also those that are too short.

    Raises:
        Dropped: it is no video, is too large, or breaks off; that may show after its first clips.
    """
    try:
        with av.open(path, container_options=SAFE_INPUT) as container:
            yield from _cut(container, probe(container), rules)
    except (av.FFmpegError, ValueError, OverflowError) as error:
        raise _unreadable(path, error) from error


def probe(container: av.container.InputContainer) -> Film:
    """What a container holds. Raises: Dropped: no pictures, or too many."""
    if not container.streams.video:
        raise Dropped("no pictures", "the file holds no video stream, only sound or data.")
    stream = container.streams.video[0]
    width, height = stream.codec_context.width, stream.codec_context.height
    if not 0 < width * height <= MAX_PIXELS:
        raise Dropped("too large", f"frames of {width} x {height} px are more than {MAX_PIXELS} px.")
    length = float(stream.duration * stream.time_base) if stream.duration else 0.0
    if length > MAX_LENGTH_S:
        raise Dropped("too large", f"the video lasts {length:.0f} s, more than {MAX_LENGTH_S} s.")
    fps = float(stream.average_rate or stream.guessed_rate or 0) or 25.0
    return Film(fps, float(stream.sample_aspect_ratio or 1), stream.frames)


def _cut(container: av.container.InputContainer, film: Film, rules: ClipRules) -> Iterator[Clip]:
    """Decode, and give each clip as soon as it ends."""
    stream = container.streams.video[0]
    stream.thread_type = "NONE"  # the workers share the processor
    detector = ContentDetector(
        threshold=rules.cut_threshold, min_scene_len=MIN_SHOT_S, filter_mode=FlashFilter.Mode.SUPPRESS
    )
    clip, number, time, first, due = Clip(0, 0.0), -1, 0.0, None, 0
    pending: tuple[float, np.ndarray] | None = None
    for number, frame in enumerate(_decode(container, stream)):
        stamp = frame.time if frame.time is not None else number / film.fps
        first = stamp if first is None else first
        time = max(time, stamp - first)
        small = _shrink(frame, SMALL_PX)
        timecode = FrameTimecode(number, Fraction(film.fps).limit_denominator(100_000))
        if detector.process_frame(timecode, small) or time - clip.start_s >= rules.max_clip_s:
            clip.end_s, pending = time, None
            yield clip
            clip = Clip(clip.index + 1, time)
        if pending is not None and time - pending[0] >= FLOW_GAP_S:
            clip.flows.append(measure_flow(pending[1], small) / (time - pending[0]))
            pending = None
        if time * rules.sample_fps >= due:
            due = int(time * rules.sample_fps) + 1
            clip.frames.append(upright(frame, film.pixel_aspect, rules.max_side_px))
            clip.times.append(time)
            pending = (time, small)
    if number + 1 < MIN_DECODED_SHARE * film.promised_frames:
        raise Dropped(
            "damaged", f"only {number + 1} of {film.promised_frames} frames can be decoded; fetch it again."
        )
    if number < 0:
        raise Dropped("no pictures", "not one frame can be decoded; fetch the file again.")
    clip.end_s = time + 1 / film.fps
    yield clip


def _decode(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Frames in order. Raises: Dropped: it breaks off after some of them."""
    number = 0
    try:
        for frame in container.decode(stream):
            yield frame
            number += 1
    except av.FFmpegError as error:
        if not number:
            raise
        raise Dropped("damaged", f"the file breaks off after {number} frames; fetch it again.") from error


def _shrink(frame: av.VideoFrame, side_px: int) -> np.ndarray:
    """BGR, its longer side at most so long, as it lies."""
    scale = min(1.0, side_px / max(frame.width, frame.height))
    width, height = (max(8, round(side * scale)) for side in (frame.width, frame.height))
    return frame.reformat(width, height, "bgr24", interpolation="AREA").to_ndarray()


def upright(frame: av.VideoFrame, pixel_aspect: float, side_px: int) -> np.ndarray:
    """RGB as it is shown: with square pixels, turned as the container says, at most so large."""
    pixels = frame.to_ndarray(format="rgb24")
    width = round(frame.width * pixel_aspect)
    scale = min(1.0, side_px / max(width, frame.height))
    size = (max(1, round(width * scale)), max(1, round(frame.height * scale)))
    if size != (frame.width, frame.height):
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    # FFmpeg's rotation counts anticlockwise, and so does NumPy.
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90) % 4))


def measure_flow(earlier: np.ndarray, later: np.ndarray) -> float:
    """Mean length of the optical flow (Farnebäck) between two small frames, as a share of the longer side."""
    scale = FLOW_PX / max(earlier.shape[:2])
    grey = [
        cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), None, fx=scale, fy=scale)
        for picture in (earlier, later)
    ]
    flow = cv2.calcOpticalFlowFarneback(*grey, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    return float(np.linalg.norm(flow, axis=2).mean() / FLOW_PX)


def _unreadable(path: str, error: Exception) -> Dropped:
    """The verdict on a file that FFmpeg refuses."""
    try:
        with Image.open(path) as picture:
            kind = picture.format
    except (OSError, ValueError, Image.DecompressionBombError):
        why = getattr(error, "strerror", None) or str(error)
        return Dropped("unreadable", f"FFmpeg cannot read it ({why}); fetch it again or convert it to MP4.")
    return Dropped("still picture", f"the file is a {kind} picture, whatever its name says.")
