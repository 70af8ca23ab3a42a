from __future__ import annotations

import numpy as np
import pytest
import torch

from selftaught.probes.ridge import RidgeProbe
from selftaught.randomness import generator


def blobs(n: int, d: int, spread: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = generator("blobs")
    centres = torch.randn(3, d, generator=rng)
    labels = torch.randint(0, 3, (n,), generator=rng)
    return centres[labels] + spread * torch.randn(n, d, generator=rng) + 5, labels


def by_numpy(x: np.ndarray, y: np.ndarray, strength: float, test: np.ndarray) -> np.ndarray:
    """Ridge on standardised features with an intercept, textbook form."""
    mean, std = x.mean(0), x.std(0)
    z = (x - mean) / std
    targets = np.eye(3)[y]
    weight = np.linalg.solve(z.T @ z + strength * len(z) * np.eye(z.shape[1]), z.T @ (targets - targets.mean(0)))
    return np.asarray((test - mean) / std @ weight + targets.mean(0))


@pytest.mark.parametrize(("n", "d"), [(200, 20), (30, 60)], ids=["more rows", "more features"])
def test_both_forms_equal_the_textbook(n: int, d: int) -> None:
    x, y = blobs(n, d)
    probe = RidgeProbe(3)
    held = torch.rand(n, generator=generator("held")) < 0.2
    for rows in torch.arange(n).split(16):
        probe.add(x[rows], y[rows], held[rows])
    classifier, strength = probe.solve()
    scores = (x - classifier.mean) / classifier.std @ classifier.weight + classifier.bias
    expected = by_numpy(x.double().numpy(), y.numpy(), strength, x.double().numpy())
    assert np.allclose(scores.numpy(), expected, atol=2e-3)


def test_both_forms_agree_with_each_other() -> None:
    x, y = blobs(100, 40)
    whole, streamed = RidgeProbe(3), RidgeProbe(3)
    held = torch.zeros(100, dtype=torch.bool)
    held[::10] = True
    whole.add(torch.cat([x, torch.zeros(0, 40)]), y, held)
    for rows in torch.arange(100).split(7):
        streamed.add(x[rows], y[rows], held[rows])
    assert torch.allclose(whole.solve()[0].weight, streamed.solve()[0].weight, atol=1e-4)


def test_the_strength_is_chosen_on_held_back_rows() -> None:
    """Pure noise wants strong regularisation, clean classes hardly any."""
    x, y = blobs(120, 100, spread=0.05)
    noise = torch.randn(120, 100, generator=generator("noise"))
    held = torch.rand(120, generator=generator("held")) < 0.25

    def strength(features: torch.Tensor) -> float:
        probe = RidgeProbe(3)
        probe.add(features, y, held)
        return probe.solve()[1]

    assert strength(x) > 0
    clean = RidgeProbe(3)
    clean.add(x, y, held)
    assert float((clean.solve()[0].predict(x) == y).float().mean()) == 1.0
    assert strength(noise) != strength(x) or strength(noise) >= 1.0


def test_shuffled_labels_give_chance() -> None:
    x, y = blobs(600, 20)
    order = torch.randperm(400, generator=generator("shuffle"))
    probe = RidgeProbe(3)
    probe.add(x[:400], y[:400][order], torch.arange(400) < 80)
    accuracy = float((probe.solve()[0].predict(x[400:]) == y[400:]).float().mean())
    assert accuracy < 0.5
