"""Weights from sums against least squares, and the penalty that is best on the part held back."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from selftaught.evaluation.fit.dense_ridge import PENALTIES, PlaceSums, fit_places


def places(count: int, seed: int, *, noise: float = 0.1) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 6, generator=rng) * torch.tensor([1.0, 10, 0.1, 1, 1, 1]) + 3
    y = x @ torch.tensor([1.0, 0.1, 5, 0, 0, -1]) + 2
    return x, y + noise * torch.randn(count, generator=rng)


def test_sums_are_enough_for_least_squares_and_its_error() -> None:
    x, y = places(50, 1)
    sums = PlaceSums.of(x[:20], y[:20]) + PlaceSums.of(x[20:], y[20:])
    ones = torch.cat([x, torch.ones(50, 1)], 1).double()
    expected = torch.linalg.lstsq(ones, y.double()[:, None]).solution[:, 0]
    found = sums.solution(0.0)
    assert torch.allclose(found, expected, atol=1e-6)
    assert sums.error(found) == pytest.approx(float((ones @ expected - y).square().mean()), abs=1e-6)


def test_the_penalty_is_that_of_standardised_features() -> None:
    x, y = places(50, 1)
    scale = torch.tensor([3.0, 0.2, 7, 1, 50, 2])
    one, other = PlaceSums.of(x, y).solution(0.1), PlaceSums.of(x * scale, y).solution(0.1)
    assert torch.allclose(one[:-1], other[:-1] * scale, rtol=1e-4)


def test_the_penalty_is_chosen_on_the_last_part() -> None:
    few, held = places(8, 1, noise=3.0), places(2000, 2, noise=3.0)
    parts = [PlaceSums.of(*few), PlaceSums.of(*held)]
    errors = {one: parts[1].error(parts[0].solution(one)) for one in PENALTIES}
    best = min(errors, key=lambda one: errors[one])
    assert torch.allclose(fit_places(parts), (parts[0] + parts[1]).solution(best))
