"""How well masks of objects fit, by region and by boundary, as DAVIS defines them (Perazzi et al., CVPR 2016)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

TOLERANCE = 0.008
"""Of the diagonal of the image, within which boundaries match."""


def region_similarity(predicted: Tensor, truth: Tensor) -> Tensor:
    """J (N,) in [0, 1]: intersection over union of masks (N, H, W) bool; 1 where both are empty."""
    both = (predicted & truth).flatten(1).sum(1).double()
    either = (predicted | truth).flatten(1).sum(1).double()
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def boundary_accuracy(predicted: Tensor, truth: Tensor, tolerance: float = TOLERANCE) -> Tensor:
    """F (N,) in [0, 1]: harmonic mean of precision and recall of the boundaries of masks (N, H, W) bool.

    A pixel of one boundary matches where the other is within `tolerance` of the diagonal. A boundary without a pixel
    has precision 1 where the other has some, and recall 0; where neither has one, F is 1.
    """
    height, width = truth.shape[-2:]
    reach = math.ceil(tolerance * math.hypot(height, width)) if tolerance < 1 else int(tolerance)
    found, wanted = boundaries(predicted), boundaries(truth)
    precision = _share(found & _dilated(wanted, reach), found)
    recall = _share(wanted & _dilated(found, reach), wanted)
    total = precision + recall
    return torch.where(total > 0, 2 * precision * recall / total.clamp(min=1e-12), 0.0)


def boundaries(masks: Tensor) -> Tensor:
    """Pixels of masks (N, H, W) bool that differ from the one to the right, below, or both; (N, H, W) bool."""
    padded = F.pad(masks.float()[:, None], (0, 1, 0, 1), mode="replicate")[:, 0] > 0.5
    here = padded[:, :-1, :-1]
    return (here ^ padded[:, :-1, 1:]) | (here ^ padded[:, 1:, :-1]) | (here ^ padded[:, 1:, 1:])


def _share(part: Tensor, whole: Tensor) -> Tensor:
    """|part| / |whole| of each; 1 where the whole is empty, as its other one then says all."""
    counts = whole.flatten(1).sum(1).double()
    return torch.where(counts > 0, part.flatten(1).sum(1).double() / counts.clamp(min=1), 1.0)


def _dilated(masks: Tensor, reach: int) -> Tensor:
    """Pixels within `reach` of one of a mask (N, H, W) bool, by Euclid."""
    offsets = torch.arange(-reach, reach + 1, device=masks.device)
    disk = (offsets[:, None].square() + offsets[None].square() <= reach**2).float()[None, None]
    return F.conv2d(masks.float()[:, None], disk, padding=reach)[:, 0] > 0.5
