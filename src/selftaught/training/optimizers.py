"""Optimisers, parameter groups and the learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class LARS(Optimizer):
    """Layer-wise adaptive rate scaling with momentum (You, Gitman, Ginsburg 2017, algorithm 1).

    For a layer with weights w and gradient g: v <- momentum * v + lr * trust * |w| / (|g| + decay * |w|) *
    (g + decay * w), then w <- w - v. Vectors (biases, normalisation) take the plain momentum step, as in SimCLR and
    BYOL, and so does a layer whose weights or gradient are all 0.

    `timm.optim.Lars` has the rate outside of the momentum, w <- w - lr * v, which is the same at a constant rate only:
    the paper's keeps each step's rate with its gradient while the rate rises and falls.
    """

    def __init__(self, params: Any, lr: float, momentum: float = 0.9, weight_decay: float = 0.0, trust: float = 1e-3):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update from the gradients at hand."""
        for group in self.param_groups:
            decay = group["weight_decay"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                update = p.grad.add(p, alpha=decay) if decay else p.grad
                if p.ndim > 1:
                    w, g = p.norm(), p.grad.norm()
                    ratio = torch.where((w > 0) & (g > 0), group["trust"] * w / (g + decay * w), torch.ones_like(w))
                    update = update * ratio
                state = self.state[p]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(p)
                p.sub_(state["momentum_buffer"].mul_(group["momentum"]).add_(update, alpha=group["lr"]))


def build_optimizer(
    task: nn.Module, name: str, lr: float, weight_decay: float, betas: tuple[float, float] = (0.9, 0.999)
) -> Optimizer:
    """An optimiser over all trainable parameters; vectors (biases, normalisation) are not decayed."""
    params = [p for p in task.parameters() if p.requires_grad]
    groups: Iterable[dict[str, Any]] = [
        {"params": [p for p in params if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if name == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=betas[0], nesterov=betas[0] > 0, fused=True)
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=lr, betas=betas, fused=True)
    if name == "lars":
        return LARS(groups, lr=lr)
    raise ValueError(f"unknown optimizer {name!r}; it is sgd, adamw or lars")


def learning_rate(step: float, steps: int, peak: float, warmup: float) -> float:
    """Linear from 0 in the first `warmup` x `steps` steps, then a cosine to 0 (Loshchilov & Hutter 2017)."""
    rising = int(warmup * steps)
    if step < rising:
        return peak * (step + 1) / (rising + 1)
    return peak * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def clip_gradient(parameters: Iterable[Tensor], norm: float | None) -> None:
    """Scale the gradient down to `norm` where it is longer."""
    if norm is not None:
        nn.utils.clip_grad_norm_(list(parameters), norm)
