from __future__ import annotations

import torch
from torch import nn

from selftaught.core.precision import channels_last, in_order


def test_weights_of_convolutions_over_height_and_width_change_their_order() -> None:
    flat, deep, time, space = (
        nn.Conv2d(3, 4, 3),
        nn.Conv3d(4, 5, 3),
        nn.Conv3d(4, 5, (3, 1, 1)),
        nn.Conv3d(4, 5, (1, 3, 3)),
    )
    network = nn.Sequential(flat, deep, time, space, nn.Linear(5, 6))
    network.register_buffer("kernel", torch.rand(2, 3, 5, 5))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    parameters = list(network.parameters())
    assert channels_last(network) is network
    assert all(one is other for one, other in zip(parameters, network.parameters(), strict=True))
    assert flat.weight.is_contiguous(memory_format=torch.channels_last)
    assert network.get_buffer("kernel").is_contiguous(memory_format=torch.channels_last)
    assert deep.weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert time.weight.is_contiguous()
    assert space.weight.is_contiguous()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert in_order(torch.zeros(3)).shape == (3,)


def test_gradients_have_the_strides_of_their_weights() -> None:
    """As DistributedDataParallel asks for, also where kernels of 1 x 1 or of one channel leave a choice."""
    flat = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, groups=8))
    deep = nn.Sequential(nn.Conv3d(4, 64, 3), nn.Conv3d(64, 128, 1, stride=2, bias=False))
    for network, shape in ((flat, (2, 4, 9, 9)), (deep, (2, 4, 8, 16, 16))):
        channels_last(network)(torch.rand(shape)).square().sum().backward()
        for parameter in network.parameters():
            assert parameter.grad is not None
            assert parameter.grad.stride() == parameter.stride()
