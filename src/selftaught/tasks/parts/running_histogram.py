"""Running class frequencies in training, the same in all processes and saved with the weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from selftaught.core.distributed import gather_rows


class RunningHistogram(nn.Module):
    """The share of each of K classes, a mean over all batches since the start of training.

    Its state is in buffers, so a resumed run continues with the same numbers. Counts are summed over all processes.

    Attributes:
        share: (K,) float32, sums to 1; uniform at first.
        batches: number of batches added.
    """

    share: Tensor
    batches: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("share", torch.full((classes,), 1 / classes))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def add(self, classes: Tensor, weights: Tensor | None = None) -> None:
        """Add a batch: class indices of any shape, and how much each counts."""
        flat = None if weights is None else weights.flatten().float()
        counts = torch.bincount(classes.flatten(), flat, minlength=len(self.share)).float()
        total = gather_rows(counts[None]).sum(0)
        self.batches += 1
        self.share.lerp_(total / total.sum().clamp(min=1e-12), 1 / self.batches.float())

    def surprise(self) -> Tensor:
        """-log of the share of each class, (K,): the loss of predicting the class frequencies.

        A thousandth is spread over all classes, so that classes which have not occurred yet have a finite value.
        """
        return -(0.999 * self.share + 0.001 / len(self.share)).log()
