"""Colours as classes: 313 points of a grid in the (a, b) plane of Lab that sRGB reaches (Zhang et al., ECCV 2016).

The paper's list of 313 points is all grid points, of step 10, from which the convex hull of sRGB's colours is less than
10 away in both a and b; in other words the corners of all squares of the grid that the hull touches. Order: a, then b.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from selftaught.ops.colour_spaces import rgb_to_lab

NUM_BINS = 313
STEP = 10
_REACH = 110
"""Largest |a| and |b| of a grid point; no colour of sRGB is further out."""
_SIDE = 2 * _REACH + 1


@cache
def bin_centres(device: torch.device | str = "cpu") -> Tensor:
    """(a, b) of the bins, (313, 2) float32."""
    colours = rgb_to_lab(_surface_of_rgb(18).T[:, :, None])[1:, :, 0]
    angle = torch.arange(720) * (math.pi / 360)
    directions = torch.stack([angle.cos(), angle.sin()], 1)
    # A convex hull and the square of half-width STEP around a point are apart if they are so along some direction.
    reach = (directions @ colours).max(1).values
    line = torch.arange(-_REACH, _REACH + STEP, STEP).float()
    grid = torch.cartesian_prod(line, line)
    nearest = grid @ directions.T - STEP * directions.abs().sum(1)
    return grid[(nearest < reach).all(1)].to(device)


def _surface_of_rgb(levels: int) -> Tensor:
    """Colours on the six faces of the RGB cube, (M, 3) in [0, 1]: the outermost (a, b) are among them."""
    scale = torch.linspace(0, 1, levels)
    u, v = (x.flatten() for x in torch.meshgrid(scale, scale, indexing="ij"))
    faces = []
    for end in (torch.zeros_like(u), torch.ones_like(u)):
        faces += [torch.stack([end, u, v], 1), torch.stack([u, end, v], 1), torch.stack([u, v, end], 1)]
    return torch.cat(faces)


@cache
def _encodings(device: torch.device, neighbours: int, sigma: float) -> tuple[Tensor, Tensor]:
    """The soft encoding of every whole (a, b): bins and weights, (221 * 221, K), nearest first."""
    whole = torch.arange(-_REACH, _REACH + 1, dtype=torch.float32)
    plane = torch.cartesian_prod(whole, whole)
    squared = (plane[:, None] - bin_centres()[None]).square().sum(2)
    # Squares of whole numbers: less than 1 added makes the first of equally near bins count on every machine.
    near = (squared + torch.arange(NUM_BINS) / 1024).topk(neighbours, 1, largest=False).indices
    weights = torch.softmax(-squared.gather(1, near) / (2 * sigma**2), 1)
    return near.to(device), weights.to(device)


def encode_ab(ab: Tensor, neighbours: int = 5, sigma: float = 5.0) -> tuple[Tensor, Tensor]:
    """Colours (N, 2, H, W) -> their nearest bins, nearest first, int64, and the bins' weights; both (N, K, H, W).

    The weights sum to 1 and fall with distance as a Gaussian (the paper's soft encoding). They are looked up in a table
    of whole a and b, so a colour is first moved by at most 0.5.
    """
    bins, weights = _encodings(ab.device, neighbours, sigma)
    a, b = (ab.round().clamp(-_REACH, _REACH).long() + _REACH).unbind(1)
    cell = a * _SIDE + b
    return bins[cell].movedim(-1, 1), weights[cell].movedim(-1, 1)


def decode_ab(logits: Tensor, temperature: float = 0.38) -> Tensor:
    """Logits (N, 313, H, W) -> colours (N, 2, H, W), the annealed mean (the paper's eq. 5).

    The mean of the bins under softmax(logits / temperature): 1 is the mean, towards 0 it becomes the mode.
    """
    share = torch.softmax(logits.float() / temperature, 1)
    return torch.einsum("nqhw,qc->nchw", share, bin_centres(logits.device))


def soft_cross_entropy(logits: Tensor, bins: Tensor, weights: Tensor) -> Tensor:
    """Cross entropy at every pixel, (N, H, W) float32, of logits (N, 313, H, W) with a label of `encode_ab`."""
    logits = logits.float()
    return logits.logsumexp(1) - (logits.gather(1, bins) * weights).sum(1)


def rebalancing_weights(share: Tensor, mix: float = 0.5, sigma: float = 5.0) -> Tensor:
    """Weight of a pixel by its bin, so that rare colours count (the paper's eq. 4).

    w is 1 / ((1 - mix) p + mix / 313), scaled so that its mean over pixels is 1, where p is `share` smoothed by a
    Gaussian in the (a, b) plane.

    Args:
        share: (313,) of pixels in each bin, sums to 1.
        mix: lambda, 1 weighs all bins alike.
        sigma: of the Gaussian, in units of a and b.
    """
    centres = bin_centres(share.device)
    kernel = torch.softmax(-(centres[:, None] - centres[None]).square().sum(2) / (2 * sigma**2), 1)
    smooth = (share[:, None] * kernel).sum(0)
    weights = 1 / ((1 - mix) * smooth + mix / NUM_BINS)
    return weights / (smooth * weights).sum()
