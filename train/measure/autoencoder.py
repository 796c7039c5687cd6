"""How faithfully the embedded autoencoder returns clips of people and places it has never seen.

    python -m train.measure.autoencoder [--vae assets/embedded/vae] [--sheet sheet.png]

Prints the peak signal-to-noise ratio over whole clips, faces, faces in the first frame and by their place
within later latent frames (where movement is lost, the first is far below the others), of stills, in dB.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan
from torch import Tensor

from train.autoencoder.autoencoder import pass_through
from train.autoencoder.crops import Clips, render_clips, render_references, to_batch
from train.transformer.gallery import contact_sheet


def psnr(squares: Tensor) -> float:
    """Of squared errors of values in [0, 1], in dB."""
    return -10 * squares.double().mean().log10().item()


def reconstruct(vae: AutoencoderKLWan, clips: Clips) -> tuple[Tensor, Tensor]:
    """The clips and what the autoencoder makes of them, both (N, 3, T, H, W) in [0, 1]."""
    video = to_batch(clips.frames, clips.faces)["video"]
    return (video + 1) / 2, (pass_through(vae, video) + 1) / 2


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vae", type=Path, default=Path("assets/embedded/vae"))
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--sheet", type=Path, help="write truth and result side by side, as PNG")
    options = parser.parse_args(arguments)
    vae = AutoencoderKLWan.from_pretrained(options.vae, dtype=torch.float32).eval()
    size = 16 * vae.config.scale_factor_spatial
    footage = render_clips(0, options.clips, size, split="test")
    truth, decoded = reconstruct(vae, footage)
    squares, faces = (truth - decoded).square(), footage.faces.bool().expand_as(truth)
    stills = render_references(0, options.clips, size, split="test")
    still_truth, still_decoded = reconstruct(vae, stills)
    print(f"{options.clips} clips of 17 frames, test split, dB")
    print(f"whole clips      {psnr(squares):.2f}")
    print(f"faces            {psnr(squares[faces]):.2f}")
    print(f"first frame      {psnr(squares[:, :, 0]):.2f}")
    print(f"last frame       {psnr(squares[:, :, -1]):.2f}")
    stride = vae.config.scale_factor_temporal
    places = [slice(0, 1), *(slice(1 + place, None, stride) for place in range(stride))]
    by_place = (psnr(squares[:, :, place][faces[:, :, place]]) for place in places)
    print(f"faces by place   {' '.join(f'{figure:.2f}' for figure in by_place)}")
    print(f"reference stills {psnr((still_truth - still_decoded).square()):.2f}")
    if options.sheet:
        moments = [0, 8, 16]
        pairs = zip(
            truth[:8, :, moments].transpose(1, 2), decoded[:8, :, moments].transpose(1, 2), strict=True
        )
        contact_sheet([torch.cat(pair) for pair in pairs]).save(options.sheet)


if __name__ == "__main__":
    main()
