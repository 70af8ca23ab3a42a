"""What can be said about features with no label at all: rank, alignment, uniformity, collapse."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def rankme(features: Tensor) -> float:
    """Effective rank: exp of the entropy of the singular values (RankMe, Garrido et al., ICML 2023, eq. 3).

    features (N, D); between 1 (all in one direction) and min(N, D).
    """
    singular = torch.linalg.svdvals(features.double())
    share = singular / singular.sum().clamp(min=1e-12) + 1e-7
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
    distances = torch.pdist(F.normalize(features.double(), dim=1))
    return float(distances.square().mul(-2).exp().mean().log()) if len(distances) else 0.0


def feature_std(features: Tensor) -> float:
    """Standard deviation of unit-length features over samples, mean over dimensions, times sqrt(D).

    1 for directions spread evenly, 0 when all samples have one direction (SimSiam, Chen & He, CVPR 2021, fig. 2).
    """
    return float(F.normalize(features.double(), dim=1).std(0).mean() * features.shape[1] ** 0.5)


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
    """All figures for two views (N, D) of the same samples."""
    return {
        "rankme": rankme(first),
        "alignment": alignment(first, second),
        "uniformity": uniformity(first),
        "feature_std": feature_std(first),
    }


def collapse_warning(figures: dict[str, float]) -> str | None:
    """A sentence where features hardly differ between samples, else None."""
    if figures["rankme"] < 2 or figures["feature_std"] < 0.02:
        return (
            f"features have collapsed: effective rank {figures['rankme']:.1f}, spread {figures['feature_std']:.3f}; "
            "lower --lr, raise --batch-size or look at the data"
        )
    return None
