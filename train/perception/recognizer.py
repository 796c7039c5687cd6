"""The face recognisers: a small residual network under the ArcFace or the CurricularFace loss.

    python -m train fit --config train/configs/recognizer.yaml
    python -m train fit --config train/configs/curricular.yaml

A batch holds `crops` (B, 3, 112, 112) in [0, 1], aligned as insightface's `norm_crop` does, and
`identities` (B,) long, numbered from 0.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.optimizer import MuonModule
from train.perception.detector import ResidualBlock, conv_unit

CROP_SIZE = 112


class FaceRecognizer(nn.Module):
    """Embeddings (B, dim), of any length, of aligned faces: RGB, (B, 3, 112, 112), (x - 127.5) / 127.5."""

    def __init__(self, dim: int = 256, widths: tuple[int, int, int] = (48, 96, 192)) -> None:
        super().__init__()
        first, second, third = widths
        self.stem = nn.Sequential(
            nn.Conv2d(3, first, 6, stride=4, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
        )
        self.stages = nn.Sequential(
            ResidualBlock(first),
            conv_unit(first, second, stride=2),
            ResidualBlock(second),
            ResidualBlock(second),
            conv_unit(second, third, stride=2),
            ResidualBlock(third),
            ResidualBlock(third),
        )
        # Global depthwise convolution (MobileFaceNets, Chen et al. 2018): each place of the face has its
        # own weight.
        self.gather = nn.Sequential(
            nn.Conv2d(third, third, CROP_SIZE // 16, groups=third, bias=False), nn.BatchNorm2d(third)
        )
        self.project = nn.Sequential(nn.Linear(third, dim, bias=False), nn.BatchNorm1d(dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.gather(self.stages(self.stem(x))).flatten(1))


class MarginHead(nn.Module):
    """Base of the losses: the training identities' centres on the unit sphere."""

    def __init__(self, dim: int, num_identities: int, *, scale: float) -> None:
        super().__init__()
        self.centers = nn.Parameter(0.05 * torch.randn(num_identities, dim))
        self.scale = scale

    def cosines(self, embeddings: Tensor, identities: Tensor, margin: float) -> tuple[Tensor, Tensor, Tensor]:
        """Cosines to all centres (B, identities) and to the own one (B, 1), plain and with the own angle
        widened by the margin, in radians."""
        cosine = F.normalize(embeddings.float()) @ F.normalize(self.centers.float()).T
        own = cosine.gather(1, identities[:, None]).clamp(-1 + 1e-6, 1 - 1e-6)
        return cosine, own, torch.cos((own.acos() + margin).clamp(max=math.pi))


class ArcFaceHead(MarginHead):
    """Additive angular margin (Deng et al. 2019, eq. 3) over the training identities."""

    def forward(self, embeddings: Tensor, identities: Tensor, margin: float) -> Tensor:
        """Scaled logits (B, identities)."""
        cosine, _, widened = self.cosines(embeddings, identities, margin)
        return self.scale * cosine.scatter(1, identities[:, None], widened)


class CurricularFaceHead(MarginHead):
    """Adaptive curriculum (Huang et al. 2020): hard negatives count the more, the further training is."""

    MOMENTUM = 0.99

    def __init__(self, dim: int, num_identities: int, *, scale: float) -> None:
        super().__init__(dim, num_identities, scale=scale)
        self.register_buffer("t", torch.zeros(()))

    def forward(self, embeddings: Tensor, identities: Tensor, margin: float) -> Tensor:
        """Scaled logits (B, identities)."""
        cosine, own, widened = self.cosines(embeddings, identities, margin)
        if self.training:
            # eq. 7: t follows the mean cosine of the positives.
            self.t.lerp_(own.detach().float().mean(), 1 - self.MOMENTUM)
        # eq. 5: a negative nearer than the widened positive is hard and is modulated by t + cos.
        modulated = torch.where(cosine > widened, cosine * (self.t + cosine), cosine)
        return self.scale * modulated.scatter(1, identities[:, None], widened)


HEADS: dict[str, type[MarginHead]] = {"arcface": ArcFaceHead, "curricularface": CurricularFaceHead}


class Recognizer(MuonModule):
    """Classification of the training identities; the margin grows from 0 during `margin_steps`."""

    def __init__(
        self,
        num_identities: int = 4000,
        dim: int = 256,
        widths: tuple[int, int, int] = (48, 96, 192),
        loss: Literal["arcface", "curricularface"] = "arcface",
        scale: float = 32.0,
        margin: float = 0.35,
        margin_steps: int = 300,
        lr: float = 2e-3,
        warmup_steps: int = 30,
        decay_steps: int = 500,
        weight_decay: float = 0.02,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.recognizer = FaceRecognizer(dim, widths)
        self.head = HEADS[loss](dim, num_identities, scale=scale)

    def embed(self, crops: Tensor) -> Tensor:
        """Unit embeddings (B, dim) of crops (B, 3, 112, 112) in [0, 1]."""
        return F.normalize(self.recognizer(crops * 2 - 1).float())

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        margin = self.hparams.margin * min(1.0, self.global_step / max(1, self.hparams.margin_steps))
        embeddings = self.recognizer(batch["crops"] * 2 - 1)
        logits = self.head(embeddings, batch["identities"], margin)
        loss = F.cross_entropy(logits, batch["identities"])
        correct = (logits.argmax(1) == batch["identities"]).float().mean()
        self.log_dict({"train/loss": loss, "train/accuracy": correct}, prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        embeddings = self.embed(batch["crops"])
        similarity = embeddings @ embeddings.T
        same = batch["identities"][:, None] == batch["identities"]
        own = same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
        scores = {"val/same": similarity[own].mean(), "val/others": similarity[~same].mean()}
        self.log_dict(scores, prog_bar=True, batch_size=len(embeddings))
