"""The order of a network's weights in memory, chosen in one place for training, measuring and probes."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def channels_last(network: Network) -> Network:
    """Weights of 2-D convolutions with the channels last, which makes them fast on CPU and GPU; returns `network`.

    All others, those of 3-D convolutions too, stay as they are: `Module.to(memory_format=...)` fails at them.
    """
    for tensor in (*network.parameters(), *network.buffers()):
        tensor.data = in_order(tensor.data)
    return network


def in_order(tensor: Tensor) -> Tensor:
    """`tensor` itself, or with the channels last where it has four axes."""
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
