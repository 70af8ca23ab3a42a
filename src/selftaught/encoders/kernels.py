"""An encoder's first convolution: its kernels as tiles, and one for another number of channels."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

MOST = 256
"""Kernels shown."""


def first_kernels(encoder: nn.Module) -> Tensor | None:
    """The kernels of the first convolution (K, 3, h, w), each stretched to [0, 1] (Krizhevsky et al. 2012, figure 3).

    Of a 3-D kernel the middle frame; of one that takes no colours the first channel, grey. None where the encoder has
    no convolution; a transformer's is its patch embedding.
    """
    first = next((m for m in encoder.modules() if isinstance(m, nn.Conv2d | nn.Conv3d)), None)
    if first is None:
        return None
    kernels = first.weight.detach().float().cpu()[:MOST]
    if kernels.ndim == 5:
        kernels = kernels[:, :, kernels.shape[2] // 2]
    if kernels.shape[1] != 3:
        kernels = kernels[:, :1].expand(-1, 3, -1, -1)
    flat = kernels.flatten(1)
    low, high = flat.min(1).values[:, None, None, None], flat.max(1).values[:, None, None, None]
    return (kernels - low) / (high - low).clamp(min=1e-8)


def set_channels(net: nn.Module, channels: int) -> dict[str, nn.Module]:
    """Put a first convolution for so many input channels in place of the published one; its path -> what it is now.

    Drawn as torchvision draws those of ResNet.
    """
    path, published = next((p, m) for p, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Conv3d))
    make: Any = type(published)
    shape = (published.kernel_size, published.stride, published.padding, published.dilation)
    conv = make(channels, published.out_channels, *shape, bias=published.bias is not None)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    net.set_submodule(path, conv)
    return {path: conv}


def kernel_columns(count: int) -> int:
    """Columns of a sheet about twice as wide as high."""
    return math.ceil(math.sqrt(2 * count))
