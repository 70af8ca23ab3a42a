"""The order of a network's weights in memory, chosen in one place for training, measuring and probes."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def channels_last(network: Network) -> Network:
    """Weights of convolutions with the channels last, which makes them fast on CPU and GPU; returns `network`.

    `Module.to(memory_format=...)` fails where there are 2-D and 3-D convolutions.
    """
    for tensor in (*network.parameters(), *network.buffers()):
        tensor.data = in_order(tensor.data)
    return network


def in_order(tensor: Tensor) -> Tensor:
    """`tensor` itself, or with the channels last where it is a kernel over height and width, perhaps over time as well.

    Kernels of clips that reach over time or space alone stay: on a CPU in float32, R(2+1)D is a third to a half slower
    with those laid out anew.
    """
    if tensor.ndim == 4:
        return tensor.contiguous(memory_format=torch.channels_last)
    if tensor.ndim == 5 and tensor.shape[2] > 1 and tensor.shape[3] > 1:
        return tensor.contiguous(memory_format=torch.channels_last_3d)
    return tensor
