"""Losses that two or more tasks share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.core.distributed import first_row, gather_rows


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Normalised temperature-scaled cross entropy (SimCLR, Chen et al. 2020, eq. 1).

    For every view the positive is the other view of its image, and the negatives are the 2 (N - 1)
    views of all other images in the global batch: with several processes, rows of all are gathered
    with gradient.

    Args:
        first: (N, D) embeddings of the first views, any length; second: of the second views.
        temperature: above 0.

    Returns:
        The loss, a mean over this process's 2N views, and the share of them whose nearest other view
        is the positive.
    """
    n = first.shape[0]
    dtype = torch.promote_types(first.dtype, torch.float32)
    first, second = F.normalize(first.to(dtype), dim=1), F.normalize(second.to(dtype), dim=1)
    all_first, all_second = gather_rows(first), gather_rows(second)
    total = all_first.shape[0]
    logits = torch.cat([first, second]) @ torch.cat([all_first, all_second]).T / temperature
    own = torch.arange(n, device=first.device) + first_row(first)
    itself = torch.cat([own, own + total])
    positive = torch.cat([own + total, own])
    logits = logits.scatter(1, itself[:, None], float("-inf"))
    accuracy = (logits.argmax(1) == positive).float().mean()
    return F.cross_entropy(logits, positive), accuracy


def classification(logits: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Cross entropy and accuracy: logits (N, K), target (N,) int64, or both with the same further axes.

    Raises:
        ValueError: for other shapes.
    """
    if logits.ndim < 2 or (len(logits), *logits.shape[2:]) != tuple(target.shape):
        raise ValueError(
            f"classification takes logits (N, K) and labels (N,), got {tuple(logits.shape)} and {tuple(target.shape)}"
        )
    return {
        "loss": F.cross_entropy(logits.float(), target),
        "accuracy": (logits.detach().argmax(1) == target).float().mean(),
    }


def discriminator_bce(real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
    """A discriminator's cross entropy on logits of real and generated images (Goodfellow et al. 2014, eq. 1, negated).

    Any shapes; above 0 means real. Returns the sum of both halves' means, and the accuracy over all.
    """
    real, made = real.float(), made.float()
    loss = F.softplus(-real).mean() + F.softplus(made).mean()
    right = torch.cat([(real.detach() > 0).flatten(), (made.detach() <= 0).flatten()])
    return loss, right.float().mean()


def generator_bce(made: Tensor) -> Tensor:
    """A generator's loss on the logits of its images: -log D, which does not saturate (ibid., section 3)."""
    return F.softplus(-made.float()).mean()


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of (N,) with weights (N,) of 0 and 1 over all processes; 0 where all are 0, so that it changes nothing.

    A process's gradient is averaged with those of the others, so its sum is divided by the mean sum of weights.
    """
    total = gather_rows(weights)
    return (values * weights).sum() / (total.sum() * len(weights) / len(total)).clamp(min=1e-6)


def weighted_accuracy(right: Tensor, weights: Tensor, chance: float | Tensor) -> Tensor:
    """`weighted_mean` of what is right; `chance` where nothing counts, which would draw means over batches to 0."""
    return torch.where(gather_rows(weights).sum() > 0, weighted_mean(right, weights), chance)
