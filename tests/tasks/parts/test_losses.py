from __future__ import annotations

import math

import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.tasks.parts.losses import (
    classification,
    discriminator_bce,
    generator_bce,
    nt_xent,
    weighted_accuracy,
    weighted_mean,
)


def by_loops(first: torch.Tensor, second: torch.Tensor, temperature: float) -> float:
    """Equation 1 of SimCLR, written as the paper's algorithm 1: l(2k-1, 2k) and l(2k, 2k-1), averaged."""
    n = len(first)
    z = [row for pair in zip(first.tolist(), second.tolist(), strict=True) for row in pair]

    def similarity(a: list[float], b: list[float]) -> float:
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))

    total = 0.0
    for k in range(n):
        for i, j in ((2 * k, 2 * k + 1), (2 * k + 1, 2 * k)):
            below = sum(math.exp(similarity(z[i], z[m]) / temperature) for m in range(2 * n) if m != i)
            total -= math.log(math.exp(similarity(z[i], z[j]) / temperature) / below)
    return total / (2 * n)


def pair(n: int = 6, d: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    rng = generator("embeddings")
    first = torch.randn(n, d, generator=rng)
    return first, first + 0.5 * torch.randn(n, d, generator=rng)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
def test_nt_xent_equals_the_papers_double_loop(temperature: float) -> None:
    first, second = pair()
    assert float(nt_xent(first, second, temperature)[0]) == pytest.approx(
        by_loops(first, second, temperature), rel=1e-5
    )


def test_nt_xent_equals_lightlys() -> None:
    lightly_loss = pytest.importorskip("lightly.loss", reason="lightly is not installed")
    first, second = pair(16, 32)
    theirs = lightly_loss.NTXentLoss(temperature=0.2)(first, second)
    assert float(nt_xent(first, second, 0.2)[0]) == pytest.approx(float(theirs), rel=1e-5)


def test_nt_xent_is_symmetric_and_blind_to_order_and_length() -> None:
    first, second = pair()
    value = nt_xent(first, second, 0.2)[0]
    order = torch.randperm(6, generator=generator("order"))
    assert torch.allclose(value, nt_xent(second, first, 0.2)[0])
    assert torch.allclose(value, nt_xent(first[order], second[order], 0.2)[0])
    assert torch.allclose(value, nt_xent(3 * first, 0.1 * second, 0.2)[0])


def test_accuracy_counts_found_partners() -> None:
    first, second = torch.eye(4), torch.eye(4)
    assert float(nt_xent(first, second, 0.2)[1]) == 1.0
    assert float(nt_xent(first, second.roll(1, 0), 0.2)[1]) == 0.0


def test_classification_gives_the_mean_negative_log_likelihood() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    scalars = classification(logits, torch.tensor([0, 0]))
    expected = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(1))) / 2
    assert float(scalars["loss"]) == pytest.approx(expected, rel=1e-5)
    assert float(scalars["accuracy"]) == 0.5


@pytest.mark.parametrize(
    ("logits", "target", "got"), [((8,), (8,), r"\(8,\) and \(8,\)"), ((4, 3), (8,), r"\(4, 3\) and \(8,\)")]
)
def test_classification_says_which_shapes_it_takes(logits: tuple[int], target: tuple[int], got: str) -> None:
    with pytest.raises(ValueError, match=rf"^classification takes logits \(N, K\) and labels \(N,\), got {got}$"):
        classification(torch.zeros(logits), torch.zeros(target, dtype=torch.int64))
    maps = classification(torch.zeros(2, 3, 5), torch.zeros(2, 5, dtype=torch.int64))
    assert float(maps["loss"]) == pytest.approx(math.log(3), rel=1e-5)


def test_adversarial_losses_are_the_papers_cross_entropies() -> None:
    """-log D(x) - log(1 - D(G(z))) for the discriminator, -log D(G(z)) for the generator, D a sigmoid."""
    real, made = [2.0, -1.0, 0.5], [-0.5, 3.0, -4.0]

    def d(logit: float) -> float:
        return 1 / (1 + math.exp(-logit))

    loss, accuracy = discriminator_bce(torch.tensor(real), torch.tensor(made))
    expected = -sum(math.log(d(x)) for x in real) / 3 - sum(math.log(1 - d(z)) for z in made) / 3
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert float(accuracy) == pytest.approx(4 / 6)
    assert float(generator_bce(torch.tensor(made))) == pytest.approx(-sum(math.log(d(z)) for z in made) / 3, rel=1e-5)


def test_a_generator_that_is_found_out_has_a_gradient_left() -> None:
    logits = torch.tensor([-30.0], requires_grad=True)
    generator_bce(logits).backward()
    assert logits.grad is not None
    assert float(logits.grad) == pytest.approx(-1.0)


def test_a_weighted_mean_is_over_what_counts() -> None:
    values = torch.tensor([1.0, 2.0, 6.0])
    assert float(weighted_mean(values, torch.tensor([1.0, 0.0, 1.0]))) == 3.5
    assert float(weighted_mean(values, torch.zeros(3))) == 0
    assert float(weighted_accuracy(values, torch.tensor([1.0, 0.0, 1.0]), 0.25)) == 3.5
    assert float(weighted_accuracy(values, torch.zeros(3), 0.25)) == 0.25
