"""Ridge regression to one-hot classes in closed form, from features that stream by.

With D features and N samples the smaller of two systems is solved: D x D normal equations, or the N x N
kernel. Rows are kept until there are more than D of them, then only their Gram matrix; so memory stays below two
D x D matrices however large the data are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

STRENGTHS = tuple(10.0**e for e in (-4, -3, -2, -1, 0, 1, 2, 3))
"""Regularisation strengths tried, relative to N (features have unit variance)."""


@dataclass(frozen=True)
class LinearClassifier:
    """Scores = (x - mean) / std @ weight + bias."""

    mean: Tensor
    std: Tensor
    weight: Tensor
    bias: Tensor

    def predict(self, features: Tensor) -> Tensor:
        """(N, D) -> class index (N,)."""
        return (((features - self.mean) / self.std) @ self.weight + self.bias).argmax(1)


class RidgeProbe:
    """Collect rows, then solve; a share of the rows is held back to choose the strength."""

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self._rows: list[Tensor] = []
        self._targets: list[Tensor] = []
        self._held: list[Tensor] = []
        self._held_labels: list[Tensor] = []
        self._sums: _Sums | None = None
        self._count = 0

    def add(self, features: Tensor, labels: Tensor, is_held: Tensor) -> None:
        """Rows (N, D) float32 with labels (N,); where `is_held` (N,) bool they only choose the strength at first."""
        self._held.append(features[is_held])
        self._held_labels.append(labels[is_held])
        rows, targets = features[~is_held], self._one_hot(labels[~is_held])
        self._count += len(rows)
        if self._sums is not None:
            self._sums.add(rows, targets)
            return
        self._rows.append(rows)
        self._targets.append(targets)
        if self._count > features.shape[1]:
            kept = torch.cat(self._rows)
            self._sums = _Sums(kept.mean(0), features.shape[1], self.num_classes)
            self._sums.add(kept, torch.cat(self._targets))
            self._rows, self._targets = [], []

    def solve(self) -> tuple[LinearClassifier, float]:
        """Fit on all rows with the strength that predicts the held-back rows best; returns that strength as well."""
        held, labels = torch.cat(self._held), torch.cat(self._held_labels)
        targets = self._one_hot(labels)
        if self._sums is not None:
            strength = _best_strength(_Primal(self._sums), held, labels)
            self._sums.add(held, targets)
            return _Primal(self._sums).fit(strength), strength
        rows, known = torch.cat(self._rows), torch.cat(self._targets)
        strength = _best_strength(_Dual(rows, known), held, labels)
        return _Dual(torch.cat([rows, held]), torch.cat([known, targets])).fit(strength), strength

    def _one_hot(self, labels: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(labels, self.num_classes).float()


class _Sums:
    """Running sums of shifted rows: enough for means, variances and the normal equations."""

    def __init__(self, shift: Tensor, dims: int, classes: int) -> None:
        self.shift = shift  # taken off before summing, so that float32 sums do not cancel
        self.gram = torch.zeros(dims, dims, device=shift.device)
        self.cross = torch.zeros(dims, classes, device=shift.device)
        self.rows = torch.zeros(dims, device=shift.device)
        self.targets = torch.zeros(classes, device=shift.device)
        self.count = 0

    def add(self, rows: Tensor, targets: Tensor) -> None:
        rows = rows - self.shift
        self.gram.addmm_(rows.T, rows)
        self.cross.addmm_(rows.T, targets)
        self.rows += rows.sum(0)
        self.targets += targets.sum(0)
        self.count += len(rows)


class _Primal:
    """Normal equations of standardised features."""

    def __init__(self, sums: _Sums) -> None:
        n = sums.count
        centre = sums.rows / n
        gram = torch.addr(sums.gram, centre, centre, alpha=-n)
        self.std = (gram.diagonal() / n).clamp(min=0).sqrt().clamp(min=1e-6)
        self.gram = gram.div_(self.std[:, None]).div_(self.std[None, :])
        self.target_mean = sums.targets / n
        self.cross = (sums.cross - n * centre[:, None] * self.target_mean) / self.std[:, None]
        self.mean = centre + sums.shift
        self.count = n

    def fit(self, strength: float) -> LinearClassifier:
        system = self.gram.clone()
        system.diagonal().add_(strength * self.count)
        weight = torch.cholesky_solve(self.cross, torch.linalg.cholesky(system))
        return LinearClassifier(self.mean, self.std, weight, self.target_mean)


class _Dual:
    """Kernel form of the same regression, for fewer rows than features."""

    def __init__(self, rows: Tensor, targets: Tensor) -> None:
        self.mean = rows.mean(0)
        self.std = rows.var(0, unbiased=False).sqrt().clamp(min=1e-6)
        self.rows = (rows - self.mean) / self.std
        self.target_mean = targets.mean(0)
        self.targets = targets - self.target_mean
        self.kernel = self.rows @ self.rows.T

    def fit(self, strength: float) -> LinearClassifier:
        system = self.kernel.clone()
        system.diagonal().add_(strength * len(self.rows))
        weight = self.rows.T @ torch.cholesky_solve(self.targets, torch.linalg.cholesky(system))
        return LinearClassifier(self.mean, self.std, weight, self.target_mean)


def _best_strength(system: _Primal | _Dual, held: Tensor, labels: Tensor) -> float:
    """Walk from the middle of STRENGTHS towards better accuracy on the held-back rows; it has one peak in practice."""
    scores: dict[int, float] = {}

    def score(i: int) -> float:
        if i not in scores:
            scores[i] = float((system.fit(STRENGTHS[i]).predict(held) == labels).float().mean())
        return scores[i]

    at = STRENGTHS.index(1.0) if len(held) else len(STRENGTHS) // 2
    if not len(held):
        return STRENGTHS[at]
    for direction in (1, -1):
        while 0 <= at + direction < len(STRENGTHS) and score(at + direction) >= score(at):
            at += direction
    return STRENGTHS[at]
