"""Multinomial logistic regression, whose outputs are probabilities; ridge regression is faster but has none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.evaluation.fit.ridge import LinearClassifier, spread_of

STRENGTHS = (10.0, 1.0, 1e-1, 1e-2, 1e-3)
"""Tried from the strongest, each from the weights of the one before."""
STEPS = 200
"""Steps of L-BFGS at most."""


def fit_softmax(
    features: Tensor, labels: Tensor, num_classes: int, strength: float, weights: Tensor | None = None
) -> LinearClassifier:
    """Minimise mean_i w_i CE(y_i, W x_i + b) + strength / 2 |W|^2 over standardised features; b is not regularised.

    Args:
        features: (N, D) float32.
        labels: (N,) int64 in [0, num_classes); a class without a sample is given a probability near 0.
        strength: of the regularisation, above 0.
        weights: (N,) of the samples; None counts each once.
    """
    return next(softmax_path(features, labels, num_classes, (strength,), weights))


def softmax_path(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    strengths: Sequence[float] = STRENGTHS,
    weights: Tensor | None = None,
) -> Iterator[LinearClassifier]:
    """As `fit_softmax`, one classifier for each strength, each started from the one before."""
    mean = features.mean(0)
    std, varies = spread_of(features.var(0, unbiased=False).sqrt(), mean)
    rows = (features - mean) * (varies / std)
    weights = torch.ones(len(labels), device=rows.device) if weights is None else weights
    share = weights / weights.sum()
    # The weights are combinations of the rows, so that with fewer rows than features they are sought among those alone.
    basis = torch.linalg.qr(rows.T)[0] if len(rows) < rows.shape[1] else None
    rows = rows if basis is None else rows @ basis
    weight = torch.zeros(rows.shape[1], num_classes, device=rows.device, requires_grad=True)
    bias = torch.zeros(num_classes, device=rows.device, requires_grad=True)
    for strength in strengths:
        _minimise(rows, labels, share, weight, bias, strength)
        found = weight.detach().clone() if basis is None else basis @ weight.detach()
        yield LinearClassifier(mean, std, found * varies[:, None], bias.detach().clone())


def _minimise(rows: Tensor, labels: Tensor, share: Tensor, weight: Tensor, bias: Tensor, strength: float) -> None:
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=STEPS, tolerance_grad=1e-5, tolerance_change=1e-7, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        losses = F.cross_entropy(rows @ weight + bias, labels, reduction="none")
        total: Tensor = share @ losses + strength / 2 * weight.square().sum()
        total.backward()
        return total

    with torch.enable_grad():
        optimizer.step(loss)
