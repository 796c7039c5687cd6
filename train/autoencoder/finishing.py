"""The last stage of the autoencoder's decoder: pictures that are crisp, and not only right on average.

    python -m train fit --config train/configs/autoencoder_finish.yaml

A decoder trained by absolute differences alone smooths what it is not sure of, above all eyes and mouths that
move. Here two more losses judge what it makes: the features of the face parser, and a discriminator that
learns to tell it from the truth (as in VQGAN, Esser et al., 2021; hinge loss).

Axes: B batch, T frames, C channels, H, W size in px.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.func import functional_call
from transformers import SegformerForSemanticSegmentation

from train.autoencoder.autoencoder import Autoencoder, decode

# Frames of a batch that features and discriminator look at: each of them costs as much as decoding.
JUDGED_FRAMES = 8


class Discriminator(nn.Sequential):
    """Which patches of pictures (N, 3, H, W) in [-1, 1] are true, (N, 1, H / 16, W / 16) logits.

    It sees them at half their size: from one that sees single pixels, eyes get dots.
    """

    def __init__(self, width: int = 32) -> None:
        widths = (width, 2 * width, 4 * width, 4 * width)
        layers: list[nn.Module] = [nn.AvgPool2d(2)]
        channels = 3
        for index, out in enumerate(widths):
            layers += [
                nn.Conv2d(channels, out, 4 if index else 3, 2 if index else 1, 1),
                nn.GroupNorm(8, out),
                nn.LeakyReLU(0.2),
            ]
            channels = out
        super().__init__(*layers, nn.Conv2d(channels, 1, 3, 1, 1))


class AutoencoderFinish(Autoencoder):
    """`Autoencoder`, judged by features and a discriminator besides.

    Args:
        face_parser: folder of the parser whose encoder's features are compared.
        feature_weight: of the features' relative error.
        adversarial_weight: how strong the discriminator's gradient is at the decoder's last layer, of the
            other losses'.
        adversarial_start: the step from which on it counts; before, it only learns.
        others: see `Autoencoder`.
    """

    def __init__(
        self,
        face_parser: str = "assets/embedded/face_parser",
        feature_weight: float = 0.3,
        adversarial_weight: float = 0.5,
        adversarial_start: int = 100,
        **others: Any,
    ) -> None:
        super().__init__(**others)
        self.save_hyperparameters()
        self.discriminator = Discriminator()
        parser = SegformerForSemanticSegmentation.from_pretrained(face_parser, dtype=torch.float32)
        # Kept out of the module's own weights: it does not learn, and checkpoints do not need it.
        self._features = [parser.segformer.eval().requires_grad_(False)]

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """One loss for both: the decoder's through a discriminator held fixed, and the latter's own."""
        video, weight = batch["video"], batch["weight"]
        with torch.no_grad():
            posterior = self.vae.encode(video).latent_dist
        decoded = decode(self.vae, self._disturb(posterior.sample())).float()
        made, true = _draw_frames(decoded, video)
        features = self.compare_features(made, true)
        plain = self.compare(decoded, video, weight) + self.hparams.feature_weight * features
        adversarial, told = self.persuade(made), self.tell_apart(made, true)
        strength = self.hparams.adversarial_weight * (self.global_step >= self.hparams.adversarial_start)
        balance = self._balance(plain, adversarial)
        self.log_dict(
            {
                "train/plain": plain,
                "train/features": features,
                "train/adversarial": adversarial,
                "train/told": told,
                "train/balance": balance,
            }
        )
        return plain + strength * balance * adversarial + told

    def persuade(self, made: Tensor) -> Tensor:
        """How little true the discriminator, held fixed, takes pictures (N, 3, H, W) to be."""
        fixed = {name: parameter.detach() for name, parameter in self.discriminator.named_parameters()}
        return -functional_call(self.discriminator, fixed, (made,)).float().mean()

    def tell_apart(self, made: Tensor, true: Tensor) -> Tensor:
        """The discriminator's own loss on pictures (N, 3, H, W), held fixed."""
        of_true, of_made = self.discriminator(true).float(), self.discriminator(made.detach()).float()
        return F.relu(1 - of_true).mean() + F.relu(1 + of_made).mean()

    def compare_features(self, made: Tensor, true: Tensor) -> Tensor:
        """Mean relative error of the parser's features of pictures (N, 3, H, W), over its stages."""
        encoder = self._features[0].to(made.device)
        with torch.no_grad():
            wanted = encoder(true, output_hidden_states=True).hidden_states
        found = encoder(made, output_hidden_states=True).hidden_states
        errors = [(a - b).abs().mean() / b.abs().mean() for a, b in zip(found, wanted, strict=True)]
        return torch.stack(errors).mean()

    def _balance(self, plain: Tensor, adversarial: Tensor) -> Tensor:
        """How much larger the gradient of one loss is than the other's, at the decoder's last layer."""
        last = self.vae.decoder.conv_out.weight
        sizes = [
            torch.autograd.grad(loss, last, retain_graph=True)[0].norm() for loss in (plain, adversarial)
        ]
        return (sizes[0] / (sizes[1] + 1e-6)).clamp(max=1e3).detach()


def _draw_frames(decoded: Tensor, video: Tensor) -> tuple[Tensor, Tensor]:
    """The same few frames of both, as pictures (N, 3, H, W)."""
    chosen = torch.randperm(video.shape[0] * video.shape[2], device=video.device)[:JUDGED_FRAMES]
    return tuple(rearrange(x, "b c t h w -> (b t) c h w")[chosen] for x in (decoded, video))
