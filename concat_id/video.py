"""Reading and writing videos: H.264 MP4 that every browser plays, with the settings in its metadata; and GIF.

Written by moviepy; read, with bounds of our own, through the FFmpeg that `imageio-ffmpeg` brings along.
Axes: T frames, H, W in px.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from concat_id.atomic import replacing
from concat_id.errors import UnreadableVideo, VideoTooLarge
from concat_id.limits import read_limits

MAX_SECONDS = 60.0
FFMPEG_S = 30
# Decoded frames are held in memory: 81 frames of 1080p are 0.5 GB.
MAX_DECODED_BYTES = 1 * 2**30
MAX_GIF_SIDE_PX = 480

# An uploaded file may be a playlist that names other files: only plain containers are opened.
_SAFE_INPUT = ["-protocol_whitelist", "file", "-format_whitelist", "mov,matroska,webm,avi"]


@dataclass(frozen=True, eq=False)
class Video:
    """Decoded frames, (T, H, W, 3) uint8, and their rate in frames per second."""

    frames: np.ndarray
    fps: float


def write_video(frames: np.ndarray, fps: float, path: Path, metadata: dict[str, Any] | None = None) -> Path:
    """Write an MP4 in one step: the path either holds the whole video or is left as it was.

    Args:
        frames: (T, H, W, 3) uint8; H and W even.
        fps: frames per second.
        path: where to write; the folder is made if it is missing.
        metadata: what to keep in the container's comment, as JSON.

    Returns:
        The path.
    """
    from moviepy import ImageSequenceClip

    num_frames, height, width, channels = frames.shape
    assert frames.dtype == np.uint8 and channels == 3 and num_frames > 0
    if height % 2 or width % 2:
        raise ValueError(f"a video's sides must be even, got {width} x {height}.")
    with replacing(path) as unfinished:
        ImageSequenceClip(list(frames), fps=fps).write_videofile(
            str(unfinished),
            codec="libx264",
            audio=False,
            ffmpeg_params=_encoder_options(metadata or {}),
            logger=None,
        )
    return path


def _encoder_options(metadata: dict[str, Any]) -> list[str]:
    """FFmpeg's arguments besides codec, size and rate, which are moviepy's."""
    # CRF 16 is visually lossless: the scores of the file are those of the frames.
    h264 = ["-crf", "16", *_bt709_options()]
    # The index first, so that playing starts before the download ends; no encoder's name or date.
    container = ["-movflags", "+faststart", "-fflags", "+bitexact", "-f", "mp4"]
    return [*h264, *container, "-metadata", f"comment={json.dumps(metadata, ensure_ascii=False)}"]


def _bt709_options() -> list[str]:
    """Convert to and label the colours that browsers assume for H.264, so that they come back the same."""
    label = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
    return ["-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p", *label]


def write_gif(frames: np.ndarray, fps: float, path: Path) -> Path:
    """Write a looping GIF in one step, scaled down to bearable sides.

    Args:
        frames: (T, H, W, 3) uint8.
        fps: frames per second; GIF counts in hundredths of a second, the total stays right.
        path: where to write; the folder must exist.
    """
    pictures = [Image.fromarray(frame) for frame in frames]
    for picture in pictures:
        picture.thumbnail((MAX_GIF_SIDE_PX, MAX_GIF_SIDE_PX))
    ends = [round(100 * (index + 1) / fps) for index in range(len(frames))]
    durations = [10 * (end - start) for start, end in zip([0, *ends], ends, strict=False)]
    with replacing(path) as unfinished:
        pictures[0].save(
            unfinished, "GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0
        )
    return path


def read_video(path: str | Path) -> Video:
    """Decode a whole video, within bounds on bytes, seconds and pixels."""
    path = Path(path)
    _check_file(path)
    with closing(_decode(path)) as stream:
        about = _next(stream, path)
        width, height = about["size"]
        fps = float(about["fps"])
        most = read_limits().video_pixels
        if not 0 < width * height <= most:
            raise VideoTooLarge(
                f"'{path.name}' is {width} x {height}, more than {most} px; scale it down first."
            )
        # A container may claim any duration: what is decoded is what counts.
        limit = min(MAX_DECODED_BYTES // (width * height * 3), int(MAX_SECONDS * fps))
        frames = []
        for data in iter(lambda: _next(stream, path), None):
            if len(frames) == limit:
                raise VideoTooLarge(f"'{path.name}' has more than {limit} frames; cut it shorter.")
            frames.append(np.frombuffer(data, np.uint8).reshape(height, width, 3))
    if not frames:
        raise UnreadableVideo(f"'{path.name}' holds no frames; choose another video.")
    return Video(np.stack(frames), fps)


def _check_file(path: Path) -> None:
    """Refuse what is not a regular file of a bearable size."""
    if not path.is_file():
        raise UnreadableVideo(f"there is no video file at '{path}'; check the path.")
    most = read_limits().video_bytes
    if path.stat().st_size > most:
        raise VideoTooLarge(f"'{path.name}' has more than {most / 2**20:g} MB; cut it shorter.")


def _decode(path: Path) -> Iterator[Any]:
    """FFmpeg's description of a video, then its frames as RGB bytes."""
    import imageio_ffmpeg

    return imageio_ffmpeg.read_frames(
        str(path.resolve()), input_params=_SAFE_INPUT, output_params=["-fps_mode", "passthrough"]
    )


def _next(stream: Iterator[Any], path: Path) -> Any:
    """The next item of a stream that is being decoded, None at its end."""
    try:
        return next(stream, None)
    except (OSError, RuntimeError, IndexError, KeyError) as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> UnreadableVideo:
    """The refusal of a damaged or foreign file."""
    return UnreadableVideo(f"'{path.name}' is not a readable video; give an MP4, MOV, WebM, MKV or AVI file.")


def read_metadata(path: str | Path) -> dict[str, Any]:
    """The settings that `write_video` kept in a file; empty for videos that are not ours."""
    path = Path(path)
    _check_file(path)
    try:
        text = _run([*_SAFE_INPUT, "-i", str(path.resolve()), "-f", "ffmetadata", "-"]).decode(
            "utf-8", "replace"
        )
    except OSError as error:
        raise _unreadable(path) from error
    comment = re.search(r"^comment=((?:[^\\\n]|\\.)*)$", text, re.MULTILINE | re.DOTALL)
    if comment is None:
        return {}
    try:
        # FFmpeg's metadata format escapes '=', ';', '#', '\' and line breaks by a backslash.
        found = json.loads(re.sub(r"\\(.)", r"\1", comment.group(1), flags=re.DOTALL))
    except (ValueError, RecursionError):  # no JSON, or numbers and depths that nobody wrote in earnest
        return {}
    return found if isinstance(found, dict) else {}


def _run(arguments: list[str]) -> bytes:
    """Run FFmpeg to its end. Returns its standard output."""
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", *arguments]
    # Standard input is never the terminal: FFmpeg would take keys from it.
    try:
        run = subprocess.run(command, input=b"", capture_output=True, check=False, timeout=FFMPEG_S)
    except subprocess.TimeoutExpired as error:
        raise OSError(f"FFmpeg took longer than {FFMPEG_S} s.") from error
    if run.returncode:
        raise OSError(f"FFmpeg failed: {run.stderr.decode('utf-8', 'replace').strip()[-300:]}")
    return run.stdout
