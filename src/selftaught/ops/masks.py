"""Holes in images, the whole batch at once: (N, 1, S, S) bool, True in the hole. About a quarter of the image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.core.randomness import uniform


def centre_square(n: int, size: int, device: torch.device | str = "cpu") -> Tensor:
    """The central square of half the side, the same in every image."""
    mask = torch.zeros(n, 1, size, size, dtype=torch.bool, device=device)
    begin = (size - size // 2) // 2
    mask[..., begin : begin + size // 2, begin : begin + size // 2] = True
    return mask


def random_blocks(
    n: int, size: int, rng: torch.Generator, *, count: int = 5, sides: tuple[float, float] = (1 / 8, 3 / 8)
) -> Tensor:
    """`count` rectangles in each image, anywhere inside it; they may overlap.

    The sides are uniform shares of the image's; five with the default sides cover 26 % on average.
    """
    lengths = (uniform((n, count, 2), *sides, rng) * size).round().clamp(min=1)
    begins = (uniform((n, count, 2), 0, 1, rng) * (size - lengths + 1)).floor()
    places = torch.arange(size, device=rng.device)
    within = (places >= begins[..., None]) & (places < (begins + lengths)[..., None])
    rows, columns = within.unbind(2)
    return torch.einsum("nkh,nkw->nhw", rows.float(), columns.float())[:, None] > 0


def random_regions(n: int, size: int, rng: torch.Generator, *, area: float = 0.25, cells: int = 6) -> Tensor:
    """Regions of any shape: smooth noise below its `area` quantile.

    Args:
        area: share of the image, kept to within about a hundredth.
        cells: random numbers along a side of the image; more give smaller regions.
    """
    drawn = torch.rand(n, 1, cells, cells, generator=rng, device=rng.device)
    noise = F.interpolate(drawn, size=(size, size), mode="bicubic", align_corners=True)
    # Every k-th pixel says as much about the share as all of them.
    every = max(1, size // 32)
    sample = noise[..., ::every, ::every].flatten(1)
    below = sample.kthvalue(max(1, round(area * sample.shape[1])), dim=1).values
    return noise <= below[:, None, None, None]


def without_border(mask: Tensor, width: int) -> Tensor:
    """The mask eroded by `width` pixels; the image's edge does not erode it."""
    if width == 0:
        return mask
    outside = F.max_pool2d((~mask).float(), 2 * width + 1, stride=1, padding=width)
    return outside == 0


def mean_outside(images: Tensor, hole: Tensor) -> Tensor:
    """Mean colour outside of the hole: images (N, C, H, W) -> (N, C, 1, 1). Pixels in the hole are never read."""
    seen = images.masked_fill(hole, 0).sum((2, 3), keepdim=True)
    return seen / (~hole).sum((2, 3), keepdim=True).clamp(min=1)
