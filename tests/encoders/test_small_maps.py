from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selftaught.encoders.small_maps import convolve, is_faster
from selftaught.encoders.trimmed_convolutions import TrimmedConv2d

SHAPES = [  # side of the map, kernel, stride, padding
    ((2, 2), (3, 3), (1, 1), (1, 1)),
    ((3, 3), (3, 3), (1, 1), (1, 1)),
    ((4, 4), (3, 3), (1, 1), (1, 1)),
    ((4, 4), (3, 3), (2, 2), (1, 1)),
    ((6, 6), (3, 3), (2, 2), (1, 1)),
    ((5, 7), (3, 5), (2, 1), (1, 2)),
    ((4, 3), (1, 7), (1, 1), (0, 3)),
    ((6, 6), (4, 4), (2, 2), (1, 1)),
    ((7, 7), (2, 2), (3, 3), (0, 0)),
    ((1, 1), (3, 3), (1, 1), (1, 1)),
]


def everything(compute: object, x: Tensor, weight: Tensor, pull: Tensor) -> list[Tensor]:
    """The result and both gradients."""
    assert callable(compute)
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    result = compute(x, weight)
    return [result.detach(), *torch.autograd.grad(result, (x, weight), pull)]


@pytest.mark.parametrize(("side", "kernel", "stride", "padding"), SHAPES)
def test_a_product_for_each_position_is_the_convolution(
    side: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(3, 4, *side, dtype=torch.float64), torch.randn(5, 4, *kernel, dtype=torch.float64)
    pull = torch.randn_like(F.conv2d(x, weight, None, stride, padding))
    wanted = everything(lambda x, weight: F.conv2d(x, weight, None, stride, padding), x, weight, pull)
    torch.testing.assert_close(everything(lambda x, w: convolve(x, w, stride, padding), x, weight, pull), wanted)


def test_a_gradient_of_the_gradient() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x, weight: convolve(x, weight, (2, 2), (1, 1)), (x, weight))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_layers_take_it_in_training_and_round_as_convolutions_do(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer, plain = TrimmedConv2d(128, 128, 3, padding=1), nn.Conv2d(128, 128, 3, padding=1)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(64, 128, 2, 2).contiguous(memory_format=torch.channels_last)
    pull = torch.randn(64, 128, 2, 2).contiguous(memory_format=torch.channels_last)
    found = []
    for one in (layer, plain):
        one.to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            result = one(x)
        assert result.dtype == dtype
        result.float().mul(pull).sum().backward()
        found.append([result.detach(), *(parameter.grad for parameter in one.parameters())])
    with torch.no_grad():
        assert torch.equal(layer(x), plain(x)), "features of frozen encoders stay as they were"
    for got, wanted in zip(*found, strict=True):
        assert (got.dtype, got.stride()) == (wanted.dtype, wanted.stride())
        assert (got - wanted).float().norm() / wanted.float().norm() < (1e-2 if dtype == torch.bfloat16 else 1e-5)


@pytest.mark.parametrize(
    ("n", "channels", "side", "stride", "is_small"),
    [
        (64, 128, 2, 1, True),
        (64, 128, 4, 1, True),
        (64, 128, 8, 2, True),
        (64, 128, 6, 1, False),
        (63, 128, 2, 1, False),
        (64, 127, 2, 1, False),
    ],
)
def test_where_it_is_taken(n: int, channels: int, side: int, stride: int, is_small: bool) -> None:
    x, weight = torch.empty(n, channels, side, side), torch.empty(128, channels, 3, 3)
    assert is_faster(x, weight, (stride, stride), (1, 1)) == is_small
    assert not is_faster(x.to("meta"), weight.to("meta"), (stride, stride), (1, 1))
    one = torch.empty(128, channels, 1, 1)
    assert not is_faster(x, one, (stride, stride), (0, 0)), "nothing of it meets padding"
