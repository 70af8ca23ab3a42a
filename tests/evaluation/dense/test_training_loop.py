from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from selftaught.evaluation.dense.training_loop import polynomial, stepped, train_network


def test_the_published_schedule() -> None:
    assert stepped(0, 24000) == pytest.approx(1 / 101)
    assert stepped(100, 24000) == stepped(17999, 24000) == 1
    assert stepped(18000, 24000) == stepped(21999, 24000) == pytest.approx(0.1)
    assert stepped(22000, 24000) == stepped(23999, 24000) == pytest.approx(0.01)
    assert [stepped(step, 1) for step in range(1)] == [1]


def test_the_learning_rate_rises_shortly_and_falls_to_nothing() -> None:
    rates = [polynomial(step, 1000) for step in range(1000)]
    assert rates[0] == pytest.approx(1 / 51)
    assert max(rates) == pytest.approx((1 - 0.05) ** 0.9, abs=1e-3)
    assert rates[500] == pytest.approx(0.5**0.9)
    assert rates[-1] < 0.01
    assert polynomial(0, 1) == 1


def test_the_loop_is_sgd_with_momentum_at_the_rate_of_each_step_and_group() -> None:
    """Written out for one number: v <- 0.9 v + (g + 1e-4 w), w <- w - rate v."""
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, 3.0)
    nn.init.constant_(network.bias, 1.0)
    factors = [1.0, 2.0, -1.0, 0.5]
    seen: list[int] = []

    def loss_of(step: int, factor: float) -> Tensor:
        seen.append(step)
        return factor * (network.weight.square().sum() / 2 + network.bias.sum())

    groups = [{"params": [network.weight], "peak": 0.1}, {"params": [], "peak": 9.0}]
    groups.append({"params": [network.bias], "peak": 0.2})
    last = train_network(network, groups, factors, loss_of, steps=4, rate=polynomial, name="line")
    w, b, v, u, loss = 3.0, 1.0, 0.0, 0.0, 0.0
    for step, factor in enumerate(factors):
        loss = factor * (w * w / 2 + b)
        v = 0.9 * v + factor * w + 1e-4 * w
        u = 0.9 * u + factor + 1e-4 * b
        w, b = w - 0.1 * polynomial(step, 4) * v, b - 0.2 * polynomial(step, 4) * u
    assert seen == [0, 1, 2, 3]
    assert network.weight.item() == pytest.approx(w, rel=1e-5)
    assert network.bias.item() == pytest.approx(b, rel=1e-5)
    assert last == pytest.approx(loss, rel=1e-5)


def test_a_gradient_longer_than_ten_is_shortened_and_a_loss_that_is_no_number_ends_it() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    groups = [{"params": [network.weight], "peak": 0.1}]
    one = lambda step, factor: factor * network.weight.sum()  # noqa: E731
    train_network(network, groups, [50.0], one, steps=1, rate=polynomial, name="line")
    assert network.weight.item() == pytest.approx(-1.0)
    with pytest.raises(ValueError, match=r"the loss of the line is not finite at step 2; lower --probe.lr"):
        train_network(network, groups, [0.0, torch.nan], one, steps=2, rate=polynomial, name="line")
