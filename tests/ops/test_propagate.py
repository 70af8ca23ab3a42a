"""Attention over places of reference frames, against loops."""

from __future__ import annotations

import math

import pytest
import torch

from selftaught.ops.propagate import attention, copied


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_shares_and_copies_as_loops(temperature: float) -> None:
    torch.manual_seed(0)
    target, references = torch.randn(1, 3, 2, 2), torch.randn(1, 2, 3, 2, 2)
    values = torch.randn(1, 2, 1, 2, 2)
    shares = attention(target, references, temperature=temperature)
    found = copied(shares, values)
    places = [(y, x) for y in range(2) for x in range(2)]
    for j, (y, x) in enumerate(places):
        weights = []
        for r in range(2):
            for a, b in places:
                product = sum(float(target[0, d, y, x] * references[0, r, d, a, b]) for d in range(3))
                weights.append(math.exp(product / temperature))
        expected = [weight / sum(weights) for weight in weights]
        assert shares[0, j].tolist() == pytest.approx(expected, rel=1e-4)
        mean = sum(w * float(values[0, i // 4, 0, *places[i % 4]]) for i, w in enumerate(expected))
        assert float(found[0, 0, y, x]) == pytest.approx(mean, rel=1e-4, abs=1e-6)


def test_a_frame_that_looks_like_no_other_place_takes_its_own_values() -> None:
    features = 20 * torch.eye(6).view(1, 6, 2, 3)
    values = torch.rand(1, 1, 4, 2, 3)
    moved = features.flip(3)
    torch.testing.assert_close(copied(attention(moved, features[:, None]), values), values[:, 0].flip(3))
