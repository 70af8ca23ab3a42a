from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from selftaught.core.randomness import generator
from selftaught.evaluation.fit.ridge import STRENGTHS, RidgeProbe


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


def test_the_strength_is_chosen_on_unseen_rows() -> None:
    """Pure noise wants strong regularisation, clean classes no more than the middle."""
    x, y = blobs(120, 100, spread=0.05)
    noise = torch.randn(120, 100, generator=generator("noise"))
    held = torch.rand(120, generator=generator("held")) < 0.25

    def strength(features: torch.Tensor) -> float:
        probe = RidgeProbe(3)
        probe.add(features, y, held)
        return probe.solve()[1]

    clean = RidgeProbe(3)
    clean.add(x, y, held)
    assert float((clean.solve()[0].predict(x) == y).float().mean()) == 1.0
    assert strength(x) == 1.0
    assert strength(noise) >= 10.0


def test_shuffled_labels_give_chance() -> None:
    x, y = blobs(600, 20)
    order = torch.randperm(400, generator=generator("shuffle"))
    probe = RidgeProbe(3)
    probe.add(x[:400], y[:400][order], torch.arange(400) < 80)
    accuracy = float((probe.solve()[0].predict(x[400:]) == y[400:]).float().mean())
    assert accuracy < 0.5


def few(case: str, n: int, d: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (n, d) and labels (n,) of two classes, one of them with one sample where n is odd."""
    x = torch.randn(n, d, generator=generator("few", case, n, d))
    labels = torch.arange(n) % 2 if n % 2 == 0 else (torch.arange(n) == 0).long()
    if case == "identical":
        x = x[:1].expand(n, d).clone()
    if case == "duplicates":
        x = x[torch.arange(n) // 2]
    if case == "constant features":
        x[:, ::2] = 60000.0
    if case == "far from 0":
        x = (x + 500).half().float()
    return x, labels


@pytest.mark.parametrize("case", ["plain", "identical", "duplicates", "constant features", "far from 0"])
def test_any_two_labels_or_more_give_a_classifier(case: str) -> None:
    for n in (2, 3, 4, 5, 8, 12, 37):
        for d in (1, 7, 9000):
            x, labels = few(case, n, d)
            for held in (torch.zeros(n, dtype=torch.bool), torch.arange(n) == n - 1, torch.arange(n) >= n // 2):
                probe = RidgeProbe(2)
                probe.add(x, labels, held)
                classifier, strength = probe.solve()
                assert classifier.weight.isfinite().all(), (n, d)
                assert 1e-4 <= strength <= 1e3
                # Features without noise, as many as there are: the samples themselves are told.
                if case in ("plain", "far from 0") and d == 9000 and n % 2 == 0:
                    assert (classifier.predict(x) == labels).all()
                if case == "identical":
                    assert len(classifier.predict(x).unique()) == 1


@pytest.mark.parametrize(("n", "d"), [(6, 40), (40, 6), (9, 9)])
def test_few_labels_equal_scikit_learn(n: int, d: int) -> None:
    x, y = blobs(n, d)
    y[:3] = torch.arange(3)
    probe = RidgeProbe(3)
    probe.add(x, y, torch.arange(n) < 2)
    classifier, strength = probe.solve()
    z = (x - x.mean(0)) / x.std(0, unbiased=False)
    theirs = Ridge(alpha=strength * n).fit(z.double().numpy(), np.eye(3)[y])
    found = z @ classifier.weight + classifier.bias
    assert np.allclose(found.numpy(), theirs.predict(z.double().numpy()), atol=1e-5)


def test_few_labels_choose_the_strength_that_predicts_each_from_the_others() -> None:
    """Against fits that truly leave one out, for features that noise fills: each strength tells another share."""
    x, y = blobs(24, 200, spread=6.0)
    z = ((x - x.mean(0)) / x.std(0, unbiased=False)).double().numpy()
    targets = np.eye(3)[y]
    shares = []
    for strength in STRENGTHS:
        right = 0
        for i in range(24):
            rest = np.arange(24) != i
            model = Ridge(alpha=strength * 24).fit(z[rest], targets[rest])
            right += int(model.predict(z[i : i + 1]).argmax() == y[i])
        shares.append(right)
    probe = RidgeProbe(3)
    probe.add(x, y, torch.zeros(24, dtype=torch.bool))
    strength = probe.solve()[1]
    assert len(set(shares)) > 2
    assert shares[STRENGTHS.index(strength)] == max(shares)


def test_equal_strengths_take_the_middle() -> None:
    """Two samples, one of each class, are never told from one another: nothing speaks for any strength."""
    probe = RidgeProbe(2)
    probe.add(torch.randn(2, 50, generator=generator("two")), torch.tensor([0, 1]), torch.zeros(2, dtype=torch.bool))
    assert probe.solve()[1] == 1.0


@pytest.mark.parametrize(("n", "d"), [(1200, 1500), (1200, 30)], ids=["kernel", "normal equations"])
def test_many_identical_rows_are_solved_too(n: int, d: int) -> None:
    x = torch.randn(1, d, generator=generator("row")).expand(n, d).half().float()
    labels = torch.arange(n) % 3
    probe = RidgeProbe(3)
    for rows in torch.arange(n).split(100):
        probe.add(x[rows], labels[rows], rows % 5 == 0)
    classifier, _ = probe.solve()
    assert classifier.weight.isfinite().all()
    assert torch.allclose(classifier.bias, torch.full((3,), 1 / 3), atol=1e-3)


@pytest.mark.parametrize("d", [1500, 40], ids=["kernel", "normal equations"])
def test_many_rows_equal_the_textbook_too(d: int) -> None:
    x, y = blobs(1300, d, spread=3.0)
    held = torch.rand(1300, generator=generator("held")) < 0.2
    probe = RidgeProbe(3)
    for rows in torch.arange(1300).split(128):
        probe.add(x[rows], y[rows], held[rows])
    classifier, strength = probe.solve()
    order = torch.cat([(~held).nonzero()[:, 0], held.nonzero()[:, 0]])
    expected = by_numpy(x[order].double().numpy(), y[order].numpy(), strength, x.double().numpy())
    scores = (x - classifier.mean) / classifier.std @ classifier.weight + classifier.bias
    assert np.allclose(scores.numpy(), expected, atol=2e-3)
