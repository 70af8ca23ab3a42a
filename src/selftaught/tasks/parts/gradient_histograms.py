"""Histograms of gradients: a descriptor of an image's edges, without colour and without learning."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.ops.colour import to_grey


def gradient_histograms(images: Tensor, *, cells: int = 4, bins: int = 9) -> Tensor:
    """Histograms of oriented gradients (Dalal & Triggs, CVPR 2005).

    The grey image's gradients vote for their orientation, modulo 180 degrees, with their length, shared between the
    two nearest of `bins`; the image has `cells` x `cells` cells, and blocks of 2 x 2 cells overlap. Each block has
    unit length, is cut at 0.2 and has unit length again.

    Images (N, 3, S, S) in any range, S at least `cells` -> (N, 4 bins (cells - 1)^2).
    """
    grey = to_grey(images.float())
    framed = F.pad(grey, (1, 1, 1, 1), mode="replicate")
    across = framed[..., 1:-1, 2:] - framed[..., 1:-1, :-2]
    down = framed[..., 2:, 1:-1] - framed[..., :-2, 1:-1]
    length = (across.square() + down.square()).sqrt()
    place = torch.remainder(torch.atan2(down, across), math.pi) * (bins / math.pi)
    low = place.floor()
    upper = place - low
    votes = torch.zeros(len(images), bins, *grey.shape[-2:], device=images.device)
    votes.scatter_add_(1, low.long() % bins, length * (1 - upper))
    votes.scatter_add_(1, (low.long() + 1) % bins, length * upper)
    blocks = F.unfold(F.adaptive_avg_pool2d(votes, cells), 2)
    blocks = F.normalize(F.normalize(blocks, dim=1).clamp(max=0.2), dim=1)
    return blocks.flatten(1)
