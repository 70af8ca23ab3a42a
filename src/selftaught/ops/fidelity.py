"""Similarity of an image to the original: PSNR, and SSIM (Wang, Bovik, Sheikh, Simoncelli 2004)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def psnr(first: Tensor, second: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio in dB of images (N, C, H, W) in [0, 1] -> (N,).

    Only the pixels where `mask` (N, 1, H, W) is 1 count, if it is given.
    """
    squared = (first.float() - second.float()).square()
    if mask is None:
        error = squared.mean((1, 2, 3))
    else:
        error = (squared * mask).sum((1, 2, 3)) / (mask.sum((1, 2, 3)) * squared.shape[1]).clamp(min=1)
    return -10 * error.clamp(min=1e-10).log10()


def ssim(first: Tensor, second: Tensor, *, window: int = 11, sigma: float = 1.5) -> Tensor:
    """Structural similarity of images (N, C, H, W) in [0, 1] -> (N,), at most 1.

    Gaussian windows inside the image, K1 = 0.01, K2 = 0.03, mean over channels and places, as in the paper.
    """
    first, second = first.float(), second.float()
    channels = first.shape[1]
    window = min(window, first.shape[-2], first.shape[-1])
    offset = torch.arange(window, device=first.device) - (window - 1) / 2
    weights = torch.softmax(-0.5 * (offset / sigma).square(), 0)

    def blur(x: Tensor) -> Tensor:
        rows = F.conv2d(x, weights.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
        return F.conv2d(rows, weights.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)

    mean_1, mean_2 = blur(first), blur(second)
    var_1 = blur(first.square()) - mean_1.square()
    var_2 = blur(second.square()) - mean_2.square()
    both = blur(first * second) - mean_1 * mean_2
    c1, c2 = 0.01**2, 0.03**2
    similar = (2 * mean_1 * mean_2 + c1) * (2 * both + c2)
    return (similar / ((mean_1.square() + mean_2.square() + c1) * (var_1 + var_2 + c2))).mean((1, 2, 3))
