"""The benchmark's pictures and prompts: people, garments and places of the test split.

    python -m train.benchmark --latents .train/latents/takes .train/latents/two ...

Decontaminated by the paper's rule (`train.curation.decontamination`) against everybody the models were
trained on (`train.benchmark.training_faces`): a person who looks too much like any of them is left out as a
whole. For a check by hand, as the paper has it, a picture shows each of the chosen beside the nearest
training picture.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from concat_id.evaluation.benchmark import InvalidBenchmark
from concat_id.files.atomic import replacing
from concat_id.people import COLORS, GARMENTS, PLACES, Scenes, render, sample_scenes
from concat_id.people.sheets import tile
from concat_id.people.words import ACTIONS, FEELINGS, PLACES_IN_WORDS
from train.benchmark.training_faces import DRAWN_AT_ONCE, PORTRAIT, Faces, load_training_faces, take_portraits
from train.curation.decontamination import MAX_COSINE, STRANGERS_ABOVE, carry_over_bound, find_nearest
from train.curation.recognition import FaceEmbedder

FACE_PACK = Path("assets/embedded/face_pack")
SEED = 41
PEOPLE = 50
CANDIDATES = 300
COMPANIONS = 50
SIDE_PX = 256
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


def to_pictures(frames: Tensor) -> list[Image.Image]:
    """Frames (N, 3, H, W) in [0, 1] as pictures."""
    pixels = (frames * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    return [Image.fromarray(np.asarray(picture)) for picture in pixels]


def candidate_scenes(count: int) -> list[Scenes]:
    """Portraits of people of the test split."""
    return [
        sample_scenes(SEED + start, min(DRAWN_AT_ONCE, count - start), split="test", **PORTRAIT)
        for start in range(0, count, DRAWN_AT_ONCE)
    ]


def draw_candidates(count: int, embedder: FaceEmbedder) -> Faces:
    """The candidates' portraits."""
    return take_portraits(candidate_scenes(count), SIDE_PX, embedder)


def candidate_seeds(count: int) -> Tensor:
    """The candidates' identity seeds, (N,)."""
    return torch.cat([scenes.identity_seeds[:, 0] for scenes in candidate_scenes(count)])


def choose_people(
    training: Faces, candidates: int, embedder: FaceEmbedder
) -> tuple[Tensor, Tensor, Tensor, dict]:
    """The first 50 candidates that pass the paper's rule.

    Returns:
        their portraits (50, 3, H, W) uint8, the training picture nearest to each (50, 3, h, w) uint8, their
        numbers among the candidates, and how the rule went.
    """
    portraits = draw_candidates(candidates, embedder)
    cosines, numbers = (
        column.squeeze(1) for column in find_nearest(portraits.embeddings, [training.embeddings])
    )
    # Nobody of the test split is in the training split: all pairs are strangers.
    bound = carry_over_bound(portraits.embeddings @ training.embeddings.T)
    passed = (cosines <= bound).nonzero().squeeze(1)
    if len(passed) < PEOPLE:
        raise ValueError(f"only {len(passed)} of {candidates} candidates passed; draw more of them.")
    chosen = passed[:PEOPLE]
    facts = {
        "rule": "a cosine above the bound with any training picture drops the person",
        "bound": round(bound, 3),
        "bound_means": f"{MAX_COSINE} in ArcFace: {STRANGERS_ABOVE:g} of the pairs of strangers lie above",
        "candidates": candidates,
        "dropped": candidates - len(passed),
        "passed_without_carrying_over": int((cosines <= MAX_COSINE).sum()),
        "training_pictures": len(training),
        "nearest_cosine": round(cosines[chosen].max().item(), 3),
    }
    return portraits.frames[chosen], training.frames[numbers[chosen]], chosen, facts


def lay_side_by_side(portraits: Tensor, nearest: Tensor) -> Image.Image:
    """Portraits and the training pictures nearest to them, for the eye to judge; both (N, 3, H, W) uint8."""
    small = interpolate(portraits.float() / 255, nearest.shape[-2:], mode="area")
    return tile(torch.cat([small, nearest.float() / 255], dim=3), 5)


