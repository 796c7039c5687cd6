"""The decoder's finish: sharp where the mean of all likely pictures is soft.

    python -m train fit --config train/configs/crisp_decoder.yaml

To the losses of `train.autoencoder.autoencoder` come the features of the face parser (as LPIPS, Zhang et al.
2018, has those of a classifier) and a light adversarial loss (as VQGAN, Esser et al. 2021), weighted so that
at the pixels its gradient is a fixed share of the others'. The latents stay: a transformer need not learn
again.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import SegformerForSemanticSegmentation

from train.autoencoder.autoencoder import Autoencoder
from train.optimizer import MuonAdamW, warmup_stable_decay
from train.perception.detector import conv_unit
from train.perception.parser import normalise

DISCRIMINATOR_LR = 4e-4
# Of a batch: the parser costs more than the decoder.
FEATURE_FRAMES = 8


class ParserFeatures(nn.Module):
    """Distance of pictures as a face parser sees them.

    Args:
        weights: folder of a SegFormer.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        parser = SegformerForSemanticSegmentation.from_pretrained(weights, dtype="float32")
        self.encoder = parser.segformer.eval().requires_grad_(False)

    def forward(self, pictures: Tensor, truth: Tensor) -> Tensor:
        """Mean squared distance of unit vectors, over all depths; pictures (N, 3, H, W) in [-1, 1]."""
        with torch.no_grad():
            targets = self._describe(truth)
        distances = [
            (found - target).square().sum(1).mean()
            for found, target in zip(self._describe(pictures), targets, strict=True)
        ]
        return torch.stack(distances).mean()

    def _describe(self, pictures: Tensor) -> list[Tensor]:
        pixels = normalise(pictures / 2 + 0.5)
        maps = self.encoder(pixel_values=pixels, output_hidden_states=True).hidden_states
        return [F.normalize(features.float(), dim=1, eps=1e-4) for features in maps]


class PatchDiscriminator(nn.Module):
    """Logits (N, 1, H / 8, W / 8) of pictures (N, 3, H, W) in [-1, 1]: positive where they look rendered."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            conv_unit(3, width, kernel=5, stride=2),
            conv_unit(width, 2 * width, stride=2),
            conv_unit(2 * width, 4 * width, stride=2),
            conv_unit(4 * width, 4 * width),
            nn.Conv2d(4 * width, 1, 1),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        return self.layers(pictures)


class CrispDecoder(Autoencoder):
    """`Autoencoder` with its encoder frozen, and a parser's and a discriminator's losses.

    Args:
        init_from: diffusers folder of the autoencoder to finish.
        parser: folder of the face parser whose features are compared.
        perceptual_weight: of the features' distance.
        adversarial_share: size of the adversarial gradient against all others', at the pixels.
        alone_steps: first steps in which the discriminator learns and the decoder does not hear of it.
    """

    def __init__(
        self,
        init_from: str,
        parser: str = "assets/embedded/face_parser",
        lr: float = 3e-4,
        warmup_steps: int = 50,
        decay_steps: int = 1000,
        gradient_weight: float = 0.5,
        latent_noise: float = 0.2,
        perceptual_weight: float = 0.3,
        adversarial_share: float = 0.3,
        alone_steps: int = 200,
    ) -> None:
        super().__init__(
            init_from=init_from,
            lr=lr,
            warmup_steps=warmup_steps,
            decay_steps=decay_steps,
            gradient_weight=gradient_weight,
            decoder_only=True,
            latent_noise=latent_noise,
        )
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.features = ParserFeatures(Path(parser))
        self.discriminator = PatchDiscriminator()

    def configure_optimizers(self) -> tuple[list[Any], list[Any]]:
        decoder = MuonAdamW(self.vae.parameters(), lr=self.hparams.lr)
        schedule = warmup_stable_decay(
            decoder,
            warmup_steps=self.hparams.warmup_steps,
            decay_steps=self.hparams.decay_steps,
            max_steps=self.trainer.max_steps // 2,  # Lightning counts the steps of both optimisers.
        )
        critic = torch.optim.AdamW(self.discriminator.parameters(), lr=DISCRIMINATOR_LR, betas=(0.5, 0.9))
        return [decoder, critic], [schedule]

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        decoder, critic = self.optimizers()
        video, weight = batch["video"], batch["weight"]
        decoded = self.decode_noisily(video)
        truth, made = _frames(video), _frames(decoded)

        chosen = torch.randperm(len(made))[:FEATURE_FRAMES]
        faithful = self.compare(decoded, video, weight)
        perceptual = self.features(made[chosen], truth[chosen])
        others = faithful + self.hparams.perceptual_weight * perceptual
        self.discriminator.requires_grad_(False)
        adversarial = -self.discriminator(made).float().mean()
        self.discriminator.requires_grad_(True)
        wanted, pull = (
            torch.autograd.grad(loss, decoded, retain_graph=True)[0] for loss in (others, adversarial)
        )
        share = self.hparams.adversarial_share * (batch_idx >= self.hparams.alone_steps)
        decoder.zero_grad()
        self.manual_backward(decoded, wanted + share * wanted.norm() / (pull.norm() + 1e-12) * pull)
        decoder.step()
        self.lr_schedulers().step()

        real, fake = self.discriminator(truth).float(), self.discriminator(made.detach()).float()
        hinge = F.relu(1 - real).mean() + F.relu(1 + fake).mean()
        critic.zero_grad()
        self.manual_backward(hinge)
        critic.step()
        self.log_dict(
            {"train/faithful": faithful, "train/perceptual": perceptual, "train/hinge": hinge},
            prog_bar=True,
        )

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        super().validation_step(batch, batch_idx)
        decoded = self.vae.decode(self.vae.encode(batch["video"]).latent_dist.mode()).sample.float()
        self.log("val/perceptual", self.features(_frames(decoded), _frames(batch["video"])), prog_bar=True)


def _frames(video: Tensor) -> Tensor:
    """(B, 3, T, H, W) -> (B T, 3, H, W)."""
    return video.transpose(1, 2).flatten(0, 1)
