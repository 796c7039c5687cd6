"""From training checkpoints to the folders that the product loads.

    python -m train.export autoencoder --checkpoint .train/autoencoder/last.ckpt --output .train/vae
    python -m train.export text --checkpoint .train/text_encoder/last.ckpt --output .train/text
    python -m train.export pipeline --checkpoint .train/stage1/last.ckpt --output assets/embedded
    python -m train.export adapter --checkpoint .train/distillation/last.ckpt \
        --output assets/embedded/adapters/draft.safetensors

An adapter is a LoRA, which `pipeline.load_lora_weights` loads on what its training started from. The averaged
(EMA) weights are what is exported.
"""

import argparse
import json
import shutil
import tempfile
from inspect import signature
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler
from peft import get_peft_model_state_dict
from torch import Tensor

from concat_id import ConcatIDWanPipeline
from concat_id.atomic import replacing
from train.autoencoder import EMBEDDED_CONFIG
from train.caption_reading import CaptionReading
from train.concat_id import ConcatIDTraining
from train.footage import render_clips, render_references, to_batch

MAX_SHARD_SIZE = "20MB"


def load_autoencoder_checkpoint(path: Path) -> AutoencoderKLWan:
    """The autoencoder of a training checkpoint, as diffusers' plain class."""
    vae = AutoencoderKLWan(**EMBEDDED_CONFIG)
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    vae.load_state_dict({name.removeprefix("vae."): value for name, value in state.items()})
    return vae.eval().requires_grad_(False)


def measure_latents(vae: AutoencoderKLWan, clips: int = 48) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of every latent channel over training clips and references."""

    def flat_latents(frames: Tensor, faces: Tensor) -> list[Tensor]:
        latents = vae.encode(to_batch(frames, faces)["video"]).latent_dist.mode()
        return [latents.transpose(0, 1).flatten(1)]

    values: list[Tensor] = []
    for seed in range(0, clips, 8):
        footage, references = render_clips(seed, 8, 128), render_references(seed, 8, 128)
        values += flat_latents(footage.frames, footage.faces) + flat_latents(
            references.frames, references.faces
        )
    every = torch.cat(values, dim=1)
    return every.mean(1).tolist(), every.std(1).tolist()


@torch.no_grad()
def export_autoencoder(checkpoint: Path, output: Path) -> None:
    """Write a diffusers folder whose config holds the measured statistics of its latents."""
    vae = load_autoencoder_checkpoint(checkpoint)
    mean, std = measure_latents(vae)
    vae.register_to_config(latents_mean=mean, latents_std=std)
    vae.save_pretrained(output)


def export_text(checkpoint: Path, output: Path) -> None:
    """Write the folders `tokenizer` and `text_encoder`."""
    loaded = torch.load(checkpoint, map_location="cpu", weights_only=True)
    module = CaptionReading(loaded["hyper_parameters"]["tokenizer"])
    module.load_state_dict(loaded["state_dict"])
    module.tokenizer.save_pretrained(output / "tokenizer")
    module.text_encoder.save_pretrained(output / "text_encoder")


def load_module(checkpoint: Path) -> ConcatIDTraining:
    """The transformer's training as it was at a checkpoint, of which it needs the weights alone."""
    loaded = torch.load(checkpoint, map_location="cpu", weights_only=True)
    # A recipe of a kind of its own, such as distillation, has more arguments.
    known = signature(ConcatIDTraining).parameters
    arguments = {name: value for name, value in loaded["hyper_parameters"].items() if name in known}
    # Its size and tokenizer are those of what the run started from; its weights are the checkpoint's.
    module = ConcatIDTraining(**arguments)
    module.load_state_dict(loaded["state_dict"])
    return module


def export_adapter(checkpoint: Path, output: Path) -> None:
    """Write the LoRA of a checkpoint as a safetensors file that diffusers loads, in bfloat16."""
    module = load_module(checkpoint)
    if module.hparams.lora_rank is None:
        raise ValueError(f"{checkpoint} holds no LoRA; export it as a pipeline.")
    layers = get_peft_model_state_dict(module.transformer)
    halved = {name: value.bfloat16().contiguous() for name, value in layers.items()}
    ConcatIDWanPipeline.save_lora_weights(
        output.parent, transformer_lora_layers=halved, weight_name=output.name
    )


def export_pipeline(checkpoint: Path, vae_folder: Path, output: Path) -> None:
    """Write the whole diffusers folder of a transformer's checkpoint, weights in bfloat16."""
    module = load_module(checkpoint)
    if module.hparams.lora_rank is not None:
        raise ValueError(f"{checkpoint} holds a LoRA; export it as an adapter.")
    pipeline = ConcatIDWanPipeline(
        transformer=module.transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=module.hparams.shift),
        tokenizer=module.tokenizer,
        text_encoder=module.text_encoder,
        vae=AutoencoderKLWan.from_pretrained(vae_folder),
    )
    with tempfile.TemporaryDirectory() as folder:
        full, half = Path(folder, "full"), Path(folder, "half")
        # Loading in bfloat16, unlike casting, keeps what has to stay float32.
        pipeline.save_pretrained(full)
        halved = ConcatIDWanPipeline.from_pretrained(full, dtype=torch.bfloat16)
        halved.save_pretrained(half, max_shard_size=MAX_SHARD_SIZE)
        for config in half.rglob("*.json"):
            _forget_origin(config)
        # Other models may lie in the output: only the pipeline's own parts are replaced, each as a whole.
        for part in half.iterdir():
            with replacing(output / part.name) as unfinished:
                shutil.move(part, unfinished)


def _forget_origin(config: Path) -> None:
    """Take out of a config the temporary folder that its model was loaded from."""
    values = json.loads(config.read_text(encoding="utf-8"))
    if values.pop("_name_or_path", None) is not None:
        config.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def main() -> None:
    """Export what the command line names."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("what", choices=("autoencoder", "text", "pipeline", "adapter"))
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--vae", type=Path, default=Path(".train/vae"))
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    if options.what == "autoencoder":
        export_autoencoder(options.checkpoint, options.output)
    elif options.what == "text":
        export_text(options.checkpoint, options.output)
    elif options.what == "adapter":
        export_adapter(options.checkpoint, options.output)
    else:
        export_pipeline(options.checkpoint, options.vae, options.output)


if __name__ == "__main__":
    main()