def garment_scenes() -> Scenes:
    """Those whose garments the benchmark has, every kind in turn."""
    kinds = [GARMENTS[number % len(GARMENTS)] for number in range(COMPANIONS)]
    return sample_scenes(SEED, COMPANIONS, split="test", num_frames=1, garments=kinds)


def place_scenes() -> Scenes:
    """Those whose places the benchmark has, every kind in turn."""
    kinds = [PLACES[number % len(PLACES)] for number in range(COMPANIONS)]
    return sample_scenes(SEED, COMPANIONS, split="test", num_frames=1, places=kinds)


def draw_garments() -> tuple[list[Image.Image], list[str], Tensor]:
    """Garments alone, their kinds and their seeds."""
    scenes = garment_scenes()
    frames = render(scenes.garments_only(), SIDE_PX, SIDE_PX).frames
    return to_pictures(frames[:, 0]), [names[0] for names in scenes.garment_names], scenes.outfit.seed[:, 0]


def draw_places() -> tuple[list[Image.Image], list[str], Tensor]:
    """Places without people, their kinds and their seeds."""
    scenes = place_scenes()
    frames = render(scenes.without_people(), SIDE_PX, SIDE_PX).frames
    return to_pictures(frames[:, 0]), scenes.place_names, scenes.place_seed


def write_subjects(
    output: Path, kind: str, pictures: list[Image.Image], truths: list[dict[str, str]], seeds: Tensor
) -> list[dict]:
    """Write pictures, and say what is on them and by which seeds (N,) they are drawn, as the JSON does."""
    (output / kind).mkdir(parents=True)
    entries = []
    for number, (picture, truth, seed) in enumerate(zip(pictures, truths, seeds.tolist(), strict=True)):
        name = f"{kind}-{number:02d}"
        picture.save(output / kind / f"{name}.png", optimize=True)
        entries.append({"name": name, "picture": f"{kind}/{name}.png", "truth": truth, "seed": seed})
    return entries


def check_output(output: Path) -> None:
    """Refuse a folder that a benchmark would replace, and that is none."""
    if output.is_dir() and any(output.iterdir()) and not (output / "benchmark.json").is_file():
        raise InvalidBenchmark(f"'{output}' holds other things than a benchmark; choose another --output.")


def write_benchmark(output: Path, people: Tensor, seeds: Tensor, decontamination: dict) -> None:
    """Write a benchmark in place of the one that is there.

    Args:
        people: (N, 3, H, W) uint8.
        seeds: their identities', (N,).
    """
    check_output(output)
    garments, garment_kinds, garment_seeds = draw_garments()
    places, place_kinds, place_seeds = draw_places()
    portraits = to_pictures(people.float() / 255)
    with replacing(output) as folder:
        data = {
            "decontamination": decontamination,
            "people": write_subjects(folder, "people", portraits, [{}] * len(people), seeds),
            "garments": write_subjects(
                folder, "garments", garments, [{"garment": kind} for kind in garment_kinds], garment_seeds
            ),
            "places": write_subjects(
                folder, "places", places, [{"place": kind} for kind in place_kinds], place_seeds
            ),
            "prompts": make_prompts(),
        }
        (folder / "benchmark.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, write the benchmark anew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("assets/benchmark"))
    parser.add_argument("--cache", type=Path, default=Path(".train/perception"))
    parser.add_argument("--chunks", type=int, default=TRAINING_CHUNKS)
    parser.add_argument("--candidates", type=int, default=CANDIDATES)
    parser.add_argument("--latents", type=Path, nargs="+", required=True, help="what the transformer saw")
    parser.add_argument("--pairs", type=Path, default=Path(".train/benchmark_pairs.png"))
    options = parser.parse_args(arguments)
    check_output(options.output)  # now, not after hours
    embedder = FaceEmbedder(FACE_PACK)
    training = load_training_faces(options.latents, options.cache, options.chunks, embedder)
    people, nearest, chosen, decontamination = choose_people(training, options.candidates, embedder)
    lay_side_by_side(people, nearest).save(options.pairs)
    seeds = candidate_seeds(options.candidates)[chosen]
    write_benchmark(options.output, people, seeds, decontamination)
    print(json.dumps(decontamination, indent=1))
