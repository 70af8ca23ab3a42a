"""How well depth maps fit the truth: by order alone, and in size after scaling by the median.

Maps are (N, H, W) on any device, depth along the optical axis; every function gives one value a map (N,), nan where
nothing can be compared. Truth is known where it is finite and above 0, and where `known` says so.
"""

from __future__ import annotations

import torch
from torch import Tensor

from selftaught.core.randomness import generator, uniform
from selftaught.ops.depth.ranks import mean_ranks

PAIRS = 2000
"""Pairs of pixels of a map that are compared."""
APART = 1.02
"""Ratio of depths from which one of them is farther (Chen, Fu, Yang, Deng, NeurIPS 2016)."""


def order_accuracy(depth: Tensor, truth: Tensor, *, known: Tensor | None = None, seed: int = 0) -> Tensor:
    """Share of random pairs of pixels, of different depth, of which the farther one is the one predicted to be.

    1 - WHDR (Bell, Bala, Snavely, 2014; of depth by Chen et al., NeurIPS 2016) over pairs whose true depths differ by a
    factor of `APART` or more. A pair that is predicted to be equal counts half. The pairs are the same for all
    predictions of a size, and only the order of `depth` counts: any rising function of it gives the same.
    """
    known = is_known(truth, known).flatten(1)
    first, second = _pairs(known, seed)
    farther = truth.flatten(1).gather(1, first), truth.flatten(1).gather(1, second)
    found = depth.flatten(1).gather(1, first) - depth.flatten(1).gather(1, second)
    ratio = farther[0].clamp(min=1e-9).log() - farther[1].clamp(min=1e-9).log()
    counts = (ratio.abs() >= torch.tensor(APART).log()) & known.any(1, keepdim=True)
    right = torch.where(found == 0, 0.5, (found.sign() == ratio.sign()).double())
    return _mean(right, counts)


def rank_correlation(depth: Tensor, truth: Tensor, *, known: Tensor | None = None) -> Tensor:
    """Spearman's correlation of the known pixels, equal values with their mean rank; 0 where either is constant."""
    known = is_known(truth, known).flatten(1)
    a, b = (mean_ranks(one.flatten(1).double(), known) for one in (depth, truth))
    a, b = (torch.where(known, one - _mean(one, known)[:, None], 0.0) for one in (a, b))
    spread = a.square().sum(1).sqrt() * b.square().sum(1).sqrt()
    found = (a * b).sum(1) / spread.clamp(min=1e-12)
    return torch.where(known.sum(1) > 1, found, torch.nan)


def scaled_by_median(depth: Tensor, truth: Tensor, *, known: Tensor | None = None) -> Tensor:
    """Depth (N, H, W) times the ratio of the medians over known pixels (Zhou et al., CVPR 2017)."""
    known = is_known(truth, known)
    medians = [one.masked_fill(~known, torch.nan).flatten(1).nanmedian(1).values for one in (truth, depth)]
    return depth * (medians[0] / medians[1].clamp(min=1e-9))[:, None, None]


def relative_error(depth: Tensor, truth: Tensor, *, known: Tensor | None = None) -> Tensor:
    """Mean of |depth - truth| / truth; the lower the better."""
    known = is_known(truth, known)
    return _mean(((depth - truth).abs() / truth.clamp(min=1e-9)).flatten(1), known.flatten(1))


def share_near(depth: Tensor, truth: Tensor, *, known: Tensor | None = None, factor: float = 1.25) -> Tensor:
    """Share of pixels whose depth is wrong by a factor of less than `factor`, delta < 1.25."""
    known = is_known(truth, known)
    ratio = depth.clamp(min=1e-9) / truth.clamp(min=1e-9)
    return _mean((torch.maximum(ratio, 1 / ratio) < factor).double().flatten(1), known.flatten(1))


def lower_is_nearer(like: Tensor) -> Tensor:
    """What (N, H, W) knows only that what is lower in an image is usually nearer: falls from row to row, above 0."""
    height = like.shape[-2]
    rows = torch.arange(height, 0, -1, device=like.device, dtype=torch.float32)
    return rows[:, None].expand(like.shape)


def is_known(truth: Tensor, known: Tensor | None = None) -> Tensor:
    """Where (N, H, W) bool depth is finite and above 0, and known."""
    found = truth.isfinite() & (truth > 0)
    return found if known is None else found & known


def _pairs(known: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Places (N, P) of both pixels of random pairs among the known ones (N, K)."""
    places = known.double().argsort(dim=1, descending=True, stable=True)
    drawn = uniform((2, PAIRS), 0, 1, generator(seed, "pairs of pixels")).double().to(known.device)
    numbers = (drawn[:, None] * known.sum(1)[:, None]).long()
    first, second = (places.gather(1, one) for one in numbers.clamp(max=known.shape[1] - 1))
    return first, second


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Mean (N,) of those values (N, K) that count; nan where none does."""
    total = torch.where(counts, values.double(), 0.0).sum(1)
    return total / counts.sum(1)
