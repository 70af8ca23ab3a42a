"""Images of any number of channels as people can see them: each channel in a colour of its own."""

from __future__ import annotations

import colorsys

import torch
from torch import Tensor

from selftaught.ops.colour import COLOURS


def in_colours(images: Tensor) -> Tensor:
    """(..., C, H, W) in [0, 1] -> (..., 3, H, W); images of 3 channels as they are, and grey ones as grey.

    Of others every channel lights up in its hue, evenly spaced from red, and where all are bright the image is white.
    """
    channels = images.shape[-3]
    if channels == COLOURS:
        return images
    if channels == 1:
        return images.expand(*images.shape[:-3], COLOURS, -1, -1)
    hues = [colorsys.hsv_to_rgb(channel / channels, 1, 1) for channel in range(channels)]
    weights = images.new_tensor(hues)  # (C, 3)
    weights = weights / weights.sum(0).clamp(min=1)
    return torch.einsum("...chw,cr->...rhw", images, weights).clamp(0, 1)
