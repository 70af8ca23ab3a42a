"""Least squares with a penalty from the features of each place of a map to one number, from sums alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
"""Of the squared weights of features with a variance of 1, for each place."""


@dataclass(frozen=True, kw_only=True)
class PlaceSums:
    """Sums over places of products of features and of the number, with a 1 as the last feature.

    Attributes:
        gram: (C + 1, C + 1) float64.
        cross: (C + 1,) with the number.
        squared: () of the number with itself.
    """

    gram: Tensor
    cross: Tensor
    squared: Tensor

    @staticmethod
    def of(features: Tensor, values: Tensor) -> PlaceSums:
        """Features (P, C) and the number (P,) of some places."""
        x = torch.cat([features.double(), features.new_ones(len(features), 1).double()], 1)
        y = values.double()
        return PlaceSums(gram=x.T @ x, cross=x.T @ y, squared=y @ y)

    def __add__(self, other: PlaceSums) -> PlaceSums:
        return PlaceSums(
            gram=self.gram + other.gram, cross=self.cross + other.cross, squared=self.squared + other.squared
        )

    def solution(self, penalty: float) -> Tensor:
        """Weights (C + 1,) of the features, the last one of the constant; `penalty` is as if they were standardised."""
        count = self.gram[-1, -1].clamp(min=1)
        variance = (self.gram.diagonal() / count - (self.gram[-1] / count).square()).clamp(min=1e-10)
        ridge = penalty * count * variance
        ridge[-1] = 0
        found: Tensor = torch.linalg.solve(self.gram + torch.diag(ridge + 1e-9), self.cross)
        return found

    def error(self, weights: Tensor) -> float:
        """Mean squared error of weights (C + 1,)."""
        total = self.squared - 2 * weights @ self.cross + weights @ self.gram @ weights
        return float(total / self.gram[-1, -1].clamp(min=1))


def fit_places(parts: Sequence[PlaceSums]) -> Tensor:
    """Weights (C + 1,) from all parts, with the penalty that is best on the last part when fitted on the others."""
    *others, held = parts
    if not others:
        return held.solution(PENALTIES[1])
    first = others[0]
    for one in others[1:]:
        first = first + one
    penalty = min(PENALTIES, key=lambda one: held.error(first.solution(one)))
    return (first + held).solution(penalty)
