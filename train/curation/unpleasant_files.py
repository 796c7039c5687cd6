"""Files that footage from the world holds and that no pipeline may stumble over, each made on purpose.

`UNPLEASANT` names the kinds; each has what makes it and the reason for which curation must drop the file,
None where it must keep it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image

from concat_id.output.video import write_video
from concat_id.people import SEED_RANGES, Scenes, sample_scenes, write_captions

SIZE = (256, 256)
FPS = 24
ROTATED_DEGREES = 90
AUDIO_HZ = 16_000
# Nobody of the ordinary films has a seed from here on.
STRANGERS = 50_000

People = tuple[int, ...]
Draw = Callable[[Scenes, int, int], np.ndarray]


@dataclass(frozen=True)
class Studio:
    """Where unpleasant files are made.

    Attributes:
        folder: of the footage.
        seed, seconds, drawn_fps: as in the plan of the footage.
        draw: renders a scene at a height and width, (T, H, W, 3) uint8.
    """

    folder: Path
    seed: int
    seconds: float
    drawn_fps: int
    draw: Draw

    def scenes(self, number: int, num_people: int = 1, person: int | None = None) -> Scenes:
        """A scene that no other file shows; `person` is who is there, for one person only."""
        first = SEED_RANGES["test"][0] + STRANGERS
        who = None if person is None else torch.tensor([[first + person]])
        return sample_scenes(
            (self.seed + 1) * 7919 + number,
            1,
            split="test",
            num_people=num_people,
            num_frames=round(self.seconds * self.drawn_fps),
            identity_seeds=who,
        )

    def film(self, scenes: Scenes, size: tuple[int, int] = SIZE) -> np.ndarray:
        """A scene at the file's rate, (T, H, W, 3) uint8."""
        return np.repeat(self.draw(scenes, *size), FPS // self.drawn_fps, axis=0)

    def write(self, path: Path, frames: np.ndarray, caption: str = "A person looks around.") -> None:
        """A film with its caption beside it."""
        write_video(frames, FPS, path)
        path.with_suffix(".txt").write_text(caption + "\n")


def _make_empty(studio: Studio, path: Path, number: int) -> People:
    path.touch()
    return ()


def _make_noise(studio: Studio, path: Path, number: int) -> People:
    path.write_bytes(np.random.default_rng(number).bytes(20_000))
    return ()


def _cut_off(studio: Studio, path: Path, number: int) -> People:
    """Half of a download: the index is there, most of the frames are not."""
    studio.write(path, studio.film(studio.scenes(number)))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return ()


def _cut_index(studio: Studio, path: Path, number: int) -> People:
    """A recording that was broken off before the index was written."""
    studio.write(path, studio.film(studio.scenes(number)))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"moov", b"lost", 1))
    return ()


def _make_audio(studio: Studio, path: Path, number: int) -> People:
    tone = np.sin(np.arange(AUDIO_HZ) * 0.1).astype(np.float32)[None]
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=AUDIO_HZ)
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.sample_rate = AUDIO_HZ
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return ()


def _make_picture(studio: Studio, path: Path, number: int) -> People:
    buffer = BytesIO()
    Image.new("RGB", SIZE, (90, 120, 40)).save(buffer, "PNG")
    path.write_bytes(buffer.getvalue())
    return ()


def _show_nobody(studio: Studio, path: Path, number: int) -> People:
    studio.write(path, studio.film(studio.scenes(number).without_people()))
    return ()


def _show_crowd(studio: Studio, path: Path, number: int) -> People:
    """Two and three people side by side."""
    halves = [studio.film(studio.scenes(10 * number + count, count), (256, 320)) for count in (2, 3)]
    studio.write(path, np.concatenate(halves, 2), "Five people talk.")
    return ()


def _change_face(studio: Studio, path: Path, number: int) -> People:
    """Halfway another person stands in the same place, without a cut that could be seen."""
    one, two = (studio.film(studio.scenes(number, 1, 2 * number + k)) for k in range(2))
    half = len(one) // 2
    studio.write(path, np.concatenate([one[:half], two[half:]]))
    return ()


def _come_and_go(studio: Studio, path: Path, number: int) -> People:
    """Somebody fades away and comes back, twice; nothing changes so fast that it would be a cut."""
    scenes = studio.scenes(number)
    somebody, nobody = studio.film(scenes), studio.film(scenes.without_people())
    turns = np.arange(len(somebody)) / len(somebody) * 2
    there = (0.5 + np.cos(2 * np.pi * turns)).clip(0, 1)[:, None, None, None]
    studio.write(path, (there * somebody + (1 - there) * nobody).astype(np.uint8))
    return ()


def _tell_of_a_car(studio: Studio, path: Path, number: int) -> People:
    studio.write(path, studio.film(studio.scenes(number)), "A red car on a wet road at night.")
    return ()


def _stop_at_once(studio: Studio, path: Path, number: int) -> People:
    studio.write(path, studio.film(studio.scenes(number))[: FPS // 3])
    return ()


def _hold_upright(studio: Studio, path: Path, number: int) -> People:
    """As telephones record: the frames lie on their side, and the container says so."""
    scenes = studio.scenes(number, 1, STRANGERS + number)
    frames = np.rot90(studio.film(scenes, (320, 240)), ROTATED_DEGREES // 90, (1, 2))
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.set_display_rotation(-ROTATED_DEGREES)
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24")))
        container.mux(stream.encode(None))
    path.with_suffix(".txt").write_text(write_captions(scenes, number)[0] + "\n")
    return (STRANGERS * 2 + number,)


Make = Callable[[Studio, Path, int], People]
UNPLEASANT: dict[str, tuple[Make, str | None]] = {
    "zero bytes": (_make_empty, "empty file"),
    "noise": (_make_noise, "unreadable"),
    "cut off": (_cut_off, "damaged"),
    "no index": (_cut_index, "unreadable"),
    "audio only": (_make_audio, "no pictures"),
    "picture": (_make_picture, "still picture"),
    "nobody": (_show_nobody, "nobody"),
    "crowd": (_show_crowd, "crowd"),
    "face changes": (_change_face, "face changes"),
    "come and go": (_come_and_go, "people come and go"),
    "car": (_tell_of_a_car, "caption without people"),
    "too short": (_stop_at_once, "too short"),
    "held upright": (_hold_upright, None),
}
