"""Modules of a user's own as encoders: features, stages, fresh weights, and one sentence on what lacks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from selftaught.core.objects.registry import name_of
from selftaught.encoders.build import build_encoder


class Net(nn.Module):
    def __init__(self, *, pooled: bool = False, stages: tuple[str, ...] | None = None) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
        self.second = nn.Conv2d(4, 6, 3, 2, 1)
        self.pooled = pooled
        if stages is not None:
            self.stages = stages

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.second(self.first(x))
        return found.mean((2, 3)) if self.pooled else found


def built(module: Any, name: str = "") -> Any:
    torch.manual_seed(0)
    return build_encoder(name or name_of("module", module), size=32)


@pytest.mark.parametrize("pooled", [False, True])
def test_a_map_or_a_vector_is_the_feature_and_parts_are_stages(pooled: bool) -> None:
    encoder = built(Net(pooled=pooled)).eval()
    assert (encoder.num_features, encoder.kind, encoder.stages) == (6, "image", ("first", "second", "features"))
    x = torch.randn(2, 3, 32, 32)
    stages = encoder.forward_stages(x)
    assert {name: tuple(one.shape) for name, one in stages.items()} == {
        "first": (2, 4, 16, 16),
        "second": (2, 6, 8, 8),
        "features": (2, 6, 1, 1) if pooled else (2, 6, 8, 8),
    }
    torch.testing.assert_close(encoder(x), stages["second"].mean((2, 3)))


def test_stages_can_be_declared_and_weights_are_drawn_by_the_seed() -> None:
    net = Net(stages=("first.0",))
    first, second = built(net), built(net)
    assert first.stages == ("first_0", "features")
    torch.testing.assert_close(first.state_dict(), second.state_dict())
    assert not torch.equal(first.net.module.second.weight, net.second.weight)


class Pair(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return x, x


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (Pair(), r"forward of encoder Pair must give features \(N, D\) or a map .* got tuple for N = 2"),
        (nn.Flatten(0), r"forward of encoder Flatten must give .* got \(6144,\)"),
        (nn.Linear(7, 3), r"encoder Linear cannot take images \(2, 3, 32, 32\) \(RuntimeError"),
        (nn.Identity(), "encoder Identity has no parameters to train"),
        (Net(stages=("third",)), "`stages` of encoder Net names 'third', which gives no map .*; choose of first.0"),
        (3, "the encoder must be a name or a torch.nn.Module, got int"),
        (Net, r"the encoder is the class Net; give an object of it, as Net\(\) is"),
    ],
)
def test_what_a_module_lacks_is_said(module: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        built(module)


def test_a_module_that_is_not_there_is_asked_for() -> None:
    with pytest.raises(ValueError, match=r"call selftaught.use_encoder\(module\) before"):
        built(None, "module:Gone")
