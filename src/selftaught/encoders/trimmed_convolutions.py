"""Convolutions on maps smaller than their kernel, without the part of the kernel that meets nothing but padding.

That part cannot matter, but computing its gradient is not harmless: oneDNN's bfloat16 kernels leave it uninitialised
(torch 2.11 to 2.15), so that weights nothing reads drift to anything, NaN among it. Leaving it out also spares up to
8/9 of the work where deep stages see small images or tiles. Its gradient is 0.

Of clips with fewer frames than the kernel reaches over, all of which may matter, the gradient is wrong in the same way,
and memory beyond it is written (torch 2.14.1, AVX-512; at a stride of 2 in float32 too). r3d_18 has 2 frames for the 3
of its last stage. Such clips get frames of zeros at their end, where padding would be anyway.

In training on a CPU, maps of a few pixels go through `small_maps`, which leaves all padding out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selftaught.encoders.small_maps import convolve, is_faster

Layer = TypeVar("Layer", nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)


class TrimmedConv2d(nn.Conv2d):
    """`nn.Conv2d`, with the same weights under the same names."""

    def forward(self, x: Tensor) -> Tensor:
        if _is_plain(self) and self._is_small(x):
            return self._as_products(x)
        used = _used(self, x)
        if used is None or used.is_whole:
            return super().forward(x)
        weight = self.weight[:, :, used.taps[0], used.taps[1]]
        return F.conv2d(x, weight, self.bias, self.stride, used.padding, 1, self.groups)

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


class TrimmedConv3d(nn.Conv3d):
    """`nn.Conv3d`, with the same weights under the same names; (N, C, T, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        used = _used(self, x)
        if used is None or x.ndim != 5:
            return super().forward(x)
        weight = self.weight[:, :, used.taps[0], used.taps[1], used.taps[2]]
        missing = weight.shape[2] + self.stride[0] - 1 - x.shape[2] if weight.shape[2] > 1 else 0
        if missing <= 0 and used.is_whole:
            return super().forward(x)
        if missing > 0:
            x = F.pad(x, (0, 0, 0, 0, 0, missing))
        found = F.conv3d(x, weight, self.bias, self.stride, used.padding, 1, self.groups)
        return found[:, :, : used.outputs[0]]


class TrimmedConvTranspose2d(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d`, with the same weights under the same names."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        kernel, stride, padding = self.weight.shape[2:], self.stride, self.padding
        assert not isinstance(padding, str)
        # Input i and tap k meet output i s - p + k; outputs outside are cut off by the padding.
        cut = [max(0, p - (n - 1) * s) for n, p, s in zip(x.shape[-2:], padding, stride, strict=True)]
        plain = output_size is None and set(self.dilation) == {1} and set(self.output_padding) == {0}
        if not plain or not any(cut) or any(k <= 2 * c for k, c in zip(kernel, cut, strict=True)):
            return super().forward(x, output_size)
        weight = self.weight[:, :, cut[0] : kernel[0] - cut[0], cut[1] : kernel[1] - cut[1]]
        left = (padding[0] - cut[0], padding[1] - cut[1])
        return F.conv_transpose2d(x, weight, self.bias, stride, left, 0, self.groups)


@dataclass(frozen=True)
class _Used:
    """The part of a kernel that meets pixels: its taps along each axis, and the padding that is left."""

    taps: list[slice]
    padding: list[int]
    outputs: list[int]
    is_whole: bool


def _is_plain(conv: nn.Conv2d | nn.Conv3d) -> bool:
    return conv.padding_mode == "zeros" and not isinstance(conv.padding, str) and set(conv.dilation) == {1}


def _used(conv: nn.Conv2d | nn.Conv3d, x: Tensor) -> _Used | None:
    """None where the convolution is not a plain one, or has no result."""
    if not _is_plain(conv):
        return None
    kernel, stride, padding = conv.weight.shape[2:], conv.stride, conv.padding
    assert not isinstance(padding, str)
    shape = x.shape[-len(kernel) :]
    outs = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(shape, padding, kernel, stride, strict=True)]
    # Tap k of output o meets pixel o s - p + k.
    first = [max(0, p - (out - 1) * s) for out, p, s in zip(outs, padding, stride, strict=True)]
    last = [min(k - 1, n - 1 + p) for n, p, k in zip(shape, padding, kernel, strict=True)]
    size = [b - a + 1 for a, b in zip(first, last, strict=True)]
    left = [p - a for p, a in zip(padding, first, strict=True)]
    same = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(shape, left, size, stride, strict=True)] == outs
    if min(outs) < 1 or not same:
        return None
    taps = [slice(a, b + 1) for a, b in zip(first, last, strict=True)]
    return _Used(taps, left, outs, list(kernel) == size)


def trim_kernels(network: nn.Module) -> nn.Module:
    """Put in place of every plain convolution of `network` one that leaves out what only meets padding.

    Returns `network`, or what stands for it where it is a convolution itself. Parameters, their names and the random
    state stay as they are.
    """
    trimmed: dict[nn.Module, nn.Module] = {}
    for path, module in list(network.named_modules(remove_duplicate=False)):
        if module not in trimmed:
            trimmed[module] = _trimmed(module)
        if path and trimmed[module] is not module:
            parent, _, name = path.rpartition(".")
            setattr(network.get_submodule(parent), name, trimmed[module])
    return trimmed[network]


def _trimmed(module: nn.Module) -> nn.Module:
    """What takes the place of a module: a convolution with its parameters, or the module itself where it is another."""
    if type(module) is nn.Conv2d:
        return _like(module, TrimmedConv2d)
    if isinstance(module, nn.Conv3d) and type(module).forward is nn.Conv3d.forward:  # torchvision has own ones
        return _like(module, TrimmedConv3d)
    if type(module) is nn.ConvTranspose2d:
        return _like(module, TrimmedConvTranspose2d, output_padding=module.output_padding)
    return module


def _like(layer: Layer, make: Callable[..., Layer], **more: object) -> Layer:
    with torch.device("meta"):  # nothing is drawn for weights that are replaced
        trimmed = make(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
            padding_mode=layer.padding_mode,
            **more,
        )
    trimmed.weight, trimmed.bias = layer.weight, layer.bias
    return trimmed.train(layer.training)


def _pair(values: tuple[int, ...] | str) -> tuple[int, int]:
    assert not isinstance(values, str)
    return values[0], values[1]


def untrim_kernels(network: nn.Module) -> nn.Module:
    """The reverse of `trim_kernels`: plain convolutions with the same parameters, as exporters need them."""
    for path, module in list(network.named_modules(remove_duplicate=False)):
        kind = next((base for trimmed, base in _PLAIN.items() if type(module) is trimmed), None)
        if path and kind is not None:
            parent, _, name = path.rpartition(".")
            more = {"output_padding": module.output_padding} if kind is nn.ConvTranspose2d else {}
            setattr(network.get_submodule(parent), name, _like(module, kind, **more))
    return network


_PLAIN: dict[type[nn.Module], type[nn.Module]] = {
    TrimmedConv2d: nn.Conv2d, TrimmedConv3d: nn.Conv3d, TrimmedConvTranspose2d: nn.ConvTranspose2d
}  # fmt: skip
