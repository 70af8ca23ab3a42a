"""How numbers are computed and kept: bfloat16 where the device has it, and the order of weights in memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from selftaught.core.settings.groups import Precision

Network = TypeVar("Network", bound=nn.Module)
ResolvedPrecision = Literal["32-true", "bf16-mixed", "16-mixed"]


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
    with those in the new layout.
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


@cache
def fast_bf16(device_type: str) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware."""
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device_type != "cpu":
        return False
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def autocast(device: torch.device, precision: str = "auto") -> AbstractContextManager[object]:
    """bfloat16 where the device computes it in hardware and the run did not ask for 32 bits."""
    enabled = fast_bf16(device.type) if precision == "auto" else precision == "bf16-mixed"
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def autocast_forward(model: nn.Module, device: torch.device, precision: str) -> Callable[..., Any]:
    """The model's forward pass in the run's precision, as Fabric wraps it; the loss is computed outside."""

    def forward(*args: Any) -> Any:
        with autocast(device, precision):
            return model(*args)

    return forward


def precision_of(asked: Precision, device: torch.device) -> ResolvedPrecision:
    """The precision a run computes in, with auto resolved."""
    if asked != "auto":
        return asked
    return "bf16-mixed" if fast_bf16(device.type) else "32-true"
