"""Videos are written whole or not at all, play in browsers, carry their settings, are read within bounds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from concat_id.errors import UnreadableVideo, VideoTooLarge
from concat_id.output import video
from concat_id.output.video import read_metadata, read_video, write_video


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


@pytest.mark.parametrize("bound, value", [("MAX_FRAMES", 4), ("MAX_DECODED_BYTES", 64 * 96 * 9)])
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


def write(frames: np.ndarray, path: Path, *options: str) -> Path:
    """Encode frames at 8 per second with options of FFmpeg's."""
    height, width = frames.shape[1:3]
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "8", "-i", "-"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", *source, *options, str(path)]
    subprocess.run(command, input=frames.tobytes(), capture_output=True, check=True)
    return path


def difference(frames: np.ndarray, others: np.ndarray) -> float:
    """Mean difference of two videos of one size, of 255."""
    assert frames.shape == others.shape
    return float(np.abs(frames.astype(int) - others).mean())


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.mov"])
@pytest.mark.parametrize("width, aspect", [(48, "2/1"), (192, "1/2"), (54, "16/9")])
def test_pixels_that_are_not_square_are_read_as_shown(
    tmp_path: Path, name: str, width: int, aspect: str
) -> None:
    squeeze = f"scale={width}:64:flags=lanczos,setsar={aspect}"
    path = write(moving_square(), tmp_path / name, "-vf", squeeze, "-crf", "5", "-pix_fmt", "yuv444p")
    assert difference(read_video(path).frames, moving_square()) < 8


@pytest.mark.parametrize("degrees, turns", [(90, 1), (180, 2), (270, 3)])
def test_a_rotation_in_the_container_is_followed(tmp_path: Path, degrees: int, turns: int) -> None:
    upright = write(moving_square(), tmp_path / "upright.mp4", "-crf", "5", "-pix_fmt", "yuv444p")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-display_rotation", str(degrees), "-i", str(upright)]
    subprocess.run([*command, "-c", "copy", str(tmp_path / "out.mp4")], capture_output=True, check=True)
    found = read_video(tmp_path / "out.mp4").frames
    assert difference(found, np.rot90(moving_square(), turns, axes=(1, 2))) < 8


@pytest.mark.parametrize("colour_range, pixels", [("pc", "yuvj444p"), ("tv", "yuv444p")])
def test_both_ranges_of_luma_are_read_as_shown(tmp_path: Path, colour_range: str, pixels: str) -> None:
    options = ["-vf", f"scale=out_range={colour_range}", "-color_range", colour_range, "-pix_fmt", pixels]
    path = write(moving_square(), tmp_path / "out.mp4", *options, "-crf", "5")
    assert difference(read_video(path).frames, moving_square()) < 8


def large_patches() -> np.ndarray:
    """One frame in high definition, of four colours, (1, 720, 1280, 3)."""
    colours = np.array([(200, 40, 40), (40, 180, 60), (40, 60, 200), (220, 180, 150)], np.uint8)
    return np.broadcast_to(np.repeat(colours, 320, axis=0), (1, 720, 1280, 3)).copy()


@pytest.mark.parametrize("matrix, tag", [("bt709", 2), ("bt709", 1), ("bt601", 6)])
def test_colours_are_those_that_a_player_takes_them_for(tmp_path: Path, matrix: str, tag: int) -> None:
    """Untagged (2) film in high definition is BT.709's, and tagged film what its tag says."""
    names = ("matrix_coefficients", "colour_primaries", "transfer_characteristics")
    label = "h264_metadata=" + ":".join(f"{name}={tag}" for name in names)
    options = ["-vf", f"scale=out_color_matrix={matrix}:out_range=tv,format=yuv420p", "-crf", "8"]
    path = write(large_patches(), tmp_path / "out.avi", *options, "-c:v", "libx264", "-bsf:v", label)
    assert difference(read_video(path).frames, large_patches()) < 4


@pytest.mark.parametrize("curve", ["smpte2084", "arib-std-b67"])
def test_film_for_brighter_screens_is_brought_to_this_one(
    tmp_path: Path, curve: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_bright = f"zscale=tin=bt709:pin=bt709:t={curve}:p=bt2020:m=bt2020nc:r=tv:npl=203,format=yuv420p10le"
    tags = f"colorprim=bt2020:transfer={curve}:colormatrix=bt2020nc:log-level=none"
    label = ["-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", curve]
    shown = large_patches()[:, ::4, ::4]
    options = ["-vf", to_bright, "-c:v", "libx265", "-x265-params", tags, *label]
    path = write(shown, tmp_path / "out.mp4", *options)
    frames = read_video(path).frames
    monkeypatch.setattr("concat_id.output.video.choose_filters", lambda pixel_format, size: [])
    # No two players compress the bright alike; hues and what is dark stay.
    assert difference(frames, shown) < 24 < difference(read_video(path).frames, shown)
    hues = [np.argmax(frames[0, 90, 40 + 80 * index]) for index in range(4)]
    assert hues == [0, 1, 2, 0]


def test_a_recording_without_a_rate_is_read() -> None:
    found = read_video(Path(__file__).parents[1] / "cases" / "no-frame-rate.webm")
    assert len(found.frames) > 5 and 2 < found.fps < 60


def test_of_a_video_too_long_for_memory_what_is_needed_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(moving_square(20), 8, tmp_path / "out.mp4")
    whole = read_video(path).frames
    monkeypatch.setattr(video, "MAX_DECODED_BYTES", 64 * 96 * 3 * 5)
    with pytest.raises(VideoTooLarge, match="more than 5 frames"):
        read_video(path)
    found = read_video(path, choose=lambda total: [0, total // 2, total - 1, 0]).frames
    assert len(found) == 20
    assert np.array_equal(found[[0, 10, 19]], whole[[0, 10, 19]]) and np.array_equal(found[10], whole[10])
    with pytest.raises(VideoTooLarge, match="6 of the frames"):
        read_video(path, choose=lambda total: range(6))


def test_what_can_be_made_here_can_be_read_back(tmp_path: Path) -> None:
    path = write_video(moving_square(161), 1, tmp_path / "out.mp4")
    assert read_video(path).frames.shape[0] == 161
