"""Losses of adversarial games against their equations; what batch normalisation sees and remembers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from selftaught.core.randomness import generator
from selftaught.tasks.parts.adversarial import (
    Objective,
    discriminator_loss,
    generator_loss,
    gradient_lengths,
    own_statistics,
    running_statistics,
)


def scores(name: str, n: int = 5) -> Tensor:
    return 2 * torch.randn(n, generator=generator(name))


@pytest.mark.parametrize("objective", ["dcgan", "wgan_gp", "hinge"])
def test_losses_equal_the_papers_equations_in_loops(objective: Objective) -> None:
    real, made = scores("real"), scores("made", 7)
    paid, taken = 0.0, 0.0
    for s in real.tolist():
        paid += {"dcgan": -math.log(1 / (1 + math.exp(-s))), "wgan_gp": -s, "hinge": max(0.0, 1 - s)}[objective] / 5
    for s in made.tolist():
        sigmoid = 1 / (1 + math.exp(-s))
        paid += {"dcgan": -math.log(1 - sigmoid), "wgan_gp": s, "hinge": max(0.0, 1 + s)}[objective] / 7
        taken += (-math.log(sigmoid) if objective == "dcgan" else -s) / 7
    assert float(discriminator_loss(objective, real, made)) == pytest.approx(paid, rel=1e-5)
    assert float(generator_loss(objective, made)) == pytest.approx(taken, rel=1e-5)


def pictures(name: str, n: int = 4) -> Tensor:
    return torch.randn(n, 3, 4, 4, generator=generator(name))


def test_gradient_lengths_are_those_at_points_between() -> None:
    """For w * sum of squares the gradient at x is 2 w x; the penalty's own gradient reaches w."""
    weight = nn.Parameter(torch.tensor(0.7))
    real, made, mix = pictures("real"), pictures("made"), torch.tensor([0.0, 0.25, 0.5, 1.0])
    lengths = gradient_lengths(lambda x: weight * x.square().sum((1, 2, 3)), real, made, mix)
    norms = [
        math.sqrt(
            sum(
                (m * r + (1 - m) * f) ** 2
                for r, f in zip(one.flatten().tolist(), other.flatten().tolist(), strict=True)
            )
        )
        for one, other, m in zip(real, made, mix.tolist(), strict=True)
    ]
    assert lengths.tolist() == pytest.approx([2 * 0.7 * n for n in norms], rel=1e-5)
    (lengths - 1).square().mean().backward()
    expected = sum(2 * (2 * 0.7 * n - 1) * 2 * n for n in norms) / 4
    assert float(weight.grad) == pytest.approx(expected, rel=1e-4)  # type: ignore[arg-type]


def test_gradient_lengths_need_no_graph_outside_and_stay_in_full_precision() -> None:
    critic = nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Linear(8, 1))
    real, made, mix = pictures("real"), pictures("made"), torch.rand(4, generator=generator("mix"))
    plain = gradient_lengths(critic, real, made, mix)
    assert plain.requires_grad
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = gradient_lengths(critic, real, made, mix)
    assert not found.requires_grad
    assert torch.equal(found, plain.detach())
    # As a loop in bf16-mixed hands them over: real images in bfloat16 beside a generator's in float32.
    mixed = gradient_lengths(critic, real.bfloat16(), made, mix.bfloat16())
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, gradient_lengths(critic, real.bfloat16().float(), made, mix.bfloat16().float()))


def test_with_running_statistics_a_gradient_does_not_depend_on_the_other_images() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 1))
    real, made, mix = pictures("real"), pictures("made"), torch.full((4,), 0.5)
    others = real.clone()
    others[1:] *= 3

    def lengths(batch: Tensor) -> Tensor:
        return gradient_lengths(critic, batch, made, mix).detach()

    with running_statistics(critic):
        assert torch.allclose(lengths(real)[0], lengths(others)[0])
    assert critic[1].training
    assert not torch.allclose(lengths(real)[0], lengths(others)[0])


def test_own_statistics_are_used_but_not_remembered() -> None:
    norm = nn.BatchNorm2d(3)
    x = 5 + 2 * pictures("real")
    with own_statistics(norm):
        normalised = norm(x)
    assert torch.allclose(normalised.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert norm.running_mean is not None
    assert torch.equal(norm.running_mean, torch.zeros(3))
    norm(x)
    assert torch.allclose(norm.running_mean, 0.1 * x.mean((0, 2, 3)))
