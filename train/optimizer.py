"""Muon for matrices and convolution kernels, AdamW for everything else, in one optimiser and one schedule.

Muon: K. Jordan et al., 2024; the update is scaled to AdamW's size as in "Muon is Scalable for LLM Training"
(Moonshot, 2025), so that one learning rate serves both. `torch.optim.Muon` takes two-dimensional parameters
only and would leave the autoencoder's convolutions, where most of its weights lie, to AdamW.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from train.precision import is_mixed_faster

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrices: Tensor, iterations: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrices, roughly, by a quintic Newton-Schulz iteration.

    Args:
        matrices: (..., rows, columns), any float type.
    """
    a, b, c = NEWTON_SCHULZ
    transposed = matrices.size(-2) > matrices.size(-1)
    dtype = torch.bfloat16 if is_mixed_faster(matrices.device.type) else torch.float32
    x = (matrices.mT if transposed else matrices).to(dtype)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if transposed else x).to(matrices.dtype)


class MuonAdamW(Optimizer):
    """One optimiser over two kinds of parameter groups, told apart by the group's `muon` flag."""

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 1e-3,
        *,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        parameters = [p for p in parameters if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim >= 2 and min(p.flatten(1).shape) > 1], "muon": True},
            {"params": [p for p in parameters if p.ndim < 2 or min(p.flatten(1).shape) <= 1], "muon": False},
        ]
        defaults = {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__([group for group in groups if group["params"]], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            updates = (self._muon_updates if group["muon"] else self._adamw_updates)(parameters, group)
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(parameters, updates, alpha=-group["lr"])
        return loss

    def _muon_updates(self, parameters: list[Tensor], group: dict) -> list[Tensor]:
        """Matrices of one shape are orthogonalised together: many small products cost more than few large."""
        for p in parameters:
            if not self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
        momenta, gradients = [self.state[p]["momentum"] for p in parameters], [p.grad for p in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        directions = [d.flatten(1) for d in torch._foreach_lerp(gradients, momenta, group["momentum"])]
        by_shape: dict[torch.Size, list[int]] = {}
        for index, direction in enumerate(directions):
            by_shape.setdefault(direction.shape, []).append(index)
        for shape, indices in by_shape.items():
            turned = orthogonalize(torch.stack([directions[index] for index in indices]))
            for index, update in zip(indices, turned * (0.2 * max(shape) ** 0.5), strict=True):
                directions[index] = update
        return [update.view_as(p) for update, p in zip(directions, parameters, strict=True)]

    def _adamw_updates(self, parameters: list[Tensor], group: dict) -> list[Tensor]:
        for p in parameters:
            if not self.state[p]:
                self.state[p].update(step=0, mean=torch.zeros_like(p), square=torch.zeros_like(p))
            self.state[p]["step"] += 1
        (beta1, beta2), count = group["betas"], self.state[parameters[0]]["step"]
        means, squares = ([self.state[p][name] for p in parameters] for name in ("mean", "square"))
        gradients = [p.grad for p in parameters]
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_lerp_(squares, torch._foreach_mul(gradients, gradients), 1 - beta2)
        sizes = torch._foreach_sqrt(torch._foreach_div(squares, 1 - beta2**count))
        torch._foreach_add_(sizes, group["eps"])
        return list(torch._foreach_div(torch._foreach_div(means, 1 - beta1**count), sizes))


def warmup_stable_decay(
    optimizer: Optimizer, *, warmup_steps: int, decay_steps: int, max_steps: int, floor: float = 0.02
) -> LambdaLR:
    """Linear warm-up, a constant stretch, and a linear decay over the last `decay_steps` of `max_steps`.

    A run is prolonged by resuming it with more `max_steps`, and brought to its end by resuming it with fewer.
    """

    def factor(step: int) -> float:
        rising = min(1.0, (step + 1) / max(1, warmup_steps))
        falling = min(1.0, max(floor, (max_steps - step) / max(1, decay_steps)))
        return rising * falling

    return LambdaLR(optimizer, factor)


class MuonModule(L.LightningModule):
    """Base of every training here: `MuonAdamW` under `warmup_stable_decay`.

    Read from the hyperparameters: lr, warmup_steps, decay_steps, weight_decay where there is one, and muon:
    where it is false, AdamW has all parameters, as in the paper.
    """

    def configure_optimizers(self) -> dict[str, Any]:
        hparams = self.hparams
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimizer_class = MuonAdamW if hparams.get("muon", True) else AdamW
        optimizer = optimizer_class(parameters, lr=hparams.lr, weight_decay=hparams.get("weight_decay", 0.0))
        schedule = warmup_stable_decay(
            optimizer,
            warmup_steps=hparams.warmup_steps,
            decay_steps=hparams.decay_steps,
            max_steps=self.trainer.max_steps,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
