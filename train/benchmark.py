"""The benchmark's pictures and prompts: people, garments and places of the test split.

    python -m train.benchmark [--output assets/benchmark]

Decontaminated by the paper's rule: a person whose face has a cosine above .45 with any training picture is
left out as a whole. The training pictures are those of the perception models (`train.picture_cache`).
"""

import argparse
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from train.alignment import align_faces
from train.people import COLORS, GARMENTS, PLACES, Scenes, render, sample_scenes
from train.people.words import ACTIONS, FEELINGS, PLACES_IN_WORDS
from train.picture_cache import load_pictures

RECOGNIZER = Path("assets/embedded/face_pack/rec.onnx")
SEED = 41
PEOPLE = 50
# Drawn faces are more alike than photographed ones: about 4 in 100 people pass the rule.
CANDIDATES = 1800
RENDERED_AT_ONCE = 60
COMPANIONS = 50
SIDE_PX = 256
MAX_COSINE = 0.45
TRAINING_CHUNKS = 40
PROMPTS = 10
# Category -> what is asked for: topic and categories of the renderer.
SINGLE: dict[str, tuple[str, tuple[str, ...]]] = {
    "smiles and laughter": ("expression", ("smiling", "laughing")),
    "sorrow and anger": ("expression", ("sad", "angry")),
    "surprise": ("expression", ("surprised",)),
    "eyes": ("expression", ("winking", "eyes closed")),
    "lips": ("expression", ("talking", "kissing")),
    "turning the head": ("motion", ("turning left", "turning right", "shaking head")),
    "nodding and tilting": ("motion", ("nodding", "tilting head", "looking up", "looking down")),
    "the whole body": ("motion", ("waving", "swaying", "leaning in")),
    "clothes": ("garment", GARMENTS),
}
TOGETHER = {"two": 2, "three": 3}
TOGETHER_IN_WORDS = {2: "two people", 3: "three people"}


def make_prompts(seed: int = SEED) -> dict[str, dict[str, list[dict]]]:
    """Prompts by set and category, each with its truth."""
    rng = random.Random(seed)
    expressions = [
        category for topic, names in SINGLE.values() if topic == "expression" for category in names
    ]
    motions = [category for topic, names in SINGLE.values() if topic == "motion" for category in names]

    def acting(topic: str, names: list[str] | tuple[str, ...], *, placed: bool) -> Callable[[int], dict]:
        return lambda number: _write(rng, topic, names[number % len(names)], placed=placed)

    def together(count: int, doings: list[str]) -> Callable[[int], dict]:
        return lambda number: _write_together(rng, count, doings)

    return {
        "single": {
            name: _repeat(acting(topic, names, placed=True)) for name, (topic, names) in SINGLE.items()
        },
        **{
            set_name: {
                "expressions": _repeat(together(count, expressions)),
                "motions": _repeat(together(count, motions)),
            }
            for set_name, count in TOGETHER.items()
        },
        "try-on": {
            "expressions": _repeat(acting("expression", expressions, placed=True)),
            "motions": _repeat(acting("motion", motions, placed=True)),
        },
        # The place is for the reference to say.
        "background": {
            "expressions": _repeat(acting("expression", expressions, placed=False)),
            "motions": _repeat(acting("motion", motions, placed=False)),
        },
    }


def _repeat(write: Callable[[int], dict]) -> list[dict]:
    return [write(number) for number in range(PROMPTS)]


def _write(rng: random.Random, topic: str, category: str, *, placed: bool) -> dict:
    """One person doing or wearing something."""
    if topic == "garment":
        color = rng.choice(list(COLORS))
        article = "an" if color[0] in "aeiou" else "a"
        words = f"in {article} {color} {category}"
    else:
        words = rng.choice({"expression": FEELINGS, "motion": ACTIONS}[topic][category])
    truth = {topic: category}
    if not placed:
        return {"text": f"a person {words}", "truth": truth}
    place = rng.choice(PLACES)
    return {
        "text": f"a person {words} {rng.choice(PLACES_IN_WORDS[place])}",
        "truth": truth | {"place": place},
    }


def _write_together(rng: random.Random, count: int, doings: list[str]) -> dict:
    """Several people, each doing something; only of the place does the reader know."""
    place = rng.choice(PLACES)
    acts = [rng.choice((FEELINGS | ACTIONS)[doing]) for doing in rng.sample(doings, count)]
    people = [f"a person {act}" for act in acts]
    listed = ", ".join(people[:-1]) + " and " + people[-1]
    return {
        "text": f"{TOGETHER_IN_WORDS[count]} {rng.choice(PLACES_IN_WORDS[place])}: {listed}",
        "truth": {"place": place},
    }


