"""Images with their true and predicted masks, for people to look at."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.io import encode_png
from torchvision.transforms.functional import InterpolationMode, resize
from torchvision.utils import draw_segmentation_masks

from selftaught.data.annotations.dense_sample import IGNORE
from selftaught.ops.draw_maps import palette

SIDE = 220
"""Pixels of the long side of one image."""
GAP = 4
SOLID = 0.8
"""Share of the colour of a class in a pixel; the rest is the image."""
UNTOLD = (255, 255, 255)


def draw_masks(image: Tensor, truth: NDArray[np.int64], predicted: NDArray[np.int64], count: int) -> bytes:
    """A PNG of three images side by side: the image (3, H, W) uint8, its true mask (H, W), the predicted one.

    Masks cover the image but for a little that shines through; pixels without a class are white in the true mask.
    """
    colours = [tuple(colour) for colour in palette(count).tolist()] + [UNTOLD] * (IGNORE + 1 - count)
    scale = min(1.0, SIDE / max(truth.shape))
    size = [max(1, round(scale * side)) for side in truth.shape]
    parts = [resize(image, size, antialias=True)]
    for mask in (truth, predicted):
        small = resize(torch.from_numpy(mask)[None], size, InterpolationMode.NEAREST)
        present = small.unique()
        chosen = [colours[number] for number in present.tolist()]
        parts.append(draw_segmentation_masks(parts[0], small == present[:, None, None], SOLID, chosen))
    gap = torch.full((3, size[0], GAP), UNTOLD[0], dtype=torch.uint8)
    return bytes(encode_png(torch.cat([parts[0], gap, parts[1], gap, parts[2]], dim=2)).numpy())
