"""The loop that trains networks which find boxes and masks, and their learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from selftaught.core.progress import StepProgress

MOMENTUM, DECAY = 0.9, 1e-4
CLIP = 10.0
"""Longest gradient; reached where training would run away, not in between."""
WARMUP = 100
"""Steps in which a stepped rate rises, fewer in a short training."""
POWER = 0.9
B = TypeVar("B")


def train_network(
    network: nn.Module,
    groups: Iterable[dict[str, Any]],
    batches: Iterable[B],
    loss_of: Callable[[int, B], Tensor],
    *,
    steps: int,
    rate: Callable[[int, int], float],
    name: str,
) -> float:
    """Train by SGD with momentum; returns the mean loss of the last tenth of the steps.

    Args:
        groups: the parameters "params" that learn, with their learning rate at its "peak"; empty groups are left out.
        batches: `steps` of them.
        loss_of: number of the step, batch -> scalar.
        rate: number of the step, all steps -> share of the peak; see `stepped` and `polynomial`.
        name: of the network, for people.

    Raises:
        ValueError: the loss is not finite.
    """
    groups = [group | {"lr": group["peak"]} for group in groups if group["params"]]
    optimizer = torch.optim.SGD(groups, momentum=MOMENTUM, weight_decay=DECAY)
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    losses: list[float] = []
    network.train()
    with StepProgress(f"training the {name}", steps) as progress:
        for step, batch in enumerate(batches):
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate(step, steps)
            loss = loss_of(step, batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(weights, CLIP)
            optimizer.step()
            losses.append(float(loss.detach()))
            if not math.isfinite(losses[-1]):
                raise ValueError(f"the loss of the {name} is not finite at step {step + 1}; lower --probe.lr")
            progress.update(step + 1, loss=losses[-1])
    return float(np.mean(losses[-max(1, steps // 10) :]))


def stepped(step: int, steps: int) -> float:
    """Share of the peak: rising in up to 100 steps, a tenth after 3/4 of them, a hundredth after 11/12."""
    rising = min(WARMUP, steps // 10)
    return min(1.0, (step + 1) / (rising + 1)) * 0.1 ** ((step >= steps * 3 / 4) + (step >= steps * 11 / 12))


def polynomial(step: int, steps: int) -> float:
    """Share of the peak: rising in the first twentieth of the steps, falling as (1 - step / steps)^0.9."""
    falling: float = (1 - step / steps) ** POWER
    return min(1.0, (step + 1) / (steps // 20 + 1)) * falling
