"""Render, encode and train against the clock, on one accelerator, or on a processor's cores.

    python -m train.live --seconds 560 --output .train/live

First footage is made, then stills are learned, then more footage, then clips with some stills among them. The
averaged weights lie in the output at any time; `python -m train.export live` makes a pipeline of them.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import random
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import torch
from torch import Tensor
from transformers import UMT5EncoderModel

from concat_id.people import Split
from train.footage.latents import load_autoencoder
from train.live.fit import TASKS, Clock, LiveTraining, Plan, load_weights
from train.live.pools import Kind, Studio, collect, join
from train.transformer.training import build_transformer, with_reference_adaln

LOGGER = logging.getLogger(__name__)

# Shares of the time in which footage is made; of the stills', the rest goes to portraits.
STILLS = {Kind(1, 1): 0.5, Kind(2, 1): 0.13, Kind(3, 1): 0.1}
CLIPS = {Kind(1, 17): 0.6, Kind(2, 17): 0.25, Kind(3, 17): 0.15}
STILLS_AMONG_CLIPS = 0.15
SAVE_SECONDS = 45
# A look at the validation set costs as much as two steps.
LOGS = 50


def make(
    studio: Studio,
    kinds: dict[Kind, float],
    people: dict[str, Tensor],
    seconds: float,
    seed: int,
    split: Split,
):
    """Pools of these kinds, each made for its share of the seconds."""
    pools = {}
    for kind, share in kinds.items():
        until = time.monotonic() + share * seconds

        def film(kind: Kind = kind, until: float = until) -> Iterator[tuple[dict[str, Tensor], Future]]:
            number = 0
            while number == 0 or time.monotonic() < until:
                yield studio.film(
                    kind, seed + 1000 * kind.people + 10_000 * kind.frames + number, people, split
                )
                number += 1

        began = time.monotonic()
        pools[kind] = collect(film())
        took = time.monotonic() - began
        count = len(pools[kind]["latents"])
        LOGGER.info(
            "%s: %d scenes in %.1f s, %.0f frames/s", kind, count, took, 2 * count * kind.frames / took
        )
    return pools


def portray(studio: Studio, seconds: float, seed: int, split: Split) -> dict[str, Tensor]:
    """People, for some seconds."""
    began, pools = time.monotonic(), []
    while not pools or time.monotonic() - began < seconds:
        pools.append(studio.portray(seed + 10 * len(pools), studio.frames_at_once // 2, split))
    people = join(pools)
    LOGGER.info("%d people in %.1f s", len(people["seeds"]), time.monotonic() - began)
    return people


def main() -> None:
    """Train for as long as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument(
        "--model", type=Path, default=Path("assets/embedded"), help="its vae, text encoder, tokenizer"
    )
    parser.add_argument("--start", type=Path, help="pipeline or earlier output to go on from")
    parser.add_argument("--stills-footage", type=float, default=0.14, help="share of the time")
    parser.add_argument("--stills-training", type=float, default=0.22, help="share of the time")
    parser.add_argument("--clips-footage", type=float, default=0.18, help="share of the time")
    parser.add_argument("--tokens", type=int, default=Plan.tokens)
    parser.add_argument("--lr", type=float, default=Plan.lr)
    parser.add_argument("--ema", type=float, default=Plan.ema, help="decay of the averaged weights")
    parser.add_argument("--seed", type=int, default=1_000_000_000)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    clock = Clock(options.seconds)
    options.output.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)d %(message)s")
    random.seed(options.seed)
    torch.manual_seed(options.seed)
    torch.set_float32_matmul_precision("high")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(12, multiprocessing.cpu_count()), mp_context=context) as writers:
        studio = Studio(
            load_autoencoder(options.model / "vae", options.device), options.model / "tokenizer", writers
        )
        studio.wake_writers()
        run(options, clock, studio)


def run(options: argparse.Namespace, clock: Clock, studio: Studio) -> None:
    """Footage of stills, training, footage of clips, training."""
    transformer = with_reference_adaln(build_transformer()).to(options.device)
    if options.start:
        transformer.load_state_dict(load_weights(options.start))
    text_encoder = UMT5EncoderModel.from_pretrained(options.model / "text_encoder", dtype=torch.float32)
    text_encoder = text_encoder.to(options.device).eval().requires_grad_(False)
    plan = Plan(tokens=options.tokens, lr=options.lr, ema=options.ema)
    training = LiveTraining(transformer, text_encoder, plan)

    watched = min(300, studio.frames_at_once // 10)
    validation_people = studio.portray(options.seed, watched, "validation")
    kinds = [Kind(1, 1), Kind(1, 17)]
    validation = {
        kind: collect([studio.film(kind, options.seed + number, validation_people, "validation", watched)])
        for number, kind in enumerate(kinds)
    }
    LOGGER.info("validation ready after %.1f s", clock.seconds)

    spent = options.stills_footage * clock.total
    people = portray(studio, spent * (1 - sum(STILLS.values())), options.seed, "train")
    pools = make(studio, STILLS, people, spent, options.seed, "train")
    LOGGER.info("stills ready after %.1f s", clock.seconds)
    learn(
        training,
        pools,
        people,
        clock,
        clock.done + options.stills_training,
        options,
        validation,
        validation_people,
    )
    spent = options.clips_footage * clock.total
    pools |= make(studio, CLIPS, people, spent, options.seed, "train")
    LOGGER.info("clips ready after %.1f s", clock.seconds)
    learn(training, pools, people, clock, 1.0, options, validation, validation_people)
    training.save(options.output)


def learn(training, pools, people, clock, until, options, validation, validation_people) -> None:
    """Update until a share of the time is over; log, and save now and then."""
    saved = logged = clock.seconds
    losses: dict[int, list[Tensor]] = {1: [], 17: []}
    has_clips = any(kind.frames > 1 for kind in pools)
    while clock.done < until:
        task = random.choices(TASKS, [task.share for task in TASKS])[0]
        frames = 17 if has_clips and random.random() > STILLS_AMONG_CLIPS else 1
        losses[frames].append(training.step(pools[Kind(task.people, frames)], people, task, clock.done))
        if clock.seconds - logged > clock.total / LOGS:
            logged = clock.seconds
            means = {f: torch.stack(v).mean().item() for f, v in losses.items() if v}
            losses = {1: [], 17: []}
            record = {"seconds": round(logged, 1), "steps": training.steps, "samples": training.samples}
            record |= {f"loss_{frames}_frames": round(mean, 4) for frames, mean in means.items()}
            kinds = [kind for kind in validation if kind.frames == 1 or has_clips]
            record |= {
                f"faces_{k.frames}": training.watch(validation[k], validation_people, TASKS[0]) for k in kinds
            }
            LOGGER.info("%s", record)
            with (options.output / "log.jsonl").open("a") as file:
                file.write(json.dumps(record) + "\n")
        if clock.seconds - saved > SAVE_SECONDS:
            saved = clock.seconds
            training.save(options.output)


if __name__ == "__main__":
    main()
