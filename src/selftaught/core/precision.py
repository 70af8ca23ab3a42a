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
    tensors = [*network.parameters(), *network.buffers()]
    has_3d = any(_reaches_far(tensor) for tensor in tensors)
    for tensor in tensors:
        is_point = has_3d and tensor.ndim == 5 and tensor.shape[2:].numel() == 1
        tensor.data = _laid_out(tensor.data, torch.channels_last_3d) if is_point else in_order(tensor.data)
    return network


def in_order(tensor: Tensor) -> Tensor:
    """`tensor` itself, or with the channels last where it is a kernel over height and width, perhaps over time as well.

    Kernels of clips that reach over time or space alone stay: on a CPU in float32, R(2+1)D is a third to a half slower
    with those laid out anew.
    """
    if tensor.ndim == 4:
        return _laid_out(tensor, torch.channels_last)
    if _reaches_far(tensor):
        return _laid_out(tensor, torch.channels_last_3d)
    return tensor


def _reaches_far(tensor: Tensor) -> bool:
    """Whether it is a kernel over time and space."""
    return tensor.ndim == 5 and tensor.shape[2] > 1 and tensor.shape[3] > 1


def _laid_out(tensor: Tensor, order: torch.memory_format) -> Tensor:
    """In that order, also by its strides where kernels of 1 x 1 leave a choice.

    `contiguous` leaves them, as the memory is the same, but the gradient then has other strides than the weight, which
    DistributedDataParallel warns of and copies slowly.
    """
    strides = torch.empty(tensor.shape, memory_format=order, device="meta").stride()
    return tensor.contiguous(memory_format=order).as_strided(tensor.shape, strides)
