"""Autoencoders of other sizes that begin as a trained one: with the same latents, and nearly its pictures.

    vae = widen_decoder(double_size(vae), base_dim=64)

Like Net2Net (Chen et al., 2016): a larger network starts from what a smaller one has learned, and training
goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from diffusers import AutoencoderKLWan
from torch import Generator, Tensor

from concat_id.models.autoencoder_wan import speed_up


def double_size(vae: AutoencoderKLWan) -> AutoencoderKLWan:
    """The autoencoder of pictures of twice the size, with the same latents: its patches are twice as wide.

    The encoder sees the mean of every 2 x 2 pixels, so that its latents are exactly the small picture's; the
    decoder begins by repeating every pixel of its small picture, and is trained on from there.
    """
    patch = vae.config.patch_size

    def spread(values: Tensor) -> Tensor:
        pixels = values.unflatten(0, (-1, patch, patch))
        return pixels.repeat_interleave(2, 1).repeat_interleave(2, 2).flatten(0, 2)

    return _with_patches(vae, 2 * patch, lambda values: spread(values) / 4, spread)


def halve_size(vae: AutoencoderKLWan) -> AutoencoderKLWan:
    """What `double_size` was applied to: both ends see the mean of every 2 x 2 pixels, latents stay the same.

    To train a transformer, pictures of a quarter of the pixels are enough.
    """
    patch = vae.config.patch_size // 2

    def gather(values: Tensor) -> Tensor:
        return values.unflatten(0, (-1, patch, 2, patch, 2)).sum((2, 4)).flatten(0, 2)

    return _with_patches(vae, patch, gather, lambda values: gather(values) / 4)


def widen_decoder(vae: AutoencoderKLWan, base_dim: int) -> AutoencoderKLWan:
    """The autoencoder with a wider decoder, that makes the same pictures at twice the width, else nearly so.

    Channels are repeated, in order, until all are filled. What reads a channel reads its copies instead, each
    with a random part of the weight, so that the copies come apart as soon as they are trained.

    Args:
        base_dim: diffusers' `decoder_base_dim`, the width before the pixels; at least today's.
    """
    wider = AutoencoderKLWan.from_config(dict(vae.config) | {"decoder_base_dim": base_dim})
    weights, generator = vae.state_dict(), Generator().manual_seed(0)
    for name, target in wider.state_dict().items():
        if name.startswith("decoder.") and weights[name].shape != target.shape:
            weights[name] = _widen(name, weights[name], target.shape, generator)
    wider.load_state_dict(weights)
    speed_up(wider)
    return wider


def _widen(name: str, weight: Tensor, shape: torch.Size, generator: Generator) -> Tensor:
    """A layer's weight (outputs, inputs, ...), or what else it has for each output, at its new shape."""
    # These layers' outputs are several sets of channels, one after the other.
    sets = 2 if "time_conv" in name else 3 if "to_qkv" in name else 1
    growth = shape[0] / weight.shape[0]
    weight = weight.unflatten(0, (sets, -1))
    weight = weight[:, torch.arange(shape[0] // sets) % weight.shape[1]]
    if "to_qkv" in name:
        # Repeated channels would make the attention's products larger by more than its own scale undoes.
        weight = weight * torch.tensor([growth**-0.5, 1, 1]).view(-1, *[1] * (weight.ndim - 1))
    weight = weight.flatten(0, 1)
    is_norm = "gamma" in name
    if weight.ndim == 1 or is_norm:
        return weight
    source = torch.arange(shape[1]) % weight.shape[1]
    parts = 0.5 + torch.rand(shape[:2], generator=generator)
    sums = torch.zeros(shape[0], weight.shape[1]).index_add_(1, source, parts)
    parts = parts / sums[:, source]
    return weight[:, source] * parts.view(*shape[:2], *[1] * (weight.ndim - 2))


def _with_patches(
    vae: AutoencoderKLWan,
    patch: int,
    change_input: Callable[[Tensor], Tensor],
    change_output: Callable[[Tensor], Tensor],
) -> AutoencoderKLWan:
    """The autoencoder with patches of another width.

    Args:
        change_input, change_output: the weights of the convolutions next to the pixels, their first axis a
            patch's channels (colour, x, y), for the new patch.
    """
    config = dict(vae.config) | {
        "patch_size": patch,
        "in_channels": 3 * patch**2,
        "out_channels": 3 * patch**2,
        "scale_factor_spatial": vae.config.scale_factor_spatial * patch // vae.config.patch_size,
    }
    weights = vae.state_dict()
    conv_in = weights["encoder.conv_in.weight"].transpose(0, 1)
    weights["encoder.conv_in.weight"] = change_input(conv_in).transpose(0, 1)
    for name in ("decoder.conv_out.weight", "decoder.conv_out.bias"):
        weights[name] = change_output(weights[name])
    changed = AutoencoderKLWan.from_config(config)
    changed.load_state_dict(weights)
    speed_up(changed)
    return changed
