"""What can be said about features with no label at all: rank, spectrum, alignment, uniformity, collapse."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

FIRST, LAST = 6, 100
"""Ranks of the eigenvalues that `alpha_req` is fitted to, as its authors' code has them: the head follows no power law,
and the end of the spectrum is that of the sampling noise."""
FEWEST = 16
"""Directions that `alpha_req` needs for a line."""
ENOUGH = 8
"""Samples from which a low rank is taken for collapse."""
DELTA = 1e-4
"""Added to the variances within a class by `lidar`; the paper names no value, later work took this one."""


def rankme(features: Tensor) -> float:
    """Effective rank: exp of the entropy of the singular values (RankMe, Garrido et al., ICML 2023, eq. 3).

    features (N, D); between 1 (all in one direction) and min(N, D).
    """
    return _effective(torch.linalg.svdvals(features.double()))


def alpha_req(features: Tensor) -> float:
    """Exponent a of the power law i^-a of the covariance's eigenvalues (alpha-ReQ, Agrawal et al., NeurIPS 2022).

    Least squares on the log-log axis, weighted by 1 / i so that every part of that axis counts alike (Stringer et al.,
    Nature 2019, whose fit the authors use), over the ranks `FIRST` to `LAST`; no further than half of the directions
    there are, as the rest fall off for lack of samples. Near 1 is best: below, variance is spread over directions
    without information; above, few directions hold nearly all of it. features (N, D), several times `LAST` samples; nan
    where they vary in fewer than `FEWEST` directions.
    """
    x = features.double()
    x = x - x.mean(0)
    n, d = x.shape
    eigenvalues = torch.linalg.eigvalsh(x @ x.T if n < d else x.T @ x).flip(0)[: min(n - 1, d)]
    return power_law_exponent(eigenvalues[eigenvalues > 1e-12 * eigenvalues[:1]])


def power_law_exponent(spectrum: Tensor) -> float:
    """The fit of `alpha_req` to positive numbers (K,), largest first."""
    if len(spectrum) < FEWEST:
        return math.nan
    rank = torch.arange(FIRST, min(LAST, len(spectrum) // 2) + 1, dtype=torch.float64, device=spectrum.device)
    x, y, weight = rank.log(), spectrum[FIRST - 1 : FIRST - 1 + len(rank)].double().log(), 1 / rank
    x, y = x - (weight * x).sum() / weight.sum(), y - (weight * y).sum() / weight.sum()
    return float(-(weight * x * y).sum() / (weight * x * x).sum())


def lidar(views: Tensor, delta: float = DELTA) -> float:
    """Effective rank of what separates images but not views of one (LiDAR, Thilak et al., ICLR 2024, section 4).

    Exp of the entropy of the eigenvalues of W^(-1/2) B W^(-1/2), where B (D, D) is the covariance of the images' mean
    features and W that of the views around these means, plus `delta` on its diagonal; both unbiased. With W = L L^T
    these are the eigenvalues of L^-1 B L^-T, which needs no matrix root. views (n, q, D), q views of each of n
    images, best n > D; between 1 and min(n - 1, D). `delta` is a variance: it decides where the views differ by less.
    Directions without information about an image keep eigenvalues of about 1 / q, so features that are all noise have a
    high rank too: read it beside `alignment`.
    """
    n, q, d = views.shape
    means = views.double().mean(1)
    inside = (views.double() - means[:, None]).flatten(0, 1)
    within = inside.T @ inside / (n * (q - 1)) + delta * torch.eye(d, dtype=torch.float64, device=views.device)
    between = (means - means.mean(0)) / (n - 1) ** 0.5
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(within), between.T, upper=False)
    eigenvalues = torch.linalg.eigvalsh(white.T @ white if n < d else white @ white.T)
    return _effective(eigenvalues.clamp(min=0))


def _effective(values: Tensor) -> float:
    """Exp of the entropy of the shares of non-negative numbers (K,); 1e-7 is added to each share, as in RankMe."""
    share = values / values.sum().clamp(min=1e-12) + 1e-7
    return float(torch.exp(-(share * share.log()).sum()))


def alignment(first: Tensor, second: Tensor) -> float:
    """Mean squared distance of two views of a sample on the unit sphere (Wang & Isola, ICML 2020, eq. 1 of section 4).

    Two (N, D) tensors; 0 is perfectly aligned, 2 is unrelated.
    """
    return float((F.normalize(first.double(), dim=1) - F.normalize(second.double(), dim=1)).square().sum(1).mean())


def uniformity(features: Tensor) -> float:
    """Log of the mean Gaussian potential of all pairs on the unit sphere, t = 2 (Wang & Isola, ICML 2020).

    features (N, D); 0 when all are the same point, about -4 when spread evenly.
    """
    unit = F.normalize(features.double(), dim=1)
    n = len(unit)
    if n < 2:
        return 0.0
    squares = unit.square().sum(1)
    total = -float(n)  # of the pairs of a sample with itself
    for rows, own in zip(unit.split(1024), squares.split(1024), strict=True):  # all pairs at once may not fit in memory
        total += float((4 * rows @ unit.T - 2 * own[:, None] - 2 * squares).exp().sum())
    return math.log(max(total / (n * (n - 1)), 1e-300))


def feature_std(features: Tensor) -> float:
    """Standard deviation of unit-length features over samples, mean over dimensions, times sqrt(D).

    1 for directions spread evenly, 0 when all samples have one direction (SimSiam, Chen & He, CVPR 2021, fig. 2); nan
    of a single sample.
    """
    if len(features) < 2:
        return math.nan
    return float(F.normalize(features.double(), dim=1).std(0).mean() * features.shape[1] ** 0.5)


def share_of_longest(features: Tensor, part: float = 0.01) -> float:
    """Share, in [0, 1], of the sum of squares of features (N, D) that the longest `part` of the samples hold.

    Singular values are sums of squares, so where this is near 1 a rank is that of few samples.
    """
    squares = features.double().square().sum(1).sort(descending=True).values
    return float(squares[: max(1, round(part * len(squares)))].sum() / squares.sum().clamp(min=1e-300))


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """Frechet distance of two Gaussians fitted to features (N, D) and (M, D), at least two rows each.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), the formula of FID (Heusel et al., NIPS 2017, eq. 6) on any features.
    With A and B the centred features, each divided by the root of its rows less one, tr (C1 C2)^(1/2) is the sum of the
    singular values of A B^T: exact where a covariance is singular too, as for N < D, so nothing is added to the
    diagonals. The estimate is too large for few samples: two halves of one set get a distance above 0 that shrinks as
    they grow, so compare distances of equally many samples only.
    """
    roots, means = [], []
    for features in (first.double(), second.double()):
        means.append(features.mean(0))
        roots.append(torch.linalg.qr((features - means[-1]) / (len(features) - 1) ** 0.5, mode="r").R)
    spread = sum(float(root.square().sum()) for root in roots)
    both = float(torch.linalg.svdvals(roots[0] @ roots[1].T).sum())
    return max(0.0, float((means[0] - means[1]).square().sum()) + spread - 2 * both)


def describe_features(first: Tensor, second: Tensor) -> dict[str, float]:
    """All metrics for two views (N, D) of the same samples."""
    return {
        "rankme": rankme(first),
        "alpha_req": alpha_req(first),
        "alignment": alignment(first, second),
        "uniformity": uniformity(first),
        "feature_std": feature_std(first),
    }


def collapse_warning(figures: Mapping[str, float], samples: int) -> str | None:
    """A sentence if features hardly differ between samples, else None; always None for few samples.

    No rank is above the number of samples, so that of two is never far from 2 whatever the features are.
    """
    if samples < ENOUGH:
        return None
    if figures["rankme"] < 2 or figures["feature_std"] < 0.02:
        return (
            f"features have collapsed: effective rank {figures['rankme']:.1f}, spread {figures['feature_std']:.3f}; "
            "lower --lr, raise --batch-size or look at the data"
        )
    return None
