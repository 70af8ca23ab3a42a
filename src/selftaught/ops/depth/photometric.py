"""How unlike two images are pixel by pixel, and how rough a map is where its image is smooth."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def photometric_difference(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Difference of images (N, C, H, W) in [0, 1] -> (N, 1, H, W): `share` of structure, the rest of brightness.

    share (1 - SSIM) / 2 + (1 - share) |first - second|, means over channels, as of GeoNet and Monodepth.
    """
    brightness = (first - second).abs().mean(1, keepdim=True)
    if not share:
        return brightness
    return share * structural_difference(first, second).mean(1, keepdim=True) + (1 - share) * brightness


def structural_difference(first: Tensor, second: Tensor) -> Tensor:
    """(1 - SSIM) / 2 in [0, 1] (Wang et al., 2004) of windows of 3 x 3 pixels: (N, C, H, W) in [0, 1] both."""
    x, y = (F.pad(one, (1, 1, 1, 1), mode="reflect") for one in (first, second))
    mean_x, mean_y = F.avg_pool2d(x, 3, 1), F.avg_pool2d(y, 3, 1)
    var_x = F.avg_pool2d(x * x, 3, 1) - mean_x.square()
    var_y = F.avg_pool2d(y * y, 3, 1) - mean_y.square()
    both = F.avg_pool2d(x * y, 3, 1) - mean_x * mean_y
    alike = (2 * mean_x * mean_y + 1e-4) * (2 * both + 9e-4)
    found = alike / ((mean_x.square() + mean_y.square() + 1e-4) * (var_x + var_y + 9e-4))
    return ((1 - found) / 2).clamp(0, 1)


def edge_aware_roughness(values: Tensor, image: Tensor) -> Tensor:
    """Mean of the first differences of values (N, K, H, W), which edges of the image (N, C, H, W) in [0, 1] excuse.

    Each counts exp(-|difference of the image|), the mean over channels (Godard et al., CVPR 2017).
    """
    total = values.new_zeros(())
    for dim in (2, 3):
        edge = (-image.diff(dim=dim).abs().mean(1, keepdim=True)).exp()
        total = total + (values.diff(dim=dim).abs() * edge).mean()
    return total


def at_side(images: Tensor, side: int) -> Tensor:
    """Images (N, C, S, S) averaged down to a side of `side` pixels."""
    return images if images.shape[-1] == side else F.interpolate(images, (side, side), mode="area")


def scaled_intrinsics(intrinsics: Tensor, factor: float) -> Tensor:
    """Intrinsics (N, 3, 3) of images resized by a factor."""
    scale = torch.tensor([factor, factor, 1.0], device=intrinsics.device)
    return intrinsics * scale[:, None]
