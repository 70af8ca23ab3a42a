"""Hue, saturation and value over whole batches."""

from __future__ import annotations

import torch
from torch import Tensor


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
