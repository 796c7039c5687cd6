"""Reading and writing videos: H.264 MP4 that every browser plays, with the settings in its metadata; and GIF.

Written by moviepy; read, with bounds of our own, through the FFmpeg that `imageio-ffmpeg` brings along.
Axes: T frames, H, W in px.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from concat_id.errors import UnreadableVideo, VideoTooLarge
from concat_id.files.atomic import replacing
from concat_id.limits import read_limits
from concat_id.output.sampled_frames import SampledFrames
from concat_id.output.video_colours import choose_filters

FFMPEG_S = 60
# Decoded frames are held in memory: the longest and largest video that can be made here is 1.4 GB.
MAX_DECODED_BYTES = 2 * 2**30
MAX_FRAMES = 20_000
# A container without a rate may have one of its clock's ticks instead.
MAX_CLAIMED_FPS = 240
MAX_GIF_SIDE_PX = 480

# An uploaded file may be a playlist that names other files: only plain containers are opened.
_SAFE_INPUT = ["-protocol_whitelist", "file", "-format_whitelist", "mov,matroska,webm,avi"]
# Camcorders and television store frames narrower or wider than they are shown.
_SQUARE_PIXELS = "scale=w='max(1,round(iw*sar))':h=ih,setsar=1"
_TIMES = ["-f", "framecrc", "-"]


@dataclass(frozen=True, eq=False)
class Video:
    """Decoded frames, (T, H, W, 3) uint8, and their rate in frames per second."""

    frames: np.ndarray | SampledFrames
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


def read_video(path: str | Path, *, choose: Callable[[int], Iterable[int]] | None = None) -> Video:
    """Decode a video as a player shows it, within bounds on bytes, frames and pixels.

    Args:
        choose: which frames are needed, given how many there are; then of a video too long for memory these
            alone are kept.
    """
    path = Path(path)
    check_video_file(path)
    with closing(_decode(path)) as stream:
        about = _next(stream, path)
        width, height = _check_frame(path, about["size"])
        fps = float(about["fps"])
        if not 0 < fps <= MAX_CLAIMED_FPS:  # of what browsers record, the file does not say it
            fps = _measure_rate(_list_times(path))
        limit = min(MAX_DECODED_BYTES // (width * height * 3), MAX_FRAMES)
        pixels = bytearray()
        for number, data in enumerate(iter(lambda: _next(stream, path), None), start=1):
            if number > limit:
                if choose is None:
                    raise VideoTooLarge(f"'{path.name}' has more than {limit} frames; cut it shorter.")
                return _read_chosen(path, choose, fps)
            pixels += data
    if not pixels:
        raise _empty(path)
    return Video(np.frombuffer(pixels, np.uint8).reshape(-1, height, width, 3), fps)


def _read_chosen(path: Path, choose: Callable[[int], Iterable[int]], fps: float) -> Video:
    """Decode twice: to count the frames, and to keep some of them."""
    total = len(_list_times(path, decoded=True))
    indices = sorted(set(choose(total)))
    wanted, kept = set(indices), []
    with closing(_decode(path)) as stream:
        width, height = _check_frame(path, _next(stream, path)["size"])
        limit = MAX_DECODED_BYTES // (width * height * 3)
        if len(indices) > limit:
            raise VideoTooLarge(
                f"{len(indices)} of the frames of '{path.name}' are needed, and {limit} of this size can be "
                "held; cut it shorter, or look at fewer frames."
            )
        for number in range(indices[-1] + 1 if indices else 0):
            data = _next(stream, path)
            if data is None:
                raise _unreadable(path)
            if number in wanted:
                kept.append(np.frombuffer(data, np.uint8).reshape(height, width, 3))
    if not kept:
        raise _empty(path)
    return Video(SampledFrames(np.stack(kept), indices, total), fps)


def _check_frame(path: Path, size: tuple[int, int]) -> tuple[int, int]:
    """Refuse frames of too many pixels. Returns width and height."""
    width, height = size
    most = read_limits().video_pixels
    if not 0 < width * height <= most:
        raise VideoTooLarge(f"'{path.name}' is {width} x {height}, more than {most} px; scale it down first.")
    return width, height


def _list_times(path: Path, *, decoded: bool = False) -> list[float]:
    """When each frame of a video is shown, in seconds; as the container says it, or as it is decoded."""
    coding = ["-fps_mode", "passthrough"] if decoded else ["-c", "copy"]
    try:
        # One line for each frame: stream, decoding time, time, duration, size, checksum.
        lines = _run([*_SAFE_INPUT, "-i", str(path.resolve()), "-an", "-sn", "-dn", *coding, *_TIMES])
    except OSError as error:
        raise _unreadable(path) from error
    text = lines.decode("ascii", "replace")
    unit = re.search(r"^#tb 0: (\d+)/(\d+)$", text, re.MULTILINE)
    times = [int(time) for time in re.findall(r"^0, *-?\d+, *(-?\d+),", text, re.MULTILINE)]
    seconds = int(unit.group(1)) / max(1, int(unit.group(2))) if unit else 0.0
    return [time * seconds for time in times]


def _measure_rate(times: Sequence[float]) -> float:
    """Frames per second on average, of frames at these times; 1 for a single frame."""
    length = max(times) - min(times) if times else 0.0
    return (len(times) - 1) / length if length > 0 else 1.0


def check_video_file(path: Path) -> None:
    """Refuse what is not a regular file of a bearable size."""
    if not path.is_file():
        raise UnreadableVideo(f"there is no video file at '{path}'; check the path.")
    most = read_limits().video_bytes
    if path.stat().st_size > most:
        raise VideoTooLarge(f"'{path.name}' has more than {most / 2**20:g} MB; cut it shorter.")


def _decode(path: Path) -> Iterator[Any]:
    """FFmpeg's description of a video, then its frames as RGB bytes."""
    with closing(_open(path, [_SQUARE_PIXELS])) as stream:
        about = next(stream)
        colours = choose_filters(about["pix_fmt"], about["source_size"])
        if not colours:
            yield about
            yield from stream
            return
    with closing(_open(path, [*colours, _SQUARE_PIXELS])) as stream:
        yield from stream


def _open(path: Path, filters: list[str]) -> Iterator[Any]:
    """A video's description and frames through FFmpeg's filters."""
    import imageio_ffmpeg

    return imageio_ffmpeg.read_frames(
        str(path.resolve()),
        input_params=_SAFE_INPUT,
        output_params=["-fps_mode", "passthrough", "-vf", ",".join(filters)],
    )


def _next(stream: Iterator[Any], path: Path) -> Any:
    """The next item of a stream that is being decoded, None at its end."""
    try:
        return next(stream, None)
    except (OSError, RuntimeError, IndexError, KeyError) as error:
        raise _unreadable(path) from error


def _empty(path: Path) -> UnreadableVideo:
    """The refusal of a video without frames."""
    return UnreadableVideo(f"'{path.name}' holds no frames; choose another video.")


def _unreadable(path: Path) -> UnreadableVideo:
    """The refusal of a damaged or foreign file."""
    return UnreadableVideo(f"'{path.name}' is not a readable video; give an MP4, MOV, WebM, MKV or AVI file.")


def read_metadata(path: str | Path) -> dict[str, Any]:
    """The settings that `write_video` kept in a file; empty for videos that are not ours."""
    path = Path(path)
    check_video_file(path)
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
