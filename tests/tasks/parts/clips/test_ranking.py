"""Ranking: the loss against loops, hard and random negatives, and two processes as one."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from selftaught.tasks.parts.clips.ranking import (
    cosine_distances,
    found_among,
    own_group,
    ranking_loss,
)
from selftaught.tasks.parts.losses import weighted_mean
from tests.two_processes import in_two_processes, join_group


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def distance(one: Tensor, other: Tensor) -> float:
    dot = sum(float(a) * float(b) for a, b in zip(one, other, strict=True))
    return 1 - dot / math.sqrt(float(one.square().sum()) * float(other.square().sum()))


@pytest.mark.parametrize("is_hard", [True, False])
def test_loss_against_loops(is_hard: bool) -> None:
    z = torch.randn(5, 2, 4, generator=rng())
    drawn = torch.rand(5, 3, generator=rng(1))
    others = z.flatten(0, 1)
    is_own = own_group(z, 1).repeat_interleave(2, 1)
    found = ranking_loss(z[:, 0], z[:, 1], others, is_own, count=3, margin=0.5, drawn=None if is_hard else drawn)
    for n in range(5):
        negatives = [row for row in range(10) if row // 2 != n]
        if is_hard:
            negatives.sort(key=lambda row: distance(z[n, 0], others[row]))
            chosen = negatives[:3]
        else:
            chosen = [negatives[int(float(u) * 8)] for u in drawn[n]]
        near = distance(z[n, 0], z[n, 1])
        expected = sum(max(0.0, near - distance(z[n, 0], others[row]) + 0.5) for row in chosen) / 3
        assert float(found[n]) == pytest.approx(expected, abs=1e-5)


def test_without_negatives_the_pair_is_brought_together() -> None:
    z = torch.randn(2, 3, generator=rng())
    found = ranking_loss(z[:1], z[1:], z, torch.ones(1, 2, dtype=torch.bool), count=2, margin=0.5, drawn=None)
    assert float(found[0]) == pytest.approx(distance(z[0], z[1]), abs=1e-5)


def test_groups_and_finding() -> None:
    rows = torch.zeros(6, 1)
    assert own_group(rows, 2).int().tolist() == [[int(i // 2 == j // 2) for j in range(6)] for i in range(6)]
    z = torch.eye(3)
    assert float(found_among(z, z[[0, 2, 1]], torch.ones(3))) == pytest.approx(1 / 3)
    assert torch.allclose(cosine_distances(z, 2 * z), 1 - torch.eye(3))


def together(z: Tensor, weights: Tensor) -> Tensor:
    from selftaught.core.distributed import gather_rows

    losses = ranking_loss(
        z[:, 0],
        z[:, 1],
        gather_rows(z).flatten(0, 1),
        own_group(z, 1).repeat_interleave(2, 1),
        count=3,
        margin=0.5,
        drawn=None,
    )
    return weighted_mean(losses, weights)


def half(rank: int, port: int, z: Tensor, weights: Tensor, gradient: Tensor, loss: float) -> None:
    join_group(rank, port)
    own = slice(3 * rank, 3 * rank + 3)
    mine = z[own].clone().requires_grad_()
    value = together(mine, weights[own])
    value.backward()
    assert mine.grad is not None
    # The mean over processes is that of one process.
    assert torch.allclose(mine.grad / 2, gradient[own], atol=1e-6)
    total = value.detach().clone()
    torch.distributed.all_reduce(total)
    assert float(total) / 2 == pytest.approx(loss, abs=1e-6)


def test_two_processes_are_one() -> None:
    z = torch.randn(6, 2, 4, generator=rng()).requires_grad_()
    weights = torch.tensor([1.0, 1, 1, 0, 1, 0])
    loss = together(z, weights)
    loss.backward()
    assert z.grad is not None
    in_two_processes(half, z.detach(), weights, z.grad, float(loss.detach()))
