"""Ridge regression to one-hot classes in closed form, from features that stream by.

With D features and N samples the smaller of two systems is solved: D x D normal equations, or the N x N kernel. Rows
are kept until there are more than both D and `FEW` of them, then only their Gram matrix; so memory stays below two
D x D matrices however large the data are.

Up to `FEW` samples the kernel is decomposed once, in float64, which gives the fit and its leave-one-out predictions
for every strength: no sample is spared for choosing it, and none of two labels a class makes the system singular.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

STRENGTHS = tuple(10.0**e for e in (-4, -3, -2, -1, 0, 1, 2, 3))
"""Regularisation strengths tried, relative to N (features have unit variance)."""
MIDDLE = STRENGTHS.index(1.0)
FEW = 1024
"""Samples up to which the strength is chosen by leaving one out; above, on the rows that are held back."""
STEADY = 1e-6
"""A feature whose standard deviation is below this share of its size is rounding, and counts as constant."""


@dataclass(frozen=True)
class LinearClassifier:
    """Scores = (x - mean) / std @ weight + bias."""

    mean: Tensor
    std: Tensor
    weight: Tensor
    bias: Tensor

    def scores(self, features: Tensor) -> Tensor:
        """(N, D) -> (N, K), the higher the more probable."""
        return ((features - self.mean) / self.std) @ self.weight + self.bias

    def predict(self, features: Tensor) -> Tensor:
        """(N, D) -> class index (N,)."""
        return self.scores(features).argmax(1)


class RidgeProbe:
    """Collect rows, then solve; a share of the rows is held back to choose the strength where there are many.

    Attributes:
        reached: share in [0, 1] of the rows that were predicted right from others, with the strength that `solve`
            chose; 0 where none could be.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.reached = 0.0
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
        if self._count > max(FEW, features.shape[1]):
            kept = torch.cat(self._rows)
            self._sums = _Sums(kept.mean(0), features.shape[1], self.num_classes)
            self._sums.add(kept, torch.cat(self._targets))
            self._rows, self._targets = [], []

    def solve(self) -> tuple[LinearClassifier, float]:
        """Fit on all rows with the strength that predicts unseen rows best; returns that strength as well."""
        held, labels = torch.cat(self._held), torch.cat(self._held_labels)
        targets = self._one_hot(labels)
        if self._sums is not None:
            primal = _Primal(self._sums)
            strength, self.reached = _best_strength(
                lambda s: _share_right(primal.fit(s).predict(held), labels), len(held)
            )
            if not len(held):
                return primal.fit(strength), strength
            self._sums.add(held, targets)
            return _Primal(self._sums).fit(strength), strength
        rows, known = torch.cat([*self._rows, held]), torch.cat([*self._targets, targets])
        if len(rows) <= FEW:
            classifier, strength, self.reached = _fit_few(rows, known)
            return classifier, strength
        dual = _Dual(rows, known)
        fitted = len(rows) - len(held)
        strength, self.reached = _best_strength(lambda s: _share_right(dual.predict_rest(fitted, s), labels), len(held))
        return dual.fit(strength), strength

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
        self.mean = centre + sums.shift
        self.std, varies = spread_of((gram.diagonal() / n).clamp(min=0).sqrt(), self.mean)
        scale = varies / self.std
        self.gram = gram.mul_(scale[:, None]).mul_(scale[None, :])
        self.target_mean = sums.targets / n
        self.cross = (sums.cross - n * centre[:, None] * self.target_mean) * scale[:, None]
        self.count = n

    def fit(self, strength: float) -> LinearClassifier:
        weight = _solve(self.gram, strength * self.count, self.cross)
        return LinearClassifier(self.mean, self.std, weight, self.target_mean)


