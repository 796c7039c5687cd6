"""Training on curated pairs: from stored latents and embeddings against encoding inside the step.

    python -m tests.benchmarks.benchmark_curated_training

Random weights at the proportions of Wan 2.1 1.3B. The autoencoder, the text encoder and the transformer have
the real ones' layers and heads, with all their widths divided by 8. A clip has 17 frames of 224 x 128 px, a
66th of the real one's 81 frames of 832 x 480, and its text 8 tokens, as 512 are to that. As on
a GPU, the autoencoder computes in float32 and the step of training in bfloat16 where the processor can, both
on one thread. Steps of both kinds take turns, and each figure is the median of the processor's own seconds,
to which other load on the machine does not add. The arithmetic of one clip is counted at the real sizes
besides: attention, which grows with the square of a clip's length, is a smaller part of the work in a short
one.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoTokenizer, UMT5Config, UMT5EncoderModel

from concat_id import ConcatIDWanPipeline, ConcatIDWanTransformer3DModel
from concat_id.loading.presets import EMBEDDED
from train.curation.encoding import encode_dataset
from train.curation.encodings import FOLDER
from train.curation.engine import curate
from train.curation.rendered_footage import Plan, film_footage
from train.curation.training_clips import Format
from train.precision import autocast
from train.transformer.curated_data import PairBatches, PairsDataModule
from train.transformer.training import ConcatIDTraining

SHRINK = 8
SMALL, REAL = Format(17, 8.0, 128, 224), Format(81, 16.0, 480, 832)
SMALL_TOKENS, REAL_TOKENS = 8, 512
RANKS: dict[str, int | None] = {"whole": None, "LoRA": 8}
FOOTAGE = Plan(films=3, people=3, seconds=2.5, drawn_fps=2)


def build_vae(shrink: int) -> AutoencoderKLWan:
    return AutoencoderKLWan(base_dim=96 // shrink)


def build_text_encoder(shrink: int) -> UMT5EncoderModel:
    sizes = {"d_model": 4096, "d_ff": 10240, "num_heads": 64}
    sizes = {name: size // shrink for name, size in sizes.items()}
    return UMT5EncoderModel(UMT5Config(vocab_size=1024, d_kv=64, num_layers=24, **sizes))


def build_transformer(shrink: int) -> ConcatIDWanTransformer3DModel:
    return ConcatIDWanTransformer3DModel(
        attention_head_dim=128 // shrink,
        ffn_dim=8960 // shrink,
        text_dim=4096 // shrink,
        reference_adaln=True,
    )


def write_model(folder: Path) -> Path:
    """The pipeline at an eighth of its widths."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED / "tokenizer", model_max_length=SMALL_TOKENS)
    parts = {"vae": build_vae(SHRINK), "text_encoder": build_text_encoder(SHRINK), "tokenizer": tokenizer}
    scheduler = FlowMatchEulerDiscreteScheduler(shift=5.0)
    ConcatIDWanPipeline(build_transformer(SHRINK), scheduler, **parts).save_pretrained(folder)
    return folder


@torch.no_grad()
def count_tflop(shrink: int, shape: Format, tokens: int) -> dict[str, float]:
    """Arithmetic of one clip with one reference: encoding each part, and a pass of the transformer."""
    with torch.device("meta"):
        vae, encoder, transformer = (
            build(shrink) for build in (build_vae, build_text_encoder, build_transformer)
        )
        frames = torch.empty(1, 3, shape.num_frames, shape.height, shape.width)
        latents = torch.empty(1, 16, (shape.num_frames - 1) // 4 + 1, shape.height // 8, shape.width // 8)
        words = torch.zeros(1, tokens, dtype=torch.long)
        text = torch.empty(1, tokens, 4096 // shrink)

    def count(*calls: object) -> float:
        with FlopCounterMode(display=False) as counter:
            for model, *inputs in calls:
                model(*inputs)
        return counter.get_total_flops() / 1e12

    return {
        "autoencoder": count((vae.encode, frames), (vae.encode, frames[:, :, :1])),
        "text encoder": count((encoder, words)),
        "transformer": count((transformer, latents, torch.empty(1, device="meta"), text, latents[:, :, :1])),
    }


def time_step(
    batches: PairBatches, module: ConcatIDTraining, optimizer: torch.optim.Optimizer
) -> list[float]:
    """Seconds of the processor for one clip's batch and for the step on it."""
    started = time.process_time()
    (examples, *_) = batches.groups.values()
    batch = batches.draw(examples[:1], torch.Generator().manual_seed(0))
    drawn = time.process_time()
    keep = torch.ones(1, dtype=torch.bool)
    noise = torch.randn(batch["latents"].shape)
    with autocast("cpu"):
        loss = module.loss(batch, torch.rand(1), noise, keep_text=keep, keep_references=keep)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return [drawn - started, time.process_time() - drawn]


def measure(
    sources: dict[str, PairBatches], model: Path, rank: int | None, rounds: int
) -> dict[str, list[float]]:
    """Seconds of batch and step from each source, medians of the rounds after one to warm up."""
    module = ConcatIDTraining(
        init_from=str(model), muon=False, with_text_encoder=False, face_weight=0.0, lora_rank=rank
    )
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5)
    seconds: dict[str, list[list[float]]] = {name: [] for name in sources}
    for _ in range(rounds + 1):
        for name, batches in sources.items():
            seconds[name].append(time_step(batches, module, optimizer))
    return {
        name: [statistics.median(values) for values in zip(*timed[1:], strict=True)]
        for name, timed in seconds.items()
    }


def prepare(folder: Path) -> tuple[Path, Path]:
    """A small curated dataset and the model, made where they are missing."""
    dataset, model = folder / "dataset", folder / "model"
    if not (folder / "videos").exists():
        film_footage(folder / "videos", folder / "truth.json", FOOTAGE)
    curate(folder / "videos", dataset, workers=0)
    return dataset, model if model.exists() else write_model(model)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path(".train/curated_training"))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    dataset, model = prepare(options.folder)
    shutil.rmtree(dataset / FOLDER, ignore_errors=True)
    data = PairsDataModule(str(dataset), str(model), batch_size=1, shape=SMALL, versions=1)
    made = PairBatches(data)
    made.encoder.pipeline.vae.float()
    encode_dataset(dataset, model, shape=SMALL, versions=1, workers=0)
    sources = {"encoding in the step": made, "from the shards": PairBatches(data)}
    print(f"{'':<32}{'batch, s':>10}{'step, s':>10}{'together':>10}")
    for title, rank in RANKS.items():
        together = {}
        for name, (draw, step) in measure(sources, model, rank, options.rounds).items():
            together[name] = draw + step
            print(f"{title + ', ' + name:<32}{draw:>10.3f}{step:>10.3f}{draw + step:>10.3f}")
        slow, fast = together.values()
        print(f"{title}, from the shards, is {slow / fast:.2f} times as fast")
    print(f"\n{'TFLOP of one clip':<32}{'encoders':>10}{'step':>10}{'ratio':>10}")
    for place, sizes in (("here", (SHRINK, SMALL, SMALL_TOKENS)), ("Wan 1.3B", (1, REAL, REAL_TOKENS))):
        counted = count_tflop(*sizes)
        encoders = counted["autoencoder"] + counted["text encoder"]
        for title, rank in RANKS.items():
            # Backwards, once for gradients of what goes in, and once for those of trained weights.
            step = counted["transformer"] * (2 if rank else 3)
            print(f"{place + ', ' + title:<32}{encoders:>10.3f}{step:>10.3f}{1 + encoders / step:>10.2f}")


if __name__ == "__main__":
    main()
