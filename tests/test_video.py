"""Videos are written whole or not at all, play in browsers, carry their settings, are read within bounds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from concat_id import video
from concat_id.errors import UnreadableVideo, VideoTooLarge
from concat_id.video import read_metadata, read_video, write_video


def moving_square(num_frames: int = 9, height: int = 64, width: int = 96) -> np.ndarray:
    """A red square that moves to the right over a blue ground, (T, H, W, 3) uint8."""
    frames = np.zeros((num_frames, height, width, 3), np.uint8)
    frames[..., 2] = 180
    for index, frame in enumerate(frames):
        frame[16:40, 4 * index : 4 * index + 24] = (220, 30, 30)
    return frames


def describe(path: Path) -> str:
    """What FFmpeg says of a file."""
    return subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)], capture_output=True, text=True
    ).stderr


def test_frames_and_rate_come_back(tmp_path: Path) -> None:
    path = write_video(moving_square(), 8, tmp_path / "deep" / "out.mp4")
    found = read_video(path)
    assert found.frames.shape == (9, 64, 96, 3) and found.frames.dtype == np.uint8
    assert found.fps == 8
    # The luma of every frame; 4:2:0 halves the colours' resolution at the square's edges.
    assert np.abs(found.frames.astype(int) - moving_square()).mean() < 3


def test_browsers_can_play_it(tmp_path: Path) -> None:
    path = write_video(moving_square(), 8, tmp_path / "out.mp4")
    assert "h264" in describe(path) and "yuv420p" in describe(path) and "bt709" in describe(path)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_settings_survive_in_the_metadata(tmp_path: Path) -> None:
    settings = {"prompt": 'a = "b"; # c\\d\nnew line, été 笑', "seed": 7, "empty": None}
    path = write_video(moving_square(), 8, tmp_path / "out.mp4", settings)
    assert read_metadata(path) == settings


def test_a_video_without_settings_has_none(tmp_path: Path) -> None:
    assert read_metadata(write_video(moving_square(), 8, tmp_path / "out.mp4")) == {}


def test_the_same_frames_give_the_same_file(tmp_path: Path) -> None:
    first, second = (write_video(moving_square(), 8, tmp_path / name) for name in ("a.mp4", "b.mp4"))
    assert first.read_bytes() == second.read_bytes()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(moving_square(), 8, tmp_path / "out.mp4")
    before = path.read_bytes()
    monkeypatch.setattr(video, "_bt709_options", lambda: ["-no-such-option"])
    with pytest.raises(OSError, match="no-such-option"):
        write_video(moving_square(5), 8, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]


def test_odd_sides_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be even, got 95 x 64"):
        write_video(moving_square(width=95), 8, tmp_path / "out.mp4")


@pytest.mark.parametrize("data", [b"", b"not a video", b"#EXTM3U\n#EXTINF:1,\nother.mp4\n"])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "upload.mp4"
    path.write_bytes(data)
    with pytest.raises(UnreadableVideo, match="is not a readable video"):
        read_video(path)


def test_a_truncated_video_is_refused(tmp_path: Path) -> None:
    path = write_video(moving_square(), 8, tmp_path / "out.mp4")
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(UnreadableVideo):
        read_video(path)


def test_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableVideo, match="no video file at"):
        read_video(tmp_path / "nothing.mp4")


@pytest.mark.parametrize("bound, value", [("MAX_SECONDS", 0.5), ("MAX_DECODED_BYTES", 64 * 96 * 9)])
def test_bounds_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: float) -> None:
    path = write_video(moving_square(), 8, tmp_path / "out.mp4")
    monkeypatch.setattr(video, bound, value)
    with pytest.raises(VideoTooLarge):
        read_video(path)


def test_a_large_picture_or_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(moving_square(), 8, tmp_path / "out.mp4")
    monkeypatch.setenv("CONCAT_ID_VIDEO_PIXELS", "6000")
    with pytest.raises(VideoTooLarge, match="is 96 x 64, more than 6000 px; scale it down"):
        read_video(path)
    monkeypatch.setenv("CONCAT_ID_VIDEO_BYTES", "1000")
    for read in (read_video, read_metadata):
        with pytest.raises(VideoTooLarge, match="more than 0.000953674 MB; cut it shorter"):
            read(path)