class _Dual:
    """Kernel form of the same regression, for fewer rows than features."""

    def __init__(self, rows: Tensor, targets: Tensor) -> None:
        self.mean = rows.mean(0)
        self.std, varies = spread_of(rows.var(0, unbiased=False).sqrt(), self.mean)
        self.rows = (rows - self.mean) * (varies / self.std)
        self.targets = targets
        self.kernel = self.rows @ self.rows.T

    def predict_rest(self, fitted: int, strength: float) -> Tensor:
        """Classes of all rows from `fitted` on, by a fit on those before, standardised by all."""
        kernel, known = self.kernel[:fitted, :fitted], self.targets[:fitted]
        columns = kernel.mean(0)
        centred = kernel - columns - columns[:, None] + columns.mean()
        weight = _solve(centred, strength * fitted, known - known.mean(0))
        rest = self.kernel[fitted:, :fitted]
        # The weights of the rows sum to 0, so that the centring leaves only the columns' means to take off.
        return ((rest - columns) @ weight + known.mean(0)).argmax(1)

    def fit(self, strength: float) -> LinearClassifier:
        mean = self.targets.mean(0)
        weight = self.rows.T @ _solve(self.kernel, strength * len(self.rows), self.targets - mean)
        return LinearClassifier(self.mean, self.std, weight, mean)


def _fit_few(rows: Tensor, targets: Tensor) -> tuple[LinearClassifier, float, float]:
    """The same regression in float64 with the strength that predicts each row best from the others, and how well.

    Left out, row i would be predicted y_i - (y_i - f_i) / (1 - h_ii), with the fit f = H y on all rows (Golub, Heath &
    Wahba, Technometrics 1979): one decomposition of the kernel serves every strength.
    """
    device, n = rows.device, len(rows)
    x, y = rows.cpu().double(), targets.cpu().double()  # not every device has float64
    mean, target_mean = x.mean(0), y.mean(0)
    std, varies = spread_of(x.var(0, unbiased=False).sqrt(), mean)
    x = (x - mean) * (varies / std)
    values, vectors = torch.linalg.eigh(x @ x.T)
    values = values.clamp(min=0)
    turned = vectors.T @ (y - target_mean)

    def left_out(strength: float) -> float:
        kept = values / (values + strength * n)
        fit = vectors @ (kept[:, None] * turned) + target_mean
        free = (1 - 1 / n - vectors.square() @ kept).clamp(min=1e-12)
        return _share_right((y - (y - fit) / free[:, None]).argmax(1), y.argmax(1))

    scores = [left_out(strength) for strength in STRENGTHS]
    best = max(range(len(STRENGTHS)), key=lambda i: (scores[i], -abs(i - MIDDLE), i))
    weight = x.T @ (vectors @ (turned / (values + STRENGTHS[best] * n)[:, None]))
    parts = (part.float().to(device) for part in (mean, std, weight, target_mean))
    return LinearClassifier(*parts), STRENGTHS[best], scores[best]


def spread_of(std: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """What to divide features (D,) by, and whether they vary (D,) bool; 1 for those that do not."""
    varies = std > (STEADY * mean.abs()).clamp(min=STEADY)
    return torch.where(varies, std, torch.ones_like(std)), varies


def _solve(system: Tensor, ridge: float, right: Tensor) -> Tensor:
    """(system + ridge I)^-1 right for a symmetric system (M, M) with no eigenvalue below 0 but by rounding.

    Where rounding makes it singular, it is solved in float64, and then with ten times the ridge, until it is not.
    """
    for times in range(8):
        for dtype in (torch.float32, torch.float64):
            shifted = system.clone() if dtype == system.dtype else system.cpu().to(dtype)
            shifted.diagonal().add_(ridge * 10.0**times)
            factor, failed = torch.linalg.cholesky_ex(shifted)
            if not failed:
                return torch.cholesky_solve(right.to(factor), factor).to(right)
    raise ValueError("features are not finite; the encoder's training diverged, lower --lr")


def _share_right(found: Tensor, labels: Tensor) -> float:
    return float((found == labels).float().mean())


def _best_strength(score: Callable[[float], float], held: int) -> tuple[float, float]:
    """Search STRENGTHS from the middle for the best held-back accuracy, which has one peak in practice; and that."""
    at = MIDDLE
    best = score(STRENGTHS[at]) if held else 1.0
    for direction in (1, -1):
        tried, found = at, best
        # An equal share is walked on from, but never moved to: no strength is chosen that was not better.
        while best < 1 and found >= best and 0 <= tried + direction < len(STRENGTHS):
            tried += direction
            found = score(STRENGTHS[tried])
            if found > best:
                at, best = tried, found
        if at != MIDDLE:
            break
    return STRENGTHS[at], best if held else 0.0
