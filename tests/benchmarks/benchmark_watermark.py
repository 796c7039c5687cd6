"""What the watermark costs and outlives: `python -m tests.benchmarks.benchmark_watermark`."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import torch
from PIL import Image

from concat_id.loading.load import load_face_tools
from concat_id.output.video import read_video, write_video
from concat_id.output.watermark import THRESHOLD, detect, mark
from concat_id.people import render, sample_scenes
from concat_id.scoring import Target

NUM_FRAMES = 17
CODECS = ("libx264 -crf 23", "libx264 -crf 28", "libx265 -crf 28", "mpeg4 -q:v 5")
FALSE_KEYS = 2000


def render_clips(clips: int, size: int) -> list[np.ndarray]:
    """Clips of held-out people, (T, H, W, 3) uint8 each."""
    scenes = sample_scenes(0, clips, split="test", num_people=1, num_frames=NUM_FRAMES)
    frames = render(scenes, size, size).frames  # (B, T, 3, H, W) in [0, 1]
    return list((frames * 255).round().byte().permute(0, 1, 3, 4, 2).numpy())


def encode_again(source: Path, codec: str) -> np.ndarray:
    """A file's frames after another encoding."""
    target = source.with_name("again.mp4")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", "-i", str(source), "-c:v"]
    subprocess.run([*command, *codec.split(), "-pix_fmt", "yuv420p", str(target)], check=True, input=b"")
    return read_video(target).frames


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB."""
    return float(10 * np.log10(255**2 / np.square(first.astype(np.float32) - second).mean()))


def likeness(frames: np.ndarray, portrait: np.ndarray) -> float:
    """ArcSim of a clip with the person of a picture; drawn people's faces are always found."""
    scorer = load_face_tools("embedded").scorer
    return Target(scorer, (scorer.describe(Image.fromarray(portrait)),)).score(frames).arcsim


def report(found: dict[str, list[float]]) -> None:
    """One line for each way that the clips went."""
    print(f"{'after':<18}{'found':>8}{'least z':>9}{'mean z':>8}")
    for name, values in found.items():
        count = sum(z > THRESHOLD for z in values)
        print(f"{name:<18}{f'{count}/{len(values)}':>8}{min(values):>9.1f}{np.mean(values):>8.1f}")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    found: dict[str, list[float]] = {}
    ratios, likenesses, false = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for frames in render_clips(args.clips, args.size):
            marked = mark(frames)
            ratios.append(psnr(marked, frames))
            plain, written = (
                read_video(write_video(some, 8, Path(folder) / f"{name}.mp4")).frames
                for name, some in (("plain", frames), ("marked", marked))
            )
            likenesses.append([likeness(some, frames[0]) for some in (frames, plain, marked, written)])
            found.setdefault("no mark", []).append(detect(plain).z)
            found.setdefault("writing (CRF 16)", []).append(detect(written).z)
            found.setdefault("its first frame", []).append(detect(written[:1]).z)
            for codec in CODECS:
                again = encode_again(Path(folder) / "marked.mp4", codec)
                found.setdefault(codec, []).append(detect(again).z)
            keys = range(FALSE_KEYS // args.clips)
            false += [detect(plain[:3], b"%d" % index).z for index in keys]
    print(f"{args.clips} clips of {NUM_FRAMES} frames, {args.size} px")
    print(f"PSNR: {min(ratios):.1f} dB at least, {np.mean(ratios):.1f} on average")
    drawn, *others = np.array(likenesses).T
    for name, values in zip(("encoding", "the mark", "the mark, then encoding"), others, strict=True):
        change = values - drawn
        print(f"ArcSim by {name}: {change.mean():+.4f} on average, {np.abs(change).max():.4f} at most")
    report(found)
    print(
        f"unmarked, {len(false)} other keys: {sum(z > THRESHOLD for z in false)} found, "
        f"greatest z {max(false):.1f}, standard deviation {np.std(false):.2f}"
    )


if __name__ == "__main__":
    main()
