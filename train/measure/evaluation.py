"""How far the evaluation's own models can be trusted, on people and places that they have never seen.

    python -m train.measure.evaluation [--folder assets/embedded/evaluation]

CurSim's recogniser: as `train.measure.recognizer`, with true landmarks. The video-text model: how often the
right caption of a clip comes first of 64. The reader: how often it is right, on rendered clips, on the same
through the autoencoder and on others that are soft and noisy as generated ones are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor
from transformers import CLIPTokenizer

from concat_id.evaluation.reader import ClipReader
from concat_id.scoring.video_clip import VideoClip, fit
from train.measure.clip import CHOICES, first_share
from train.measure.recognizer import FALSE_ACCEPTS, embed_aligned, true_accepts
from train.perception.picture_cache import load_pictures
from train.scoring.clip_cache import TOPICS, Clips, load_clips, load_coded_clips, write_clip_captions
from train.scoring.clip_data import ClipData

TEST_CHUNKS = 1


def measure_recognizer(path: Path, cache: Path) -> str:
    """CurSim's recogniser in a line."""
    pictures = load_pictures(cache, "test", TEST_CHUNKS).of_one_person()
    figures = true_accepts(embed_aligned(path, pictures), pictures.identities[:, 0], pictures.scenes)
    accepted = f"{100 * figures['accepted']:.1f} % true accepts at {FALSE_ACCEPTS:g} false accepts"
    return (
        f"{accepted} (same {figures['same']:.3f}, others {figures['others']:.3f}), {len(pictures)} pictures"
    )


@torch.inference_mode()
def measure_video_text(folder: Path, clips: Clips, captions: list[str]) -> str:
    """The video-text model in a line."""
    model = VideoClip.from_pretrained(folder).float().eval()
    tokens = CLIPTokenizer.from_pretrained(folder)(
        captions, padding=True, truncation=True, return_tensors="pt"
    )
    texts = model.embed_texts(tokens["input_ids"], tokens["attention_mask"])
    size = model.config.vision_config.image_size
    videos = torch.cat([model.embed_videos(_fit_clips(part, size)) for part in clips.frames.split(16)])
    share, cosine = first_share(videos, texts), (videos * texts).sum(1).mean()
    first = f"right caption first of {CHOICES}: {100 * share:.1f} %"
    return f"{first} (cosine to the own caption {cosine:.3f}), {len(clips)} clips"


def measure_reader(path: Path, frames: Tensor, truth: Tensor) -> str:
    """The reader in a line.

    Args:
        frames: (N, T, 3, H, W) uint8.
    """
    reader = ClipReader(path)
    read = [reader.read(clip.permute(0, 2, 3, 1).contiguous().numpy()) for clip in frames]
    shares = []
    for (topic, names), numbers in zip(TOPICS.items(), truth.T.tolist(), strict=True):
        hits = [seen[topic] == names[number] for seen, number in zip(read, numbers, strict=True)]
        shares.append(f"{topic} {100 * sum(hits) / len(hits):.0f} %")
    return f"right: {', '.join(shares)}, {len(frames)} clips"


def _fit_clips(frames: Tensor, size: int) -> Tensor:
    """Clips (B, T, 3, H, W) uint8 at a model's size, in [0, 1]."""
    return fit(frames.flatten(0, 1).float() / 255, size).unflatten(0, frames.shape[:2])


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("assets/embedded/evaluation"))
    parser.add_argument("--clips", type=Path, default=Path(".train/clips"))
    parser.add_argument("--pictures", type=Path, default=Path(".train/perception"))
    parser.add_argument("--autoencoder", type=Path, default=Path("assets/embedded/vae"))
    options = parser.parse_args(arguments)
    clips = load_clips(options.clips, "test", TEST_CHUNKS)
    captions = write_clip_captions("test", TEST_CHUNKS)
    soft = (ClipData().degrade(clips.frames, torch.Generator().manual_seed(0)) * 255).round().byte()
    print("CurSim         ", measure_recognizer(options.folder / "cur.onnx", options.pictures))
    print("ViCLIP         ", measure_video_text(options.folder / "video_clip", clips, captions))
    print("reader         ", measure_reader(options.folder / "reader.onnx", clips.frames, clips.truth))
    coded = load_coded_clips(options.clips, "test", range(TEST_CHUNKS), options.autoencoder)
    print("reader, coded  ", measure_reader(options.folder / "reader.onnx", coded.frames, coded.truth))
    print("reader, soft   ", measure_reader(options.folder / "reader.onnx", soft, clips.truth))


if __name__ == "__main__":
    main()
