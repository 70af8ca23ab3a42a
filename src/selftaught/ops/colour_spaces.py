"""CIE Lab and HSV over whole batches, from and to RGB.

Lab is that with the white point D65, from and to sRGB, over whole batches.

Matrices are written out channel by channel: a matrix product would be rounded to bfloat16 under autocast, which is two
units of a and b.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_RGB_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_WHITE = (0.95047, 1.0, 1.08883)
_EDGE = 6 / 29
_TO_WHITE = [[value / white for value in row] for row, white in zip(_RGB_TO_XYZ, _WHITE, strict=True)]
_FROM_WHITE = torch.linalg.inv(torch.tensor(_TO_WHITE, dtype=torch.float64)).tolist()


def rgb_to_lab(images: Tensor) -> Tensor:
    """sRGB (..., 3, H, W) in [0, 1] -> Lab (..., 3, H, W): L in [0, 100], a and b in about [-110, 110]."""
    linear = to_linear(images)
    f = []
    for row in _TO_WHITE:
        light = _mix(linear, row)
        root = light.clamp(min=1e-6).pow(1 / 3)
        f.append(torch.where(light > _EDGE**3, root, light / (3 * _EDGE**2) + 4 / 29))
    x, y, z = f
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -3)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Lab (..., 3, H, W) -> sRGB in [0, 1]; colours outside of sRGB are cut to it."""
    lightness, a, b = lab.unbind(-3)
    y = (lightness + 16) / 116
    f = torch.stack([y + a / 500, y, y - b / 200], -3)
    xyz = torch.where(f > _EDGE, f.clamp(min=0).pow(3), 3 * _EDGE**2 * (f - 4 / 29))
    linear = torch.stack([_mix(xyz, row) for row in _FROM_WHITE], -3)
    return from_linear(linear.clamp(0, 1))


def equal_lightness_grey(images: Tensor) -> Tensor:
    """The grey image with the lightness L of each pixel: sRGB (..., 3, H, W) in [0, 1] -> (..., 1, H, W).

    It is a function of L alone, and a grey image is its own grey image.
    """
    return from_linear(_mix(to_linear(images), _RGB_TO_XYZ[1]).clamp(0, 1)).unsqueeze(-3)


def to_linear(images: Tensor) -> Tensor:
    """sRGB in [0, 1] -> linear light in [0, 1] (IEC 61966-2-1)."""
    return torch.where(images > 0.04045, ((images.clamp(min=0) + 0.055) / 1.055).pow(2.4), images / 12.92)


def from_linear(light: Tensor) -> Tensor:
    """Linear light in [0, 1] -> sRGB in [0, 1]."""
    return torch.where(light > 0.0031308, 1.055 * light.clamp(min=1e-8).pow(1 / 2.4) - 0.055, light * 12.92)


def _mix(channels: Tensor, weights: Sequence[float]) -> Tensor:
    """Weighted sum of three channels (..., 3, H, W) -> (..., H, W)."""
    first, second, third = channels.unbind(-3)
    return (weights[0] * first).add_(second, alpha=weights[1]).add_(third, alpha=weights[2])


def rgb_to_hsv(images: Tensor) -> Tensor:
    """RGB (..., 3, H, W) in [0, 1] -> hue in turns, saturation and value, all in [0, 1]; grey has hue 0."""
    red, green, blue = images.unbind(-3)
    value, least = images.amax(-3), images.amin(-3)
    spread = value - least
    safe = spread.clamp(min=1e-8)
    hue = torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4)
    hue = torch.where(value == red, (green - blue) / safe, hue)
    return torch.stack([(hue / 6) % 1, spread / value.clamp(min=1e-8), value], -3)


def hsv_to_rgb(hsv: Tensor) -> Tensor:
    """Hue of any number of turns, saturation and value in [0, 1] -> RGB of the same shape."""
    hue, saturation, value = hsv.unbind(-3)
    chroma = value * saturation
    channels = []
    for start in (5, 3, 1):
        place = (hue * 6 + start) % 6
        channels.append(value - chroma * torch.minimum(place, 4 - place).clamp_(0, 1))
    return torch.stack(channels, -3)
