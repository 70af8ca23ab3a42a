from __future__ import annotations

import math

import pytest
import torch
from timm.optim.lars import Lars
from torch import nn

from selftaught.tasks.base import ParameterGroup
from selftaught.training.optimizers import LARS, build_optimizer, learning_rate, load_state, set_rates, weight_decay_at


def test_learning_rate_at_its_landmarks() -> None:
    rates = [learning_rate(step, 100, 1.0, 0.1) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 11)
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.0, abs=1e-3)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_lars_steps_equal_the_papers_algorithm_1() -> None:
    """Its norms are added, |g| + decay |w|, not taken of the sum, and the rate of each step goes into the momentum."""
    weight, bias = nn.Parameter(torch.tensor([[3.0, 4.0]])), nn.Parameter(torch.tensor([1.0]))
    groups = [{"params": [weight], "weight_decay": 0.1}, {"params": [bias], "weight_decay": 0.0}]
    optimizer = LARS(groups, lr=0.5, momentum=0.9, trust=0.001)
    w, v, b, v_of_b = [3.0, 4.0], [0.0, 0.0], 1.0, 0.0
    for lr in (0.5, 0.2):
        weight.grad, bias.grad = torch.tensor([[0.3, -0.4]]), torch.tensor([2.0])
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.step()
        g, length = [0.3, -0.4], math.hypot(*w)
        local = 0.001 * length / (0.5 + 0.1 * length)
        v = [0.9 * v[i] + lr * local * (g[i] + 0.1 * w[i]) for i in range(2)]
        w = [w[i] - v[i] for i in range(2)]
        v_of_b = 0.9 * v_of_b + lr * 2.0
        b -= v_of_b
    assert torch.allclose(weight, torch.tensor([w]))
    assert torch.allclose(bias, torch.tensor([b]))


def test_lars_at_a_constant_rate_is_timms_and_at_another_is_not() -> None:
    def trained(kind: type, rates: list[float], **more: bool) -> torch.Tensor:
        weight = nn.Parameter(torch.tensor([[3.0, 4.0], [1.0, -2.0]]))
        optimizer = kind([weight], lr=0.5, momentum=0.9, weight_decay=0.1, **more)
        for step, lr in enumerate(rates):
            weight.grad = torch.tensor([[0.3, -0.4], [0.1, 0.2]]) * (step + 1)
            optimizer.param_groups[0]["lr"] = lr
            optimizer.step()
        return weight.detach()

    assert torch.allclose(trained(LARS, [0.5] * 4), trained(Lars, [0.5] * 4, always_adapt=True))
    falling = [50.0, 20.0, 10.0, 5.0]
    apart = trained(LARS, falling) - trained(Lars, falling, always_adapt=True)
    assert float(apart.abs().max()) > 0.01


def test_lars_scales_layers_without_weight_decay_too() -> None:
    weight = nn.Parameter(torch.tensor([[3.0, 4.0]]))
    weight.grad = torch.tensor([[0.0, 2.0]])
    LARS([weight], lr=1.0, trust=0.001).step()
    assert torch.allclose(weight, torch.tensor([[3.0, 4.0 - 0.005]]))  # 1/1000 of the length of the weights


@pytest.mark.parametrize("name", ["sgd", "adamw", "lars"])
def test_vectors_are_not_decayed(name: str) -> None:
    task = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    decayed, free = build_optimizer(task, name, 0.1, 1e-2).param_groups
    assert [p.ndim for p in decayed["params"]] == [4]
    assert decayed["weight_decay"] == 1e-2
    assert [p.ndim for p in free["params"]] == [1, 1, 1]
    assert free["weight_decay"] == 0.0


def test_own_groups_have_their_rate_and_decay_and_the_rest_come_first() -> None:
    task = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 5), nn.Linear(5, 6))
    own = (ParameterGroup(names=("2",), lr_factor=0.5, is_decayed=False), ParameterGroup(names=("1.weight",)))
    optimizer = build_optimizer(task, "sgd", 0.1, 1e-2, own=own)
    set_rates(optimizer, 0.04)
    found = [([tuple(p.shape) for p in g["params"]], g["lr"], g["weight_decay"]) for g in optimizer.param_groups]
    assert found == [
        ([(4, 3, 3, 3)], 0.04, 1e-2), ([(4,), (5,)], 0.04, 0.0),
        ([(6, 5)], 0.02, 0.0), ([(6,)], 0.02, 0.0),
        ([(5, 4)], 0.04, 1e-2), ([], 0.04, 0.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("3",), "'3' has no trainable parameter; name each part once"),
        (("1", "1.bias"), "'1.bias' is in two groups; name each part once"),
    ],
)
def test_a_group_that_cannot_be_is_one_sentence(names: tuple[str, ...], sentence: str) -> None:
    task = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 6))
    with pytest.raises(ValueError, match=f"^parameter_groups of Sequential: {sentence}$"):
        build_optimizer(task, "sgd", 0.1, 0.0, own=(ParameterGroup(names=names),))


def test_a_state_without_factors_keeps_those_of_the_task() -> None:
    task = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 6))
    optimizer = build_optimizer(task, "sgd", 0.1, 0.0, own=(ParameterGroup(names=("1",), lr_factor=0.5),))
    state = optimizer.state_dict()
    for group in state["param_groups"]:
        del group["lr_factor"], group["decay_factor"]
    load_state(optimizer, state)
    assert [group["lr_factor"] for group in optimizer.param_groups] == [1.0, 1.0, 0.5, 0.5]
    assert [group["decay_factor"] for group in optimizer.param_groups] == [1.0, 0.0, 1.0, 0.0]


def test_weight_decay_at_its_landmarks() -> None:
    found = [weight_decay_at(step, 100, 0.04, 0.4) for step in (0, 25, 50, 100)]
    assert found == pytest.approx([0.04, 0.4 - 0.36 * (1 + 0.5**0.5) / 2, 0.22, 0.4])


def test_weight_decay_changes_for_what_is_decayed_alone() -> None:
    task = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 6))
    optimizer = build_optimizer(task, "adamw", 0.1, 0.04, own=(ParameterGroup(names=("1",), is_decayed=False),))
    set_rates(optimizer, 0.1, 0.3)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("name", ["sgd", "lars"])
def test_momentum_does_not_depend_on_the_betas_of_adamw(name: str) -> None:
    task = nn.Linear(4, 5)
    groups = build_optimizer(task, name, 0.1, 0.0, (0.5, 0.999), momentum=0.8).param_groups
    assert {group["momentum"] for group in groups} == {0.8}


def test_modules_with_a_rate_of_their_own_multiply_that_of_their_group() -> None:
    task = nn.ModuleDict(
        {"encoder": nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)}), "head": nn.Linear(2, 2)}
    )
    own = (ParameterGroup(names=("encoder.b", "head"), lr_factor=3.0),)
    optimizer = build_optimizer(task, "sgd", 0.1, 0.01, own=own, rates={"encoder": 0.5})
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    named = {name: round(rates[id(p)], 6) for name, p in task.named_parameters()}
    assert named == {
        **dict.fromkeys(("encoder.a.weight", "encoder.a.bias"), 0.05),
        **dict.fromkeys(("encoder.b.weight", "encoder.b.bias"), 0.15),
        **dict.fromkeys(("head.weight", "head.bias"), 0.3),
    }
    set_rates(optimizer, 0.2)
    assert {round(group["lr"], 6) for group in optimizer.param_groups if group["params"]} == {0.1, 0.3, 0.6}
