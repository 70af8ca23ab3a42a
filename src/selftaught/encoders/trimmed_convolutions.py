"""Convolutions on maps smaller than their kernel, without the part of the kernel that meets nothing but padding.

That part cannot matter, but computing its gradient is not harmless: oneDNN's bfloat16 kernels leave it uninitialised
(torch 2.11 to 2.15), so that weights nothing reads drift to anything, NaN among it. Leaving it out also spares up to
8/9 of the work where deep stages see small pictures or tiles. Its gradient is 0.

In training on a CPU, maps of a few pixels go through `small_maps`, which leaves all padding out.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selftaught.encoders.small_maps import convolve, is_faster


class TrimmedConv2d(nn.Conv2d):
    """`nn.Conv2d`, with the same weights under the same names."""

    def forward(self, x: Tensor) -> Tensor:
        if self.padding_mode != "zeros" or isinstance(self.padding, str) or set(self.dilation) != {1}:
            return super().forward(x)
        if self._is_small(x):
            return self._as_products(x)
        kernel, stride, padding = self.weight.shape[2:], self.stride, self.padding
        outs = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(x.shape[-2:], padding, kernel, stride, strict=True)]
        # Tap k of output o meets pixel o s - p + k.
        first = [max(0, p - (out - 1) * s) for out, p, s in zip(outs, padding, stride, strict=True)]
        last = [min(k - 1, n - 1 + p) for n, p, k in zip(x.shape[-2:], padding, kernel, strict=True)]
        size = [b - a + 1 for a, b in zip(first, last, strict=True)]
        left = [p - a for p, a in zip(padding, first, strict=True)]
        same = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(x.shape[-2:], left, size, stride, strict=True)] == outs
        if list(kernel) == size or min(outs) < 1 or not same:
            return super().forward(x)
        weight = self.weight[:, :, first[0] : last[0] + 1, first[1] : last[1] + 1]
        return F.conv2d(x, weight, self.bias, stride, (left[0], left[1]), 1, self.groups)

    def _is_small(self, x: Tensor) -> bool:
        """Whether matrix products are faster here; exported networks keep their convolutions."""
        if not torch.is_grad_enabled() or self.groups != 1 or x.ndim != 4 or torch.compiler.is_compiling():
            return False
        return is_faster(x, self.weight, _pair(self.stride), _pair(self.padding))

    def _as_products(self, x: Tensor) -> Tensor:
        weight, bias = self.weight, self.bias
        if torch.is_autocast_enabled(x.device.type):
            dtype = torch.get_autocast_dtype(x.device.type)
            x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
        result = convolve(x, weight, _pair(self.stride), _pair(self.padding))
        return result if bias is None else result + bias[:, None, None]


class TrimmedConvTranspose2d(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d`, with the same weights under the same names."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        kernel, stride, padding = self.weight.shape[2:], self.stride, self.padding
        assert not isinstance(padding, str)
        # Input i and tap k meet output i s - p + k; what would lie outside is cut off by the padding.
        cut = [max(0, p - (n - 1) * s) for n, p, s in zip(x.shape[-2:], padding, stride, strict=True)]
        plain = output_size is None and set(self.dilation) == {1} and set(self.output_padding) == {0}
        if not plain or not any(cut) or any(k <= 2 * c for k, c in zip(kernel, cut, strict=True)):
            return super().forward(x, output_size)
        weight = self.weight[:, :, cut[0] : kernel[0] - cut[0], cut[1] : kernel[1] - cut[1]]
        left = (padding[0] - cut[0], padding[1] - cut[1])
        return F.conv_transpose2d(x, weight, self.bias, stride, left, 0, self.groups)


def trim_kernels(network: nn.Module) -> None:
    """Make every plain convolution of `network` leave out what only meets padding."""
    for module in network.modules():
        if type(module) is nn.Conv2d:
            module.__class__ = TrimmedConv2d
        elif type(module) is nn.ConvTranspose2d:
            module.__class__ = TrimmedConvTranspose2d


def _pair(values: tuple[int, ...] | str) -> tuple[int, int]:
    assert not isinstance(values, str)
    return values[0], values[1]