def embed(frames: Tensor, landmarks: Tensor) -> Tensor:
    """Unit embeddings (N, D) of faces in frames (N, 3, H, W) in [0, 1], landmarks (N, 5, 2)."""
    session = onnxruntime.InferenceSession(RECOGNIZER, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    parts = [
        session.run(None, {name: (align_faces(*part) * 2 - 1).numpy()})[0]
        for part in zip(frames.split(32), landmarks.split(32), strict=True)
    ]
    return F.normalize(torch.from_numpy(np.concatenate(parts)))


def nearest_training_cosines(faces: Tensor, cache: Path, num_chunks: int) -> tuple[Tensor, int]:
    """For faces (N, D) the cosine to the nearest training picture, (N,), and how many pictures there were."""
    pictures = load_pictures(cache, "train", num_chunks).of_one_person()
    cosines = [
        (faces @ embed(frames.float() / 255, landmarks).T).amax(1)
        for frames, landmarks in zip(
            pictures.frames.split(256), pictures.landmarks[:, 0].split(256), strict=True
        )
    ]
    return torch.stack(cosines).amax(0), len(pictures)


def portrait_scenes(first: int, count: int) -> Scenes:
    """People of the test split, looking at the camera."""
    return sample_scenes(
        first,
        count,
        split="test",
        num_frames=1,
        camera="portrait",
        motions="still",
        headwear="none",
    )


def to_pictures(frames: Tensor) -> list[Image.Image]:
    """Frames (N, 3, H, W) in [0, 1] as pictures."""
    pixels = (frames * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    return [Image.fromarray(np.asarray(picture)) for picture in pixels]


def render_candidates(count: int) -> tuple[Tensor, Tensor]:
    """Portraits (N, 3, H, W) uint8 and landmarks (N, 5, 2)."""
    frames, landmarks = [], []
    for start in range(0, count, RENDERED_AT_ONCE):
        scenes = portrait_scenes(SEED + start, min(RENDERED_AT_ONCE, count - start))
        rendering = render(scenes, SIDE_PX, SIDE_PX)
        frames.append((rendering.frames[:, 0] * 255).round().byte())
        landmarks.append(rendering.landmarks[:, 0, 0] - 0.5)  # the renderer puts a pixel's centre at .5
    return torch.cat(frames), torch.cat(landmarks)


def choose_people(cache: Path, num_chunks: int, candidates: int) -> tuple[list[Image.Image], dict]:
    """The first 50 candidates that pass the paper's rule, and how the rule went."""
    frames, landmarks = render_candidates(candidates)
    faces = torch.cat(
        [
            embed(part.float() / 255, points)
            for part, points in zip(frames.split(256), landmarks.split(256), strict=True)
        ]
    )
    nearest, count = nearest_training_cosines(faces, cache, num_chunks)
    passed = (nearest <= MAX_COSINE).nonzero().squeeze(1)
    if len(passed) < PEOPLE:
        raise ValueError(f"only {len(passed)} of {candidates} candidates passed; draw more of them.")
    chosen = passed[:PEOPLE]
    facts = {
        "rule": f"cosine above {MAX_COSINE} with any training picture drops the person",
        "candidates": candidates,
        "dropped": candidates - len(passed),
        "training_pictures": count,
        "nearest_cosine": round(nearest[chosen].max().item(), 3),
    }
    return to_pictures(frames[chosen].float() / 255), facts


def garment_scenes() -> Scenes:
    """Those whose garments the benchmark has, every kind in turn."""
    kinds = [GARMENTS[number % len(GARMENTS)] for number in range(COMPANIONS)]
    return sample_scenes(SEED, COMPANIONS, split="test", num_frames=1, garments=kinds)


def place_scenes() -> Scenes:
    """Those whose places the benchmark has, every kind in turn."""
    kinds = [PLACES[number % len(PLACES)] for number in range(COMPANIONS)]
    return sample_scenes(SEED, COMPANIONS, split="test", num_frames=1, places=kinds)


def draw_garments() -> tuple[list[Image.Image], list[str]]:
    """Garments alone and their kinds."""
    scenes = garment_scenes()
    frames = render(scenes.garments_only(), SIDE_PX, SIDE_PX).frames
    return to_pictures(frames[:, 0]), [names[0] for names in scenes.garment_names]


def draw_places() -> tuple[list[Image.Image], list[str]]:
    """Places without people and their kinds."""
    scenes = place_scenes()
    frames = render(scenes.without_people(), SIDE_PX, SIDE_PX).frames
    return to_pictures(frames[:, 0]), scenes.place_names


def write_subjects(
    output: Path, kind: str, pictures: list[Image.Image], truths: list[dict[str, str]]
) -> list[dict]:
    """Write pictures, and say what is on them as the JSON does."""
    (output / kind).mkdir(parents=True)
    entries = []
    for number, (picture, truth) in enumerate(zip(pictures, truths, strict=True)):
        name = f"{kind}-{number:02d}"
        picture.save(output / kind / f"{name}.png", optimize=True)
        entries.append({"name": name, "picture": f"{kind}/{name}.png", "truth": truth})
    return entries


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, write the benchmark anew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("assets/benchmark"))
    parser.add_argument("--cache", type=Path, default=Path(".train/perception"))
    parser.add_argument("--chunks", type=int, default=TRAINING_CHUNKS)
    parser.add_argument("--candidates", type=int, default=CANDIDATES)
    options = parser.parse_args(arguments)
    people, decontamination = choose_people(options.cache, options.chunks, options.candidates)
    (garments, garment_kinds), (places, place_kinds) = draw_garments(), draw_places()
    shutil.rmtree(options.output, ignore_errors=True)
    data = {
        "decontamination": decontamination,
        "people": write_subjects(options.output, "people", people, [{}] * PEOPLE),
        "garments": write_subjects(
            options.output, "garments", garments, [{"garment": kind} for kind in garment_kinds]
        ),
        "places": write_subjects(options.output, "places", places, [{"place": kind} for kind in place_kinds]),
        "prompts": make_prompts(),
    }
    (options.output / "benchmark.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(decontamination, indent=1))


if __name__ == "__main__":
    main()
