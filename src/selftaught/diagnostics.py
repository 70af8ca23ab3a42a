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
