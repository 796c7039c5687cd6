"""Whether generated videos show the person of the reference: people the model has never seen.

    python -m train.measure.generation [--videos 50] [--sheet sheet.png]

Each reference picture is prepared as the app prepares a visitor's, and each video is made at the preset's
settings from a caption of the test split. The recogniser then compares the faces found in the video with the
50 reference pictures. Prints how often the right one is nearest, with a bootstrap 95 % interval, and in how
many frames a face was found.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from concat_id.generation import decode_frames
from concat_id.loading import FaceTools, load_face_tools, load_pipeline
from concat_id.people import render, sample_scenes, write_captions
from concat_id.presets import DEFAULT_PRESET, PRESETS
from concat_id.references import prepare_face
from train.gallery import contact_sheet

PEOPLE = 50
PICTURE_PX = 256
SEED = 7


@dataclass(frozen=True)
class Case:
    """One person to show: the picture given, the face found in it, what the model sees, and the prompt."""

    embedding: np.ndarray
    seen: Image.Image
    prompt: str


def make_cases(tools: FaceTools) -> list[Case]:
    """50 people of the test split, each with a portrait and with a caption of another scene."""
    portraits = render(
        sample_scenes(SEED, PEOPLE, split="test", num_frames=1, camera="portrait"), PICTURE_PX, PICTURE_PX
    )
    prompts = write_captions(sample_scenes(SEED + 1, PEOPLE, split="test"), SEED)
    cases = []
    for frame, prompt in zip(portraits.frames[:, 0], prompts, strict=True):
        picture = Image.fromarray((frame * 255).round().byte().permute(1, 2, 0).numpy())
        prepared = prepare_face(picture, tools.finder, tools.parser)
        cases.append(Case(prepared.face.embedding, prepared.picture, prompt))
    return cases


def generate_frames(case: Case, seed: int) -> np.ndarray:
    """One video at the embedded preset's settings, (T, H, W, 3) uint8."""
    preset, pipeline = PRESETS[DEFAULT_PRESET], load_pipeline(DEFAULT_PRESET)
    steps = pipeline.stream(
        case.prompt,
        [case.seen],
        height=preset.height,
        width=preset.width,
        num_frames=preset.num_frames,
        num_inference_steps=preset.num_inference_steps,
        guidance_scale=preset.guidance_scale,
        reference_guidance_scale=preset.reference_guidance_scale,
        skip_guidance_layers=preset.skip_guidance_layers,
        generator=torch.Generator().manual_seed(seed),
        max_sequence_length=preset.max_sequence_length,
    )
    for step in steps:
        latents = step.latents
    return decode_frames(pipeline, latents)


def embed_faces(tools: FaceTools, frames: np.ndarray) -> list[np.ndarray]:
    """Embeddings of the largest face of every frame in which there is one."""
    faces = [tools.finder.find_largest(frame) for frame in frames]
    return [face.embedding for face in faces if face is not None]


def bootstrap(hits: np.ndarray, rounds: int = 2000) -> tuple[float, float]:
    """95 % interval of the mean of (N,) values."""
    rows = np.random.default_rng(0).integers(len(hits), size=(rounds, len(hits)))
    low, high = np.percentile(hits[rows].mean(1), [2.5, 97.5])
    return float(low), float(high)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=int, default=PEOPLE)
    parser.add_argument("--sheet", type=Path, help="write references and frames of 16 videos, as PNG")
    options = parser.parse_args(arguments)
    tools = load_face_tools(DEFAULT_PRESET)
    cases = make_cases(tools)
    gallery = np.stack([case.embedding for case in cases])
    hits, similarities, found, rows = [], [], [], []
    for index, case in enumerate(cases[: options.videos]):
        frames = generate_frames(case, seed=index)
        embeddings = embed_faces(tools, frames)
        found.append(len(embeddings) / len(frames))
        cosines = gallery @ np.mean(embeddings, axis=0) if embeddings else np.full(PEOPLE, -1.0)
        hits.append(float(cosines.argmax() == index))
        similarities.append(max(0.0, float(cosines[index])) if embeddings else 0.0)
        rows.append(sheet_row(case.seen, frames))
        print(f"\r{index + 1}/{options.videos}", end="", file=sys.stderr, flush=True)
    low, high = bootstrap(np.array(hits))
    print(file=sys.stderr)
    print(
        f"{options.videos} videos of {options.videos} people, test split; {PEOPLE} references to choose from"
    )
    interval = f"95 % interval {100 * low:.0f} to {100 * high:.0f}"
    print(f"right reference nearest  {100 * np.mean(hits):.1f} % ({interval})")
    print(f"frames with a face       {100 * np.mean(found):.1f} %")
    print(f"mean similarity          {np.mean(similarities):.3f}")
    if options.sheet:
        contact_sheet(rows[:16]).save(options.sheet)


def sheet_row(seen: Image.Image, frames: np.ndarray) -> Tensor:
    """What the model saw and five frames, (6, 3, H, W) in [0, 1]."""
    height, width = frames.shape[1:3]
    moments = np.linspace(0, len(frames) - 1, 5).round().astype(int)
    pictures = np.concatenate([np.asarray(seen.resize((width, height)))[None], frames[moments]])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255


if __name__ == "__main__":
    main()
