"""One hidden layer on frozen features, trained until the accuracy on held-back samples stops rising.

Why not scikit-learn's `MLPClassifier`: docs/decisions/0005-libraries-measured.md.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

ROWS = 4096
"""Rows that are standardised or evaluated at once."""
LEAST_STEPS = 20
"""Steps between two looks at the held-back samples, where an epoch has fewer."""
FITTED = 0.01
"""Cross entropy of samples that are one batch below which there is nothing left to learn from them."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained: AdamW without schedule (Loshchilov & Hutter, ICLR 2019), stopped early.

    Attributes:
        epochs: at most, of at least `LEAST_STEPS` steps each.
        patience: epochs without better accuracy on the held-back samples after which training ends.
    """

    hidden: int
    lr: float
    weight_decay: float
    batch_size: int
    epochs: int
    patience: int


class HiddenLayer(nn.Module):
    """Features (N, d) -> class scores (N, K): standardised, one layer with ReLU, one without.

    Attributes:
        best_epoch: the one whose weights these are, from 1.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor, hidden: int, num_classes: int, rng: Generator) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.first = _layer(len(mean), hidden, rng)
        self.second = _layer(hidden, num_classes, rng)
        self.best_epoch = 0

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.second(F.relu(self.first((x - self.mean) / self.std)))
        return scores

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """(N, d) -> class index (N,)."""
        found: Tensor = self(x).argmax(1)
        return found


def fit_hidden_layer(
    values: NDArray[np.float16],
    labels: NDArray[np.int64],
    held: NDArray[np.bool_],
    num_classes: int,
    training: Training,
    *,
    rng: Generator,
    device: torch.device,
) -> HiddenLayer:
    """The network of the epoch with the best accuracy on held-back samples; of the last epoch if none are held back.

    Samples that are a single batch are trained on no longer than it takes to fit them.

    Args:
        values: (N, d) features of the training samples.
        labels: (N,) class indices.
        held: (N,) bool, the samples that only stop the training.
        rng: on the CPU; draws the first weights and the order of the samples.
    """
    fitted, judged = np.flatnonzero(~held), np.flatnonzero(held)
    network = HiddenLayer(*_statistics(values, fitted), training.hidden, num_classes, rng).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=training.lr, weight_decay=training.weight_decay)
    batch_size = min(training.batch_size, len(fitted))
    steps = max(LEAST_STEPS, len(fitted) // batch_size)
    best, kept = -1.0, copy.deepcopy(network.state_dict())
    order = torch.empty(0, dtype=torch.int64)
    for epoch in range(1, training.epochs + 1):
        for _ in range(steps):
            if len(order) < batch_size:
                order = torch.randperm(len(fitted), generator=rng)
            rows, order = fitted[order[:batch_size].numpy()], order[batch_size:]
            optimizer.zero_grad(set_to_none=True)
            expected = torch.from_numpy(labels[rows]).to(device)
            loss = F.cross_entropy(network(torch.from_numpy(values[rows]).to(device).float()), expected)
            loss.backward()
            optimizer.step()
        accuracy = _accuracy(network, values, labels, judged, device) if len(judged) else float(epoch)
        if accuracy > best:
            best, kept, network.best_epoch = accuracy, copy.deepcopy(network.state_dict()), epoch
        elif epoch - network.best_epoch >= training.patience:
            break
        if batch_size == len(fitted) and float(loss.detach()) < FITTED:
            break
    network.load_state_dict(kept)
    return network.eval()


def _layer(inputs: int, outputs: int, rng: Generator) -> nn.Linear:
    """As PyTorch draws it, from our generator."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)
    bound = 1 / math.sqrt(inputs)
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=rng)
        layer.bias.uniform_(-bound, bound, generator=rng)
    return layer


def _statistics(values: NDArray[np.float16], rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (d,) of some rows; on the CPU, as not every device has float64."""
    total = torch.zeros(values.shape[1], dtype=torch.float64)
    squares = torch.zeros_like(total)
    for part in np.split(rows, range(ROWS, len(rows), ROWS)):
        x = torch.from_numpy(values[part]).double()
        total += x.sum(0)
        squares += x.square().sum(0)
    mean = total / len(rows)
    std = (squares / len(rows) - mean.square()).clamp(min=0).sqrt().clamp(min=1e-6)
    return mean.float(), std.float()


def _accuracy(
    network: HiddenLayer,
    values: NDArray[np.float16],
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    device: torch.device,
) -> float:
    right = 0
    for part in np.split(rows, range(ROWS, len(rows), ROWS)):
        found = network.predict(torch.from_numpy(values[part]).to(device).float()).cpu().numpy()
        right += int((found == labels[part]).sum())
    return right / len(rows)
